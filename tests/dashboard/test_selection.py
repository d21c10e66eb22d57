"""The line of what is looked at: what is shown first, operating points, and how a study's score is made."""

import shutil

import pytest
from streamlit.testing.v1 import AppTest

from core.data.index import read_dataset
from core.metrics.studies import study_table
from core.models.checkpoint import read_checkpoint
from core.paths import predictions_folder
from core.schema import split_order
from core.scores.first_shown import last_used
from core.scores.operating_points import lock
from core.scores.predictions import read_file
from core.scores.source import source_of
from core.scores.view import View
from core.workflows.thresholds import Criterion, choose_threshold
from tests.dashboard.conftest import HOME, House, enter, open_page, words

KEYS = ("data", "model", "split", "bone", "point", "aggregation")


@pytest.fixture
def own(built, tmp_path, monkeypatch) -> House:
    """A copy of the workspace and its checkpoints, in which thresholds can be locked."""
    copy = House(tmp_path / "home", tmp_path / "checkpoints")
    shutil.copytree(built.home, copy.home)
    shutil.copytree(built.checkpoints, copy.checkpoints)
    enter(copy, monkeypatch)
    return copy


def lock_point(house: House, rule: str):
    source = source_of(read_checkpoint(house.checkpoints / "alpha"), read_dataset("demo"))
    return lock(choose_threshold(View(source, "valid"), Criterion(rule)), "Ana")


def test_the_line_has_every_selector_on_every_page_above_its_heading(house):
    app = open_page("overview")
    assert [box.key for box in app.main.selectbox if box.key in KEYS] == list(KEYS)
    assert not app.sidebar.selectbox and app.main.slider[0].key == "threshold"
    app.switch_page("bones/page.py").run()
    assert [box.key for box in app.main.selectbox][: len(KEYS)] == list(KEYS)


def test_splits_are_in_one_order_and_parts_follow_their_split():
    names = ["train", "valid:verify", "odd", "tune", "valid", "valid:choose", "test"]
    assert split_order(names) == ["valid", "valid:choose", "valid:verify", "test", "tune", "train", "odd"]


def test_an_operating_point_sets_the_threshold_and_moving_it_leaves_the_point(own):
    point = lock_point(own, "youden")
    app = open_page("overview", point=point.id, threshold="0.9")
    assert not app.exception and app.slider(key="threshold").value == pytest.approx(point.threshold)
    assert app.selectbox(key="point").value == point.id and point.rule in words(app)
    assert f"another threshold than its operating point {point.id}" in words(app)
    app.slider(key="threshold").set_value(0.25).run()
    assert app.selectbox(key="point").value == "by hand" and app.slider(key="threshold").value == 0.25
    app.selectbox(key="point").set_value(point.id).run()
    assert app.slider(key="threshold").value == pytest.approx(point.threshold) and not app.exception


def test_a_threshold_set_by_a_page_is_one_by_hand(own):
    point = lock_point(own, "youden")
    app = open_page("threshold", point=point.id)
    app.number_input(key="threshold_exact").set_value(0.125).run()
    assert app.selectbox(key="point").value == "by hand" and app.slider(key="threshold").value == 0.125


def test_the_point_of_another_model_is_left_with_its_model(own):
    point = lock_point(own, "youden")
    app = open_page("threshold", point=point.id)
    app.selectbox(key="model").set_value("beta").run()
    assert not app.exception and app.selectbox(key="point").value == "by hand"


def test_the_score_of_a_study_is_made_as_chosen(house):
    frame = read_file(predictions_folder("demo") / "alpha.parquet").query("split == 'valid'")
    study = frame["study_id"][frame["study_id"].duplicated()].iloc[0]
    for way in ("max", "mean"):
        score = study_table(frame, way).set_index("study_id")["score"][study]
        app = open_page("errors", study=study, aggregation=way)
        assert not app.exception and f'<b class="loud">{score:.3f}</b>' in words(app)


def test_what_was_chosen_is_shown_first_at_the_next_visit(own):
    app = AppTest.from_file(HOME, default_timeout=60)
    app.session_state["reviewer"] = "Ana"
    app.query_params["data"] = "demo"
    app.run()
    assert app.selectbox(key="model").value == "alpha"
    app.selectbox(key="model").set_value("beta").run()
    assert last_used("reader:ana").models == {"demo": "beta"} and last_used("reader:ana").data == "demo"
    for reader, model in (("Ana", "beta"), ("Ben", "alpha")):
        again = AppTest.from_file(HOME, default_timeout=60)
        again.session_state["reviewer"] = reader
        again.query_params["data"] = "demo"
        assert again.run().selectbox(key="model").value == model
    again = AppTest.from_file(HOME, default_timeout=60)
    again.session_state["reviewer"] = "Ana"
    assert again.run().selectbox(key="data").value == "demo"
