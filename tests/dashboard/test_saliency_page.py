"""The Saliency page: each level, refusals, and the verdict beside each map."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from streamlit.runtime.scriptrunner_utils import script_run_context

from core import jobs
from core.data.index import read_dataset
from core.data.input_spec import InputSpec
from core.errors import OverreadError
from core.explain.attribution import attribute
from core.explain.private_copy import count_hooks, private_copy
from core.models.checkpoint import read_checkpoint
from core.models.networks import build
from core.scores.classifier import Classifier
from core.scores.source import source_of
from core.workflows.trust import check_methods
from dashboard.saliency.charts import trust_curves
from dashboard.shared import maps as saliency
from dashboard.shared.overlay import PALETTES, full_strength, outline_png, overlay, palette_of, sheet_png
from tests.dashboard.conftest import open_page, words


def test_each_map_has_its_verdict_and_the_plain_question_answered(house):
    app = open_page("saliency", model="alpha")
    assert not app.exception
    said = words(app)
    assert said.count("Better than an edge detector on this image: <b>") == 2
    assert "Judging this map" not in said
    checks = app.dataframe[0].value
    assert {"Occlusion", "HiRes-CAM"} == set(checks["Method"]) and {"randomisation", "stability"} <= set(
        checks["Check"]
    )


def test_a_refused_method_says_why_and_the_page_lives_on(house):
    app = open_page("saliency", model="alpha", methods="Guided backpropagation")
    assert not app.exception
    said = words(app)
    assert "Guided backpropagation is refused: it changes the gradients of ReLUs only" in said and "Original" in said


def test_a_layer_that_is_not_there_offers_the_nearest(house):
    app = open_page("saliency", model="alpha", layer="block.6")
    assert not app.exception and "the nearest names are blocks.6" in words(app)


def test_a_map_that_cannot_be_judged_is_shown_and_said_not_to_be_trusted(house, monkeypatch):
    def too_large(*_, **__):
        raise OverreadError("The trust check does not fit into memory at 64 px; close other work.")

    monkeypatch.setattr("core.explain.faithfulness.check_map", too_large)
    for level in ("Radiograph", "Study"):
        app = open_page("saliency", model="alpha", level=level, baseline="blur", method="Layer activation")
        assert not app.exception
        said = words(app)
        assert "Not judged: do not trust this map" in said and "does not fit into memory" in said
        assert "Judging this map" not in said


def test_who_moves_on_does_not_wait_for_the_map(monkeypatch):
    """Streamlit's own exception ends the map half-way, and the next visitor's network has no hook of it."""

    class MovedOn(BaseException):
        pass

    asked = iter([lambda: None] * 2)

    def move_on():
        raise MovedOn

    monkeypatch.setattr(script_run_context, "get_run_yield_check", lambda: next(asked, move_on))
    network = Classifier(build("resnet10t").eval().requires_grad_(False), InputSpec(32), torch.device("cpu"))
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32)).astype(np.uint8)
    for method in ("occlusion", "guided_backprop", "deep_lift", "kernel_shap"):
        with pytest.raises(MovedOn):
            attribute(network, pixels, method, cancelled=saliency.moved_on)
    assert attribute(network, pixels, "saliency").map.any()
    assert not count_hooks(private_copy(network.model).model)


def test_a_study_is_explained_view_by_view(house):
    app = open_page("saliency", model="alpha", level="Study")
    assert not app.exception
    study = app.selectbox(key="study").value
    assert f"{words(app).count('<figure>')} radiographs" in words(app) and study
    app.selectbox(key="pooling").set_value("max").run()
    assert not app.exception and "max over" in words(app)


def test_a_cohort_is_judged_by_a_job_and_the_rows_are_kept(house, monkeypatch):
    # Without the worker's process, which has tests of its own.
    monkeypatch.setattr("dashboard.saliency.cohort.enqueue_check", check_methods)
    app = open_page("saliency", model="alpha", level="Cohort")
    assert not app.exception and "nothing judged yet" in words(app)
    app.slider(key="sample").set_value(10)
    app.button(key="judge").click().run(timeout=120)
    assert not app.exception
    app = open_page("saliency", model="alpha", level="Cohort", means="true")
    assert not app.exception and "10 radiographs of demo judged" in words(app)
    table = app.dataframe[0].value
    assert {"Grad-CAM", "Occlusion"} <= set(table["Method"]) and table["Better than edges"].str.contains("of|-").all()
    said = words(app)
    assert said.count("n = ") == 2 and "one by one" in said and "saliency?" in said


def test_a_running_job_is_shown_to_everybody_and_can_be_stopped(house):
    source = source_of(read_checkpoint(house.checkpoints / "alpha"), read_dataset("demo"))
    asked = {
        "checkpoint": str(source.folder),
        "data": "demo",
        "split": "valid",
        "sample": 40,
        "methods": ["grad_cam"],
    }
    with jobs.at_work("trust", asked, source.record()) as reporter:
        reporter.report(7, 40, "Grad-CAM on a radiograph")
        app = open_page("saliency", model="alpha", level="Cohort")
        assert not app.exception and app.button(key="judge").disabled
        app.button(key="stop_trust").click().run()
        assert reporter.stop_requested()
    assert "was stopped" in words(open_page("saliency", model="alpha", level="Cohort"))


def test_one_scale_for_a_study_and_none_below_the_least():
    weak, strong = np.full((4, 4), 0.1), np.full((4, 4), 1.0)
    top = full_strength(np.stack([weak, strong]))
    assert overlay(weak, "either way", top=top)[..., 3].max() < overlay(strong, "either way", top=top)[..., 3].min()
    assert not overlay(weak, "either way", "viridis", 0.5, top)[..., 3].any()
    assert all(table.shape == (256, 3) for table in PALETTES.values())


def test_the_sheet_holds_the_radiograph_and_each_map():
    pixels = np.full((8, 8), 100, np.uint8)
    maps = [(np.zeros((4, 4)), True), (np.ones((8, 8)), False)]
    seen = np.asarray(Image.open(io.BytesIO(sheet_png(pixels, maps, ("either way", "grey", 0.0), 0.5))))
    assert seen.shape == (8, 24, 3)
    assert (seen[:, :16] == 100).all() and (seen[:, 16:] > 150).all()


def test_curves_are_drawn_once_for_the_references_and_once_a_map():
    one = {way: [0.1, 0.5, 0.9] for way in ("insertion", "deletion")}
    curves = {name: dict.fromkeys(("map", "edges", "centre", "random"), one) for name in ("Grad-CAM", "Occlusion")}
    figure = trust_curves(curves)
    names = [line.name for line in figure.data]
    # The names of panels stand above, those of lines beneath: on one height they lay on each other.
    assert figure.layout.legend.y < 0 and figure.layout.legend.yanchor == "top" and figure.layout.margin.t > 30
    assert len(names) == 10 and names.count("Occlusion") == names.count("edge detector") == 2


def test_each_side_has_its_own_hue_and_a_magnitude_has_none():
    signed = np.array([[1.0, -1.0], [0.0, -0.5]])
    both = overlay(signed, "either way")
    assert both[0, 0, 0] > both[0, 0, 2] and both[0, 1, 2] > both[0, 1, 0] and both[1, 0, 3] == 0
    assert overlay(signed, "towards normal")[0, 0, 3] == 0
    assert palette_of("sides", False) == "magma" and palette_of("sides", True) == "sides"


def test_a_known_finding_is_outlined_around_and_not_on_it():
    mask = np.zeros((32, 32), bool)
    mask[8:16, 8:16] = True
    layer = np.asarray(Image.open(io.BytesIO(outline_png(mask, 320))))[..., 3]
    assert layer[74:82, 120].any() and not layer[120, 120] and not layer[10, 10]
