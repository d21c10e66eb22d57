"""Every page opened through Home.py, as by a visitor: its text, and no traceback."""

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core import jobs
from core.checksums import read_json, write_json
from core.data.index import build_index, read_dataset, write_dataset
from core.data.joins import JoinReport
from core.metrics.evaluation import outcome_table
from core.metrics.studies import study_table
from core.paths import predictions_folder
from core.scores.predictions import read_file
from tests.conftest import write_radiograph
from tests.dashboard.conftest import HOME, PAGES, House, enter, open_page, words, write_checkpoint

NO_MODEL = ("overview", "dataset", "runs", "threshold", "errors")


@pytest.mark.parametrize("page", PAGES)
def test_a_page_opens_and_calls_phantoms_phantoms(house, page):
    app = open_page(page)
    assert not app.exception
    about_a_data_set = page not in ("import_scores",)
    assert len(app.title) == 1 and ("Phantom: synthetic, not a person" in words(app)) == about_a_data_set


def test_the_overview_shows_the_set_the_models_and_what_to_do(house):
    text = words(open_page("overview"))
    assert "Research use only" in text and "None found" in text
    assert "alpha" in text and "beta" in text and "Not scored on this data set yet" in text
    assert "(" in text and ", n = " in text


def test_a_choice_holds_across_pages(house):
    app = open_page("overview", bone="wrist", threshold="0.3")
    assert app.selectbox(key="bone").value == "wrist" and app.slider(key="threshold").value == 0.3
    app.switch_page("threshold/page.py").run()
    assert app.selectbox(key="bone").value == "wrist" and app.slider(key="threshold").value == 0.3
    assert app.number_input(key="threshold_exact").value == 0.3


def test_the_address_names_data_set_and_model_also_by_default(house):
    """The first data set and model change when more are indexed or trained; a link must not."""
    app = AppTest.from_file(HOME, default_timeout=60).run()
    assert {"data", "model"} <= set(app.query_params)
    app = open_page("threshold", model="beta", bone="wrist")
    assert app.selectbox(key="model").value == "beta" and app.selectbox(key="bone").value == "wrist"


def test_the_first_model_is_one_that_has_scored_the_set(built, tmp_path, monkeypatch):
    checkpoints = tmp_path / "checkpoints"
    shutil.copytree(built.checkpoints, checkpoints)
    enter(House(built.home, checkpoints), monkeypatch)
    write_checkpoint(checkpoints / "aardvark", read_dataset("demo"), seed=3)
    assert open_page("overview").selectbox(key="model").value == "alpha"


def test_moving_the_threshold_changes_what_is_found(house):
    app = open_page("threshold")
    before = words(app)
    app.number_input(key="threshold_exact").set_value(0.05).run()
    assert (
        not app.exception
        and app.slider(key="threshold").value == 0.05
        and app.number_input(key="threshold_exact").value == 0.05
    )
    assert words(app) != before and "at threshold 0.05" in words(app)


def test_a_rule_sets_the_threshold_exactly(house):
    app = open_page("threshold")
    app.selectbox(key="rule").set_value("Youden").run()
    app.button(key="rule_use").click().run()
    frame = study_table(read_file(predictions_folder("demo") / "alpha.parquet").query("split == 'valid'"))
    assert not app.exception and app.slider(key="threshold").value in set(frame["score"])


def test_a_rule_that_cannot_be_met_says_why(house):
    app = open_page("threshold")
    assert "Not feasible on valid" in app.warning[0].value and "are needed" in app.warning[0].value
    assert app.slider(key="threshold").value == 0.5


def test_errors_are_counted_and_filtered_by_bone(house):
    app = open_page("errors")
    studies = outcome_table(
        study_table(read_file(predictions_folder("demo") / "alpha.parquet").query("split == 'valid'")), 0.5
    )
    missed = studies[studies["outcome"] == "FN"].sort_values("score")
    assert words(app).count('class="card"') == len(missed) > 1
    assert missed["study_id"].iloc[0] in words(app)
    bone = missed["bone"].iloc[0]
    app.pills(key="bone_chip").set_value(bone).run()
    assert app.selectbox(key="bone").value == bone
    assert words(app).count('class="card"') == (missed["bone"] == bone).sum()


def test_a_study_opens_from_the_address_and_leads_to_the_next(house, films):
    studies = outcome_table(
        study_table(read_file(predictions_folder("demo") / "alpha.parquet").query("split == 'valid'")), 0.5
    )
    missed = studies[studies["outcome"] == "FN"].sort_values(["margin", "study_id"])
    first, second = missed["study_id"].iloc[:2]
    app = open_page("errors", study=first)
    assert not app.exception and app.text_input(key="study").value == first
    assert len(films[-1]) == missed["n_views"].iloc[0] and films[-1][0]["note"].startswith("Truth: ")
    assert app.button(key="previous").disabled
    app.button(key="next").click().run()
    assert app.text_input(key="study").value == second
    app.button(key="back").click().run()
    assert app.text_input(key="study").value == "" and 'class="card"' in words(app)


def test_a_study_of_another_outcome_still_opens(house):
    studies = outcome_table(
        study_table(read_file(predictions_folder("demo") / "alpha.parquet").query("split == 'valid'")), 0.5
    )
    found = studies.loc[studies["outcome"] == "TP", "study_id"].iloc[0]
    app = open_page("errors", study=found)
    assert app.text_input(key="study").value == found and app.button(key="next").disabled


@pytest.mark.parametrize("page", ("threshold", "errors", "saliency"))
def test_a_model_without_scores_offers_to_score_and_names_the_command(house, page):
    app = open_page(page, model="beta")
    assert not app.exception and "has not scored demo yet" in words(app)
    assert (
        app.button(key="score_now").label == "Score now"
        and "python -m core predict beta --data demo" in app.code[0].value
    )


def test_scoring_from_the_page_shows_the_scores(built, tmp_path, monkeypatch):
    own = House(tmp_path / "home", built.checkpoints)
    shutil.copytree(built.home / "datasets", own.home / "datasets")
    enter(own, monkeypatch)
    app = open_page("errors", data="cold")
    monkeypatch.setattr("core.jobs.queue.start_worker", lambda lane: None)
    assert not app.button(key="score_now").click().run().exception
    assert app.button(key="score_now").disabled and app.button(key="stop_score")
    jobs.work("scores")
    app.run()
    assert not app.exception and read_file(own.home / "predictions" / "cold" / "alpha.parquet")["logit"].notna().all()
    assert "Phantom" not in words(app) and app.pills(key="bone_chip").value == "all bones"


def test_a_bone_of_one_class_is_not_estimable_and_says_why(house):
    frame = read_file(predictions_folder("demo") / "alpha.parquet").query("split == 'valid'")
    kinds = frame.groupby("bone")["label"].nunique()
    bone = kinds[kinds == 1].index[0]
    app = open_page("threshold", bone=bone)
    assert not app.exception and "Not estimable" in words(app) and "The decision curve is not estimable" in words(app)


def test_a_bone_without_a_study_in_the_split_says_so(house):
    app = open_page("threshold", bone="finger", split="train")
    assert not app.exception and "No radiograph of finger in the split train" in words(app)
    app.switch_page("errors/page.py").run()
    assert not app.exception and app.pills(key="bone_chip").value == "finger"


def test_an_altered_checkpoint_is_named_and_the_others_work(built, tmp_path, monkeypatch):
    own = House(built.home, tmp_path / "checkpoints")
    shutil.copytree(built.checkpoints, own.checkpoints)
    (own.checkpoints / "beta" / "input_spec.json").write_text("{}")
    enter(own, monkeypatch)
    app = open_page("overview")
    assert not app.exception and "beta cannot be used" in words(app) and "was altered" in words(app)
    assert app.selectbox(key="model").options == ["alpha"]


@pytest.mark.parametrize("page", PAGES)
def test_without_a_checkpoint_a_page_says_how_to_get_one(built, tmp_path, monkeypatch, page):
    enter(House(built.home, tmp_path), monkeypatch)
    app = open_page(page)
    assert not app.exception
    if page not in ("dataset", "import_scores", "audit", "augmentation"):
        assert "python -m core train" in app.code[0].value


def test_without_a_data_set_the_demo_is_made_first(built, tmp_path, monkeypatch):
    enter(House(tmp_path / "home", built.checkpoints), monkeypatch)
    made = []

    def ensure_demo(advance, wait):
        advance(0.5, "drawing phantoms")
        made.append(shutil.copytree(built.home / "datasets", tmp_path / "home" / "datasets"))

    monkeypatch.setattr("core.demo.ensure_demo", ensure_demo)
    app = open_page("overview")
    assert made and not app.exception and app.title[0].value == "Overview"


def test_a_process_started_by_the_app_does_not_run_it_again():
    run = f"runpy.run_path({str(HOME)!r}, run_name='__mp_main__')"
    code = f"import runpy, sys; {run}; sys.exit('streamlit' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_damaged_index_is_a_message(built, tmp_path, monkeypatch):
    shutil.copytree(built.home / "datasets", tmp_path / "datasets")
    (tmp_path / "datasets" / "demo" / "index.parquet").write_bytes(b"not parquet")
    enter(House(tmp_path, built.checkpoints), monkeypatch)
    app = open_page("overview")
    assert not app.exception and "cannot be read" in words(app)


def test_the_same_seed_gives_the_same_samples(house):
    app = open_page("augmentation")
    first = words(app)
    app.number_input(key="seed").set_value(7).run()
    other = words(app)
    app.number_input(key="seed").set_value(0).run()
    assert words(app) == first != other and first.count('class="card"') == 13


def test_saliency_explains_the_radiograph_in_the_address(house):
    image = read_file(predictions_folder("demo") / "alpha.parquet").query("split == 'valid'")["image_id"].iloc[-1]
    app = open_page("saliency", image=image)
    assert not app.exception and app.selectbox(key="image").value == image
    assert words(app).count("<figure>") == 3 and "explains logit" in words(app)
    maps = words(app)
    app.slider(key="opacity").set_value(20).run()
    assert "--opacity:0.2" in words(app) and words(app).replace("--opacity:0.2", "--opacity:0.6") == maps


def test_names_from_a_data_set_are_escaped(built, tmp_path, monkeypatch):
    enter(House(tmp_path / "home", built.checkpoints), monkeypatch)
    name = "<img src=x onerror=alert(1)>.png"
    for place, file in enumerate((name, "b.png", "c.png", "d.png")):
        write_radiograph(tmp_path / "set" / file, np.random.default_rng(place), place % 2 == 0)
    rows = "".join(f"{file},{place % 2},wrist\n" for place, file in enumerate((name, "b.png", "c.png", "d.png")))
    (tmp_path / "set" / "labels.csv").write_text("path,label,bone\n" + rows)
    write_dataset("hostile", build_index(tmp_path / "set"))
    app = open_page("dataset", data="hostile")
    assert not app.exception and "<img src=x" not in words(app) and "&lt;img src=x" in words(app)


def test_pages_that_run_no_model_start_without_torch(built):
    code = f"""
import os, sys
sys.path.insert(0, {str(HOME.parent.parent)!r})
from pathlib import Path
os.environ["OVERREAD_HOME"] = {str(built.home)!r}
import core.paths
core.paths.CHECKPOINTS = Path({str(built.checkpoints)!r})
from streamlit.testing.v1 import AppTest
app = AppTest.from_file({str(HOME)!r}, default_timeout=60)
app.query_params["data"] = "demo"
app.run()
for page in {NO_MODEL[1:]!r}:
    assert not app.switch_page(f"{{page}}/page.py").run().exception, page
    assert app.title[0].value != "No model yet", page
found = sorted({{name.split(".")[0] for name in sys.modules}} & {{"torch", "timm", "captum", "torchvision"}})
assert not found, found
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(HOME).parent.parent)
    assert done.returncode == 0, done.stderr[-2000:]


def test_without_patient_names_there_is_no_verdict_on_leakage(built, monkeypatch, tmp_path):
    copy = House(tmp_path / "home", built.checkpoints)
    shutil.copytree(built.home, copy.home)
    enter(copy, monkeypatch)
    random = np.random.default_rng(0)
    for number in range(12):
        write_radiograph(tmp_path / f"{number}.png", random, number % 2 == 1)
    rows = "".join(f"{number}.png,hip,{number % 2}\n" for number in range(12))
    (tmp_path / "labels.csv").write_text("path,bone,label\n" + rows)
    write_dataset("unnamed", build_index(tmp_path / "labels.csv"))
    text = words(open_page("overview", data="unnamed"))
    assert "patients may overlap" in text
    assert "None found" not in text


@pytest.fixture
def spoilt(built, monkeypatch, tmp_path) -> Path:
    """A copy of the workspace that may be damaged."""
    copy = House(tmp_path / "home", built.checkpoints)
    shutil.copytree(built.home, copy.home)
    enter(copy, monkeypatch)
    return copy.home


def test_reviews_are_those_of_the_studies_until_a_prevalence_is_stated(house):
    frame = read_file(predictions_folder("demo") / "alpha.parquet").query("split == 'valid'")
    table = outcome_table(study_table(frame), 0.5)
    found, false_alarms = ((table["outcome"] == name).sum() for name in ("TP", "FP"))
    app = open_page("threshold")
    reviews = f'<div class="name">Reviews per find</div><div class="value">{(found + false_alarms) / found:.1f}</div>'
    assert reviews in words(app) and "at the prevalence of these studies" in words(app)
    app.number_input(key="prevalence").set_value(1.0).run()
    assert "at a prevalence of 1.0%" in words(app)
    assert not app.exception


def test_an_emptied_threshold_field_changes_nothing(house):
    app = open_page("threshold", threshold="0.3")
    app.number_input(key="threshold_exact").set_value(None).run()
    assert not app.exception
    assert app.slider(key="threshold").value == 0.3


@pytest.mark.parametrize(
    ("level", "rule", "text"), [("study", "", "those of studies"), ("image", "all", "if all of its radiographs are")]
)
def test_the_dataset_page_says_what_labels_are_about(spoilt, level, rule, text):
    result = build_index(next((spoilt / "phantoms").rglob("truth.parquet")).parent)
    write_dataset("demo", replace(result, label_level=level, study_rule=rule))
    assert text in words(open_page("dataset"))


@pytest.mark.parametrize("content", ["[]", '{"unreadable": ["a.png"]}', "{"])
def test_damaged_problems_are_a_message(spoilt, content):
    (spoilt / "datasets" / "demo" / "problems.json").write_text(content)
    app = open_page("dataset")
    assert not app.exception
    assert "Index the data set again" in words(app) + " ".join(box.value for box in app.error)


def test_a_damaged_truth_leaves_the_study_readable(spoilt):
    frame = read_file(spoilt / "predictions" / "demo" / "alpha.parquet").query("split == 'valid'")
    file = spoilt / "truth.parquet"
    root = next((spoilt / "phantoms").rglob("truth.parquet"), file)
    dataset = read_dataset("demo")
    write_dataset("demo", replace(build_index(root.parent), root=root.parent))
    root.write_bytes(root.read_bytes()[:200])
    store = read_dataset("demo")
    assert store.index_hash == dataset.index_hash
    app = open_page("errors", study=frame["study_id"].iloc[0])
    assert not app.exception
    assert "truth.parquet cannot be read" in words(app)


def test_damaged_scores_leave_the_other_pages_alone_and_offer_new_ones(spoilt):
    file = spoilt / "predictions" / "demo" / "alpha.parquet"
    file.write_bytes(file.read_bytes()[:200])
    assert not open_page("dataset").exception
    app = open_page("threshold")
    assert not app.exception
    assert "The stored scores cannot be used" in words(app)
    assert app.button(key="score_now")


def test_a_data_set_that_cannot_be_read_is_named(spoilt):
    (spoilt / "datasets" / "cold" / "dataset.json").write_text("{")
    assert "cold cannot be used" in words(open_page("overview"))


def test_the_dataset_page_measures_the_loss_at_each_size(house):
    app = open_page("dataset")
    assert "of edges left" in words(app) and "Share of abnormal radiographs in training" in words(app)
    app.toggle(key="measure_sizes").set_value(True).run()
    assert not app.exception and "Detail left at each input size" in words(app)


def test_the_dataset_page_shows_what_the_joins_of_the_index_did(house, tmp_path, monkeypatch):
    home = shutil.copytree(house.home, tmp_path / "home")
    enter(House(home, house.checkpoints), monkeypatch)
    file = home / "datasets" / "demo" / "problems.json"
    report = JoinReport("labels.csv and radiographs by AccessionNumber", 7, 3, 2, 1, 1, ())
    note = {"code": "ids-spreadsheet", "text": "4 ids look rounded"}
    write_json(file, {**read_json(file), "joins": [report.to_dict()], "notes": [note]})
    app = open_page("dataset", data="demo")
    assert any("7 rows matched" in expander.label for expander in app.expander) and not app.exception
    shown = next(frame.value for frame in app.dataframe if "Rows that match nothing" in frame.value)
    assert shown.iloc[0]["Contradictions"] == 1 and "4 ids look rounded." in words(app)
