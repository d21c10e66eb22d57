"""The Import scores page: guesses to check, a preview before anything is kept, refusals in sentences."""

import gzip
import re

import numpy as np
import pandas as pd
import pytest

from core.data.arriving import Announced, add_piece, begin_arrival
from core.scores import import_upload
from core.scores.import_upload import check_table, remove_upload, store_table
from core.scores.imports import imported_predictions, list_imported, read_imported
from dashboard.import_scores import preview
from dashboard.import_scores.form import free_name
from dashboard.import_scores.words import page_words
from dashboard.shared import upload
from tests.dashboard.conftest import House, end_run_after, enter, open_page, words
from tests.refusals import refused


@pytest.fixture
def own(built, tmp_path, monkeypatch) -> House:
    """The workspace of the tests, in a copy that may be written to."""
    import shutil

    home = shutil.copytree(built.home, tmp_path / "home")
    house = House(home, built.checkpoints)
    enter(house, monkeypatch)
    return house


def table(count: int = 60) -> pd.DataFrame:
    random = np.random.default_rng(3)
    label = np.arange(count) % 3 == 0
    return pd.DataFrame(
        {
            "study_id": [f"s{number}" for number in range(count)],
            "y_true": label.astype(int),
            "prob": np.round((label + 1.5 * random.random(count)) / 2.5, 4),
            "age": random.integers(20, 80, count),
        }
    )


def on_server(app, file):
    app.segmented_control(key="scores_origin").set_value("On the server").run()
    return app.text_input[-1].set_value(str(file)).run()


def field(app, name: str):
    """A selector or a field of the page by the name that is shown."""
    drawn = [*app.selectbox, *app.text_input, *app.checkbox, *app.segmented_control]
    return next(one for one in drawn if one.label == name)


def press(app, label: str):
    return next(button for button in app.button if button.label == label).click().run()


def test_a_table_is_guessed_previewed_and_kept(own, tmp_path):
    table().to_csv(tmp_path / "Run 3.csv", index=False)
    app = on_server(open_page("import_scores"), tmp_path / "Run 3.csv")
    assert not app.exception
    assert [field(app, name).value for name in ("Score", "Label", "Study id", "Radiograph id", "Name")] == [
        "prob", "y_true", "study_id", "(none)", "run-3",
    ]  # fmt: skip
    text = words(app)
    assert "Guessed, please check: Score: prob, Label: y_true, Study id: study_id (by" in text
    assert re.search(r"AUROC, valid.*?>0\.\d{3}<.*?n = 60; 20 abnormal, 40 normal, 0 unknown", text, re.S)
    assert list_imported() == []
    app = press(app, "Keep these scores")
    assert not app.exception and "Kept as run-3: 60 radiographs of 60 studies." in [box.value for box in app.success]
    assert read_imported("run-3").columns == {"label": "y_true", "score": "prob", "study": "study_id"}
    opened = press(app, "Open Threshold")
    assert opened.title[0].value == "Threshold" and "run-3" in words(opened)
    assert opened.selectbox(key="model").value == "run-3"


def test_a_run_that_ends_early_keeps_scores_and_empties_the_choice(own, tmp_path, monkeypatch):
    table().to_csv(tmp_path / "Run 3.csv", index=False)
    app = on_server(open_page("import_scores"), tmp_path / "Run 3.csv")
    end_run_after(monkeypatch, preview, "keep_import")
    app = press(app, "Keep these scores")
    assert not app.exception and "Kept as run-3" in app.success[0].value
    assert "Keep these scores" not in [button.label for button in app.button]


def test_a_name_that_is_taken_needs_a_tick(own, tmp_path):
    for name in ("first", "second"):
        table().to_csv(tmp_path / f"{name}.csv", index=False)
        app = on_server(open_page("import_scores"), tmp_path / f"{name}.csv")
        field(app, "Name").set_value("mine").run()
        app = press(app, "Keep these scores")
    assert "already" in app.error[0].value and read_imported("mine").source == "first.csv"
    field(app, "Replace the scores named mine").check().run()
    press(app, "Keep these scores")
    assert read_imported("mine").source == "second.csv"
    assert free_name("Mine.csv.gz") == "mine-2"


def test_a_wrong_choice_is_refused_in_words_of_the_page(own, tmp_path):
    table().assign(prob=lambda frame: frame["prob"] * 7 - 3).to_csv(tmp_path / "x.csv", index=False)
    app = on_server(open_page("import_scores"), tmp_path / "x.csv")
    assert field(app, "Scores are").value == "logit"
    field(app, "Scores are").set_value("probability").run()
    (said,) = [box.value for box in app.error]
    assert "outside 0 to 1" in said and "choose 'Logit' for logits" in said and "--" not in said
    assert str(tmp_path) not in said


def test_scores_of_the_other_class_are_an_alarm(own, tmp_path):
    table().assign(prob=lambda frame: 1 - frame["prob"]).to_csv(tmp_path / "x.csv", index=False)
    app = on_server(open_page("import_scores"), tmp_path / "x.csv")
    assert "reverse order" in app.warning[0].value and "Choose 'Score of normal'" in app.warning[0].value
    field(app, "Score of normal").check().run()
    assert not app.warning
    press(app, "Keep these scores")
    assert read_imported("x").columns["invert"] is True


def test_an_uploaded_table_is_matched_to_its_data_set_and_removed(own, monkeypatch):
    frame = pd.read_parquet(own.home / "predictions" / "demo" / "alpha.parquet")[["image_id", "logit"]]
    content = frame.to_csv(index=False).encode()
    arrival = begin_arrival("visitor", [Announced("mine.csv", len(content))]).id
    add_piece(arrival, 0, 0, content)
    arrived = {"scores_upload_0": arrival}
    monkeypatch.setattr(upload, "draw_upload", lambda label, key, **limits: arrived.get(key, ""))
    app = open_page("import_scores")
    # The table has moved from where it arrived.
    assert not app.exception and not list((own.home / "uploads" / ".arriving").glob("*/"))
    assert field(app, "Match to").value == "demo" and field(app, "Scores are").value == "logit"
    joins = next(table.value for table in app.dataframe if "Rows matched" in table.value)
    assert joins["Rows matched"].tolist() == [len(frame)]
    app = press(app, "Keep these scores")
    kept = imported_predictions(read_imported("mine")).set_index("image_id")["logit"]
    assert np.allclose(kept.loc[frame["image_id"]], frame["logit"], atol=1e-6)
    assert not list((own.home / "uploads" / ".tables").glob("*/*"))
    assert any(button.label == "Open Errors" for button in app.button)


def test_what_would_hold_up_others_is_refused_in_a_sentence(tmp_path, workspace, monkeypatch):
    monkeypatch.setattr(import_upload, "MOST_ROWS", 50)
    file = tmp_path / "long.csv"
    file.write_text("y,p\n" + "1,0.5\n" * 60)
    with refused("table-too-long", "long.csv", 50):
        check_table(file)
    (tmp_path / "long.csv.gz").write_bytes(gzip.compress(file.read_bytes()))
    with refused("table-too-long", "long.csv.gz"):
        check_table(tmp_path / "long.csv.gz")
    pd.DataFrame({"p": np.zeros(60)}).to_parquet(tmp_path / "long.parquet")
    with refused("table-too-long", "long.parquet", 50):
        check_table(tmp_path / "long.parquet")
    monkeypatch.setattr(import_upload, "MOST_MEGABYTES", 0)
    with refused("upload-too-large", "scores.csv"), file.open("rb") as opened:
        store_table("scores.csv", opened)
    with refused("table-missing", "none.csv"):
        check_table(tmp_path / "none.csv")


def test_an_upload_is_stored_under_its_own_name_only(tmp_path, workspace):
    source = tmp_path / "x.csv"
    source.write_text("y,p\n1,0.5\n")
    with source.open("rb") as opened:
        stored = store_table("..\\..\\scores.csv", opened)
        assert stored.name == "scores.csv" and workspace / "uploads" in stored.parents
        with refused("upload-name-invalid", ".hidden"):
            store_table("a/.hidden", opened)
    assert stored.read_text() == source.read_text()
    remove_upload(stored)
    remove_upload(source)
    assert not stored.exists() and source.exists()


def test_messages_name_the_fields_of_the_page():
    assert page_words("Use --invert") == "Choose 'Score of normal'"
    assert page_words("pass --match-ignoring folder") == "choose 'folder' in 'Ignore in ids'"
    assert page_words("labels of studies (--label-level study), as before") == "labels of studies, as before"
    assert page_words("as before: --label-level image") == "as before: 'Radiographs' in 'Labels are of'"
    assert page_words("For the other one, pass --score p_normal.") == "For the other one, choose p_normal as 'Score'."
