"""The Calibration page: a scaling fitted on one split, evaluated on another, and the messages where that fails."""

import shutil

import numpy as np
import pandas as pd
import pytest

from core.scores.import_frame import Columns
from core.scores.source import find_source
from core.workflows.calibrate import calibrate
from core.workflows.import_scores import import_scores
from dashboard.calibration.words import verdict
from tests.dashboard.conftest import House, enter, open_page, words


@pytest.fixture(scope="module")
def made(built, tmp_path_factory):
    """`sure`: far too extreme, tune and valid; `alone`: one split; `ranks`: raw; `single`: one class in tune."""
    house = House(tmp_path_factory.mktemp("home"), built.checkpoints)
    # With a data set, no page makes the demo of a first start.
    shutil.copytree(built.home / "datasets", house.home / "datasets")
    with pytest.MonkeyPatch.context() as patch:
        enter(house, patch)
        random = np.random.default_rng(0)
        label = random.integers(0, 2, 900)
        frame = pd.DataFrame({"truth": label, "logit": 3 * random.normal(1.2 * label - 0.6, 1.0)})
        frame["study"], frame["patient"] = [f"s{i}" for i in range(900)], [f"p{i // 2}" for i in range(900)]
        frame["split"], frame["bone"] = np.where(np.arange(900) < 400, "tune", "valid"), "wrist"
        columns = Columns("truth", "logit", study="study", patient="patient", bone="bone", split="split")
        one_class = frame.assign(truth=np.where(frame["split"] == "tune", 1, frame["truth"]))
        for name, part, raw in (
            ("sure", frame, False), ("alone", frame[frame["split"] == "valid"], False), ("ranks", frame, True),
            ("single", one_class, False),
        ):  # fmt: skip
            part.to_csv(house.home / f"{name}.csv", index=False)
            import_scores(house.home / f"{name}.csv", name, columns, scale="raw" if raw else "logit")
    return house


@pytest.fixture
def home(made, monkeypatch):
    enter(made, monkeypatch)


@pytest.mark.parametrize("method", ["Temperature", "Platt"])
def test_the_page_shows_the_figures_of_the_command(home, method):
    app = open_page("calibration", data="sure (scores only)", method=method)
    facts = calibrate(find_source("sure"), method.lower())
    text = words(app)
    assert not app.exception and len(app.get("plotly_chart")) == 2
    key = "temperature" if method == "Temperature" else "slope"
    assert f"{method.replace('Platt', 'Slope')} {facts[key]:.3f} (" in text and "the scaling helps" in text
    assert f"{facts['before']['log_loss']:.4f}" in text and f"{facts['after']['log_loss']:.4f}" in text
    assert "too extreme" in text


def test_with_one_split_the_scores_are_shown_without_scaling(home):
    app = open_page("calibration", data="alone (scores only)")
    assert not app.exception and "There is no split other than valid" in words(app)
    assert len(app.get("plotly_chart")) == 1 and "<b>Before</b>" in words(app) and "<b>After</b>" not in words(app)


def test_raw_scores_and_one_class_are_messages(home):
    assert "These scores are not probabilities" in words(open_page("calibration", data="ranks (scores only)"))
    app = open_page("calibration", data="single (scores only)")
    assert not app.exception and "No scaling can be fitted on tune" in words(app) and "no normal" in words(app)


def test_the_split_and_the_bins_are_in_the_address(home):
    app = open_page("calibration", data="sure (scores only)", split="tune", fit_split="valid", bins="5")
    text = words(app)
    assert not app.exception and app.selectbox(key="fit_split").value == "valid" and app.number_input[0].value == 5
    assert "of valid" in text and "in 5 bins" in text


def test_a_sentence_without_an_interval_gives_the_reason():
    facts = {"slope": 1.2, "slope_low": np.nan, "slope_high": np.nan, "why": "slope: no interval: 9 abnormal studies"}
    assert verdict(facts, None, "", "valid") == ["<b>Before</b> Slope 1.20; No interval: 9 abnormal studies."]
