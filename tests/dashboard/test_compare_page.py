"""The Compare page shows the figures of the command, and keeps every state in the address."""

import shutil
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from core.metrics.compare import calling_facts, discordant_table, match_studies
from core.metrics.studies import study_table
from core.paths import predictions_folder
from core.scores.import_frame import Columns
from core.scores.operating_points import lock
from core.scores.predictions import read_file
from core.scores.source import find_source
from core.scores.view import View
from core.workflows.import_scores import import_scores
from core.workflows.thresholds import Criterion, choose_threshold
from dashboard.compare.loader import _unlike
from tests.dashboard.conftest import House, enter, open_page, words


@pytest.fixture(scope="module")
def pair(built, tmp_path_factory):
    """The fixture's alpha, and `rival`: the same radiographs scored with more noise; both also without radiographs."""
    house = House(tmp_path_factory.mktemp("home") / "own", built.checkpoints)
    shutil.copytree(built.home, house.home)
    with pytest.MonkeyPatch.context() as patch:
        enter(house, patch)
        frame = read_file(predictions_folder("demo") / "alpha.parquet")
        noisy = frame.assign(logit=frame["logit"] + np.random.default_rng(0).normal(0, 1.5, len(frame)))
        columns = Columns("label", "logit", "study_id", "image_id", "patient_id", "bone", "split")
        for name, part in (("alone", frame), ("noisy", noisy), ("other-truth", noisy.assign(label=1 - noisy["label"]))):
            part.to_csv(house.home / f"{name}.csv", index=False)
            import_scores(house.home / f"{name}.csv", name, columns, scale="logit")
        import_scores(
            house.home / "noisy.csv", "rival", Columns("label", "logit", image="image_id"), scale="logit", data="demo"
        )
    return house, frame, noisy


@pytest.fixture
def both(pair, monkeypatch):
    enter(pair[0], monkeypatch)
    one, other = (study_table(frame.query("split == 'valid'")) for frame in pair[1:])
    return match_studies(one, other).studies


def test_the_page_shows_the_figures_of_the_comparison(both):
    app = open_page("compare", other="rival", other_threshold="0.4", split="valid")
    facts = calling_facts(both, 0.5, 0.4)
    text = words(app)
    assert not app.exception and f"{facts['fixed']:,} fixed, {facts['broken']:,} broken" in text
    assert (
        f"Of {facts['n_abnormal']:,} abnormal studies alpha finds {facts['tp_a']:,} and rival {facts['tp_b']:,}" in text
    )
    assert text.count('class="card"') == facts["fixed"]


def test_broken_studies_are_cards_that_open_the_study(both):
    app = open_page("compare", other="rival", change="Broken", split="valid")
    rows = discordant_table(both, 0.5, 0.5).query("change == 'broken'")
    text = words(app)
    assert not app.exception and text.count('class="card"') == len(rows) > 0
    assert all(f'data-study="{study}"' in text for study in rows["study_id"]) and "errors?data=demo" in text


def test_the_second_threshold_can_match_the_first_sensitivity(both):
    app = open_page("compare", other="rival", threshold="0.6", split="valid")
    app.button(key="other_alike").click().run()
    threshold = app.number_input(key="other_threshold").value
    abnormal = both[both["label"] == 1]
    wanted = (abnormal["score_a"] >= 0.6).sum()
    assert not app.exception and (abnormal["score_b"] >= threshold).sum() >= wanted
    assert (abnormal["score_b"] > threshold).sum() < wanted


def test_a_model_without_scores_offers_to_make_them(both):
    app = open_page("compare", other="beta")
    assert not app.exception and "beta has not scored demo yet" in words(app)


def test_scores_without_radiographs_are_compared_by_name(both):
    app = open_page("compare", data="alone (scores only)", other="noisy", split="valid")
    assert not app.exception and len(app.dataframe) == 1
    facts = calling_facts(both, 0.5, 0.5)
    assert len(app.dataframe[0].value) == facts["fixed"] and "only by noisy" in words(app)


def test_scores_of_the_same_file_are_offered_first_then_those_of_as_many_studies():
    def made(source_hash: str, rows: int):
        return SimpleNamespace(source_hash=source_hash, rows=rows, studies=rows, splits={"valid": rows})

    one = made("a", 10)
    likeness = [_unlike(one, other) for other in (made("a", 10), made("a", 9), made("b", 10), made("b", 9))]
    assert likeness == sorted(likeness) and len(set(likeness)) == 4


def test_different_labels_are_a_message(both):
    app = open_page("compare", data="alone (scores only)", other="other-truth", split="valid")
    assert not app.exception and "different labels for the two models" in words(app)


def test_the_page_goes_to_the_half_that_no_threshold_was_chosen_on(built, tmp_path, monkeypatch):
    house = House(tmp_path / "own", built.checkpoints)
    house.home.mkdir()
    enter(house, monkeypatch)
    random = np.random.default_rng(4)
    label = random.integers(0, 2, 200)
    for name in ("left", "right"):
        table = pd.DataFrame({"study": range(200), "y": label, "p": random.beta(2 + 2 * label, 4 - 2 * label)})
        table.to_csv(tmp_path / f"{name}.csv", index=False)
        import_scores(tmp_path / f"{name}.csv", name, Columns("y", "p", "study"))
    lock(choose_threshold(View(find_source("right"), ""), Criterion("youden")), "Ana")
    asked = {"data": "left (scores only)", "other": "right"}
    app = open_page("compare", **asked)
    assert not app.exception and app.selectbox(key="split").value == "valid:verify"
    assert "Compared on valid:verify: a threshold was chosen on the other half" in words(app)
    app.selectbox(key="split").set_value("valid").run()
    assert "chosen on valid:choose, which shares studies with valid" in words(app)
    app.button(key="compare_verify").click().run()
    assert app.selectbox(key="split").value == "valid:verify" and not app.exception
    # A link that names the split is kept, and the reason against it is shown.
    app = open_page("compare", split="valid", **asked)
    assert app.selectbox(key="split").value == "valid" and "which shares studies with valid" in words(app)


def test_no_second_model_says_so(built, tmp_path, monkeypatch):
    house = House(built.home, tmp_path / "checkpoints")
    shutil.copytree(built.checkpoints / "alpha", house.checkpoints / "alpha")
    enter(house, monkeypatch)
    app = open_page("compare")
    assert not app.exception and "There is no second model" in words(app)


def test_one_bone_is_the_comparison_of_that_bone(both):
    bone = both["bone"].value_counts().index[0]
    app = open_page("compare", other="rival", bone=bone, split="valid")
    facts = calling_facts(both[both["bone"] == bone], 0.5, 0.5)
    assert not app.exception and f"{facts['fixed']:,} fixed, {facts['broken']:,} broken" in words(app)
