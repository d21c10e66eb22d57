"""Reading together: verdicts by key, blind mode, filters, and what happens when the store cannot be used."""

import re
import shutil
import sqlite3
from types import SimpleNamespace

import numpy as np
import pytest

from core.data.pixels import to_square
from core.review import walkthroughs
from core.review.database import FILE, open_store
from core.review.store import add_verdict, verdicts_table
from core.review.vocabulary import Verdict
from core.scores.view import View
from dashboard.shared.case import loader, verdicts
from dashboard.shared.case.saliency import as_film
from tests.dashboard.conftest import House, enter, open_page, words

HOSTILE = "<script>document.title='owned'</script><img src=x onerror=alert(1)>"


@pytest.fixture
def room(built, tmp_path, monkeypatch) -> House:
    """A copy of the workspace, with a review database of its own."""
    copy = House(tmp_path / "home", built.checkpoints)
    shutil.copytree(built.home, copy.home)
    enter(copy, monkeypatch)
    return copy


def missed() -> list[str]:
    """The missed studies in the order of the page."""
    from core.data.index import read_dataset
    from dashboard.shared import loaders
    from dashboard.shared.case import study as study_view

    source = loaders.sources(read_dataset("demo"))["alpha"]
    found = loader.cases(View(source, "valid"))
    return study_view.ordered(found.table, "FN")["study_id"].tolist()


def read(study: str, **more: str):
    return open_page("errors", study=study, **more)


def key_of(study: str, what: str) -> str:
    return f"say_{loader.token(study)}_{what}"


def test_a_verdict_is_kept_with_all_that_was_said_and_the_next_case_opens(room):
    first, second = missed()[:2]
    app = read(first)
    assert app.button(key=key_of(first, "label_wrong")).disabled
    app.text_input(key="reviewer").set_value("  Ana  Ruiz ").run()
    app.text_area(key=f"note_{loader.token(first)}").set_value(HOSTILE).run()
    app.button(key=key_of(first, "label_wrong")).click().run()
    assert not app.exception and app.text_input(key="study").value == second
    row = verdicts_table(open_store()).iloc[0]
    assert (row["study_id"], row["reviewer"], row["verdict"], row["note"]) == (
        first,
        "Ana Ruiz",
        "label_wrong",
        HOSTILE,
    )
    assert row["score_visible"] and row["label_visible"] and row["given_label"] == 1 and row["read"] == "normal"
    assert row["threshold"] == 0.5 and row["checkpoint"].startswith("alpha@")
    app.button(key="previous").click().run()
    assert "&lt;script&gt;" in words(app) and "<script>" not in words(app)
    app.button(key="undo").click().run()
    assert app.text_input(key="study").value == first and verdicts_table(open_store()).empty
    assert len(verdicts_table(open_store(), history=True)) == 2


def test_a_note_of_100_kb_is_refused_and_stays_typed(room):
    study = missed()[0]
    app = read(study)
    app.text_input(key="reviewer").set_value("Ana").run()
    app.text_area(key=f"note_{loader.token(study)}").set_value("n" * 100_000).run()
    app.button(key=key_of(study, "true_miss")).click().run()
    assert "100,000 characters; expected at most 4,000" in app.error[0].value
    assert app.text_input(key="study").value == study
    assert len(app.text_area(key=f"note_{loader.token(study)}").value) == 100_000
    assert verdicts_table(open_store()).empty


def test_blind_nothing_on_the_page_or_in_its_address_tells_label_score_or_file(room, films):
    study = missed()[0]
    add_verdict(open_store(), Verdict("demo", study, "Ben", "label_wrong", given_label=1.0, note="seen before"))
    app = read(study)
    app.toggle(key="blind").set_value(True).run()
    assert app.text_input(key="study").value == loader.token(study)
    app.text_input(key="reviewer").set_value("Ana").run()
    page = words(app)
    assert study not in page and "Missed" not in page and "seen before" not in page and "Truth" not in page
    assert all(film["score"] is None and not film["small"] and not film["note"] for film in films[-1])
    assert not any("positive" in film["alt"] or "negative" in film["alt"] for film in films[-1])
    app.button(key=key_of(study, "normal")).click().run()
    row = verdicts_table(open_store(), reviewer="Ana").iloc[0]
    assert row["blind"] and row["read"] == "normal" and row["verdict"] != row["verdict"]
    assert app.text_input(key="study").value.startswith("case-")


def test_the_list_is_filtered_by_what_was_said(room):
    first, second = missed()[:2]
    store = open_store()
    add_verdict(store, Verdict("demo", first, "Ben", "label_wrong", given_label=1.0))
    add_verdict(store, Verdict("demo", first, "Ana", "true_miss", given_label=1.0))
    add_verdict(store, Verdict("demo", second, "Ana", "poor_image", given_label=1.0))
    everything = len(missed())
    app = open_page("errors")
    for said, count in (
        ("no verdict yet", everything - 2),
        ("any verdict", 2),
        ("poor image", 1),
        ("readers differ", 1),
    ):
        app.selectbox(key="verdict").set_value(said).run()
        assert words(app).count('class="card"') == count, said
    assert "Ben: label wrong" in words(app)


def test_near_the_threshold_comes_the_nearest_first(room):
    app = open_page("errors", outcome="Near threshold")
    shown = words(app)
    near = re.findall(r'<small class="near">([+-][.0-9]+)</small>', shown)
    assert len(near) > 10 and "nearest first" in shown
    assert [abs(float(one)) for one in near] == sorted(abs(float(one)) for one in near)


def test_a_study_that_is_gone_says_so_and_the_list_stays(room):
    app = read("<b>gone</b>")
    assert not app.exception
    assert "This study is not here" in words(app) and "<b>gone</b>" not in words(app)
    assert app.segmented_control(key="outcome").value == "Missed"


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (
            lambda file: sqlite3.connect(file).execute("UPDATE overread_schema SET version = 99").connection.commit(),
            "99",
        ),
        (lambda file: file.write_bytes(b"no database at all" * 300), "damaged"),
    ],
)
def test_a_store_that_cannot_be_used_is_a_sentence(room, spoil, said):
    study = missed()[0]
    open_store().engine.dispose()
    for file in room.home.glob(f"{FILE}-*"):
        file.unlink()
    spoil(room.home / FILE)
    app = read(study)
    assert not app.exception and "This cannot be shown" in words(app) and said in words(app)


def test_a_locked_store_keeps_the_case_open_and_says_so(room, monkeypatch):
    study = missed()[0]
    monkeypatch.setattr("core.review.database.open_store", lambda url: open_store(url, timeout=0.2))
    app = read(study)
    app.text_input(key="reviewer").set_value("Ana").run()
    holder = sqlite3.connect(room.home / FILE, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    app.button(key=key_of(study, "true_miss")).click().run()
    assert "locked by another program" in app.error[0].value and app.text_input(key="study").value == study
    holder.execute("ROLLBACK")
    app.button(key=key_of(study, "true_miss")).click().run()
    assert len(verdicts_table(open_store())) == 1


def test_embeddings_are_made_from_the_page_and_neighbours_are_told(room):
    study = missed()[0]
    app = read(study)
    app.button(key="embed").click().run()
    assert not app.exception and "most similar training studies are labelled" in words(app)


def test_a_walkthrough_is_made_from_the_list_with_agreements_mixed_in(room):
    studies = missed()
    app = open_page("errors")
    app.button(key="walk_make").click().run()
    assert "Type your name first" in app.error[0].value
    app.text_input(key="reviewer").set_value("Ana").run()
    app.text_input(key="walk_name").set_value("Monday").run()
    app.number_input(key="walk_cases").set_value(2).run()
    app.number_input(key="walk_controls").set_value(1).run()
    app.button(key="walk_make").click().run()
    assert not app.exception and "Monday is made." in words(app)
    store = open_store()
    walk = walkthroughs.read_walkthrough(store, walkthroughs.list_walkthroughs(store, "demo")["id"].iloc[0])
    assert [case.study_id for case in walk.cases if case.stratum == "chosen"] == studies[:2]
    mixed = [case for case in walk.cases if case.stratum == "agreements"]
    assert len(mixed) == 1 and 0 < mixed[0].probability < 0.5
    app.button(key="walk_make").click().run()
    assert "already" in app.error[0].value


def test_a_walkthrough_is_read_in_its_order_and_a_case_that_is_gone_says_so(room, films):
    first, second = missed()[:2]
    store = open_store()
    cases = [
        walkthroughs.WalkthroughCase(second, HOSTILE),
        walkthroughs.WalkthroughCase("<i>gone</i>"),
        walkthroughs.WalkthroughCase(first),
    ]
    walk = walkthroughs.create_walkthrough(store, "demo", "Monday", "Ana", cases)
    app = open_page("walkthroughs", reviewer="Ana")
    app.text_input(key="reviewer").set_value("Ana").run()
    app.button(key=f"open_{walk.id}").click().run()
    assert not app.exception and app.number_input(key="place").value == 1
    assert "&lt;script&gt;" in words(app) and "<script>" not in words(app)
    app.button(key=key_of(second, "label_wrong")).click().run()
    assert app.number_input(key="place").value == 2 and "is not in demo any more" in words(app)
    assert "<i>gone</i>" not in words(app)
    app.button(key="walk_next").click().run()
    assert app.number_input(key="place").value == 3 and app.button(key="walk_next").disabled
    row = verdicts_table(store).iloc[0]
    assert (row["study_id"], row["walkthrough_id"]) == (second, walk.id)
    app.segmented_control(key="part").set_value("Summary").run()
    assert not app.exception and "correct the label to normal" in words(app)
    assert "no longer in the index" in words(app)


def test_a_walkthrough_that_is_not_there_says_so(room):
    app = open_page("walkthroughs")
    assert "No walkthrough yet" in words(app)
    app.text_area(key="hand_cases").set_value("nobody/1 | look\n").run()
    app.button(key="hand_make").click().run()
    assert "'nobody/1'" in app.error[0].value and "Nothing was made" in app.error[0].value


def test_readers_that_differ_are_decided_by_a_third(room):
    study = missed()[0]
    store = open_store()
    add_verdict(store, Verdict("demo", study, "Ana", "label_wrong", given_label=1.0))
    add_verdict(store, Verdict("demo", study, "Ben", "true_miss", given_label=1.0))
    app = open_page("agreement")
    assert not app.exception and "1 studies on which readers differ" in words(app)
    assert "Ana: normal; Ben: abnormal" in words(app)
    app.text_input(key="reviewer").set_value("Cleo").run()
    app.text_input(key="study").set_value(study).run()
    app.button(key=key_of(study, "abnormal")).click().run()
    row = verdicts_table(store, reviewer="Cleo").iloc[0]
    assert (row["kind"], row["read"]) == ("adjudication", "abnormal")
    app.text_input(key="study").set_value("").run()
    assert "0 studies on which readers differ" in words(app)


def test_planted_wrong_labels_are_ranked_and_corrected_in_a_revision(room):
    app = open_page("labels")
    assert not app.exception and "Suspicious labels" in words(app)
    app.text_input(key="reviewer").set_value("Ana").run()
    assert app.button(key="accept").disabled
    shown = words(app)
    first = re.search(r'data-study="([^"]+)"', shown).group(1)
    app.text_input(key="study").set_value(first).run()
    assert "Number 1: labelled" in words(app)
    said = next(button for button in app.button if button.key == key_of(first, "label_wrong"))
    said.click().run()
    app.text_input(key="study").set_value("").run()
    app.button(key="accept").click().run()
    assert not app.exception and "As adjudicated" in words(app) and "1 labels of" in words(app)
    reference = app.selectbox(key="revision").value
    from core.data.labels import read_labels

    assert read_labels("demo", reference)["outcome"].tolist() == ["corrected"]


def test_labels_of_a_set_that_was_not_scored_offer_to_score(room):
    app = open_page("labels", model="beta")
    assert not app.exception and app.button(key="score_now")


def test_the_list_is_filtered_by_the_quality_of_the_films(room):
    from core.data.decode import measures_table
    from core.data.index import read_dataset, read_index
    from core.data.measure_store import measures_folder

    dataset, index = read_dataset("demo"), read_index("demo")
    # Another test may have measured this house before: nothing is known of its films here.
    shutil.rmtree(measures_folder(dataset), ignore_errors=True)
    app = open_page("errors", outcome="Found")
    app.segmented_control(key="outcome").set_value("Missed").run()
    everything = words(app).count('class="card"')
    app.selectbox(key="quality").set_value("tenth with the least contrast").run()
    assert words(app).count('class="card"') == 0
    measured = measures_table(dataset, index)["contrast"]
    app = open_page("errors")
    app.selectbox(key="quality").set_value("tenth with the least contrast").run()
    valid = index[index["split"] == "valid"]
    contrast = valid["sha1"].map(measured)
    low = set(valid.loc[contrast <= contrast.quantile(0.1), "study_id"])
    assert words(app).count('class="card"') == len(low & set(missed())) < everything


def test_a_press_that_is_told_twice_is_one_entry_and_one_undo(room, monkeypatch):
    """Streamlit runs a callback again where another run breaks into its own."""
    first = missed()[0]
    for name in ("_enter", "_undo"):
        once = getattr(verdicts, name)
        monkeypatch.setattr(verdicts, name, lambda *args, once=once: (once(*args), once(*args)))
    app = read(first)
    app.text_input(key="reviewer").set_value("Ana").run()
    app.text_area(key=f"note_{loader.token(first)}").set_value("a fissure").run()
    for study in missed()[:2]:
        app.button(key=key_of(study, "label_wrong")).click().run()
    kept = verdicts_table(open_store(), history=True)
    assert kept["study_id"].tolist() == missed()[:2] and kept["note"].tolist() == ["a fissure", ""]
    app.button(key="undo").click().run()
    assert verdicts_table(open_store())["study_id"].tolist() == missed()[:1]


def test_two_steps_that_are_heard_late_are_two_steps(room):
    third = missed()[2]
    app = read(missed()[0])
    button = app.button(key="next")
    app.session_state["study"] = missed()[1]
    button.click().run()
    assert app.text_input(key="study").value == third


def test_where_the_model_looked_lies_over_the_films_until_the_next_case(room, films):
    app = read(missed()[0])
    assert not any(film.get("over") for film in films[-1])
    app.button(key="looks").click().run()
    assert not app.exception and all(film["over"].startswith("data:image/png") for film in films[-1])
    assert "HiRes-CAM of the study" in words(app)
    app.button(key="next").click().run()
    assert not any(film.get("over") for film in films[-1])
    app.toggle(key="blind").set_value(True).run()
    assert "looks" not in {button.key for button in app.button}


@pytest.mark.parametrize(("width", "height"), [(40, 40), (60, 30), (30, 61)])
@pytest.mark.parametrize("fit", ["pad", "stretch", "crop"])
def test_a_map_is_laid_back_into_the_shape_of_its_film(fit, width, height):
    film = np.zeros((height, width), np.uint8)
    # A bright block in the middle, which every fit keeps.
    film[height // 2 - 5 : height // 2 + 5, width // 2 - 5 : width // 2 + 5] = 255
    back = as_film(to_square(film, 32, fit).astype(np.float32), width, height, fit)
    assert max(back.shape) == 32 and back.shape[1] / back.shape[0] == pytest.approx(width / height, rel=0.07)
    rows, columns = np.nonzero(back > 127)
    assert rows.mean() / back.shape[0] == pytest.approx(0.5, abs=0.06)
    assert columns.mean() / back.shape[1] == pytest.approx(0.5, abs=0.06)
    assert np.ptp(columns) == pytest.approx(10 * back.shape[1] / width, abs=2.5)


def test_where_a_login_is_configured_nobody_reads_without_it_and_its_name_is_the_readers(room, monkeypatch):
    visitor = SimpleNamespace(is_logged_in=False)
    monkeypatch.setattr("streamlit.user", visitor)
    study = missed()[0]
    app = read(study)
    assert not app.exception and app.button(key="log_in") and study not in words(app)
    visitor.is_logged_in, visitor.get = True, {"name": "Ana Ruiz", "email": "ana@example.org"}.get
    app.run()
    assert "Reading as Ana Ruiz" in words(app) and app.text_input(key="study").value == study
    app.button(key=key_of(study, "true_miss")).click().run()
    assert verdicts_table(open_store())["reviewer"].tolist() == ["Ana Ruiz"]
