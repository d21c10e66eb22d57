"""The Saliency page: each level, refused methods, and the verdict below each map."""

import io
import json

import numpy as np
import pytest
import torch
from PIL import Image
from streamlit.runtime.scriptrunner_utils import script_run_context
from typer.testing import CliRunner

from core import jobs
from core.__main__ import app as main
from core.data.index import read_dataset, read_index
from core.data.input_spec import InputSpec
from core.explain.attribution import attribute
from core.explain.map_record import MapKey, MapRecord
from core.explain.map_values import Attribution
from core.explain.overlay import PALETTES, full_strength, outline_png, overlay, palette_of, sheet_png
from core.explain.private_copy import count_hooks, private_copy
from core.models.checkpoint import read_checkpoint
from core.models.networks import build
from core.scores.classifier import Classifier
from core.scores.source import source_of
from core.workflows.trust import check_methods
from dashboard.saliency.charts import insertion_deletion_curves
from dashboard.shared import maps
from tests.dashboard.conftest import open_page, words
from tests.dashboard.maps_here import MapsHere


def test_each_map_has_a_verdict_and_is_compared_with_an_edge_detector(house):
    app = open_page("saliency", model="alpha")
    assert not app.exception
    shown = words(app)
    assert shown.count("Better than an edge detector on this image: <b>") == 2
    assert "Checking this map" not in shown
    checks = app.dataframe[0].value
    assert {"Occlusion", "HiRes-CAM"} == set(checks["Method"]) and {"randomisation", "stability"} <= set(
        checks["Check"]
    )


def test_a_refused_method_shows_its_reason_beside_the_radiograph(house):
    app = open_page("saliency", model="alpha", methods="Guided backpropagation")
    assert not app.exception
    shown = words(app)
    assert "Guided backpropagation is refused: it changes the gradients of ReLUs only" in shown and "Original" in shown


def test_an_unknown_layer_is_answered_with_the_nearest_names(house):
    app = open_page("saliency", model="alpha", layer="block.6")
    assert not app.exception and "the nearest names are blocks.6" in words(app)


def source(house):
    return source_of(read_checkpoint(house.checkpoints / "alpha"), read_dataset("demo"))


def test_a_map_that_cannot_be_checked_is_shown_as_not_trusted(house, monkeypatch):
    service = MapsHere(checks=False, failure="The map check does not fit into memory at 32 px; close other programs.")
    monkeypatch.setattr(maps, "map_service", lambda: service)
    for level in ("Radiograph", "Study"):
        app = open_page("saliency", model="alpha", level=level, baseline="blur", method="VarGrad", methods="VarGrad")
        assert not app.exception
        shown = words(app)
        assert "Not checked: do not trust this map" in shown and "does not fit into memory" in shown
        assert "Checking this map" not in shown


def test_the_page_and_the_command_have_one_verdict(house):
    """The page first, then the command, and the other way round; the figures are the same to the last digit."""
    app = open_page("saliency", model="alpha", methods="Gradient")
    image = app.selectbox(key="image").value
    row = read_index("demo").set_index("image_id").loc[image]
    file = f"{read_dataset('demo').root}/{row['path']}"
    for methods, first in (("Gradient", "page"), ("Input x gradient", "command")):
        name = {"Gradient": "saliency", "Input x gradient": "input_x_gradient"}[methods]
        if first == "page":
            app = open_page("saliency", model="alpha", methods=methods, image=image)
        done = CliRunner().invoke(main, ["explain", str(house.checkpoints / "alpha"), file, "--method", name, "--json"])
        (told,) = json.loads(done.stdout)["maps"]
        if first == "command":
            app = open_page("saliency", model="alpha", methods=methods, image=image)
        shown = words(app)
        assert ("This map holds up" if told["verdict"] == "holds up" else "Do not trust this map") in shown
        checks = app.dataframe[0].value.set_index("Check")
        for check in told["checks"]:
            assert checks.loc[check["name"], "Result"] == check["words"]
        assert list(checks.index) == [check["name"] for check in told["checks"]]


@pytest.mark.parametrize(("key", "what", "more"), [("image", "radiograph", {}), ("study", "study", {"level": "Study"})])
def test_a_radiograph_or_study_that_is_not_here_is_named_and_the_nearest_is_one_click_away(house, key, what, more):
    listed = open_page("saliency", model="alpha", **more).selectbox(key=key).options
    app = open_page("saliency", model="alpha", **more, **{key: f"{listed[-1]}x"})
    assert not app.exception and app.selectbox(key=key).value == listed[0]
    assert f"names the {what} &#x27;{listed[-1]}x&#x27;, which is not here" in words(app)
    app.button(key=f"address_near_{key}").click().run()
    assert not app.exception and app.selectbox(key=key).value == listed[-1] and "not here" not in words(app)


def test_a_film_stays_plain_where_its_map_does_not_hold_up(house):
    """The network is untrained, so no map holds up; a reader may look at it all the same."""
    app = open_page("saliency", model="alpha", methods="Gradient")
    shown = words(app)
    assert (
        "Do not trust this map" in shown
        and "the film is shown without it" in shown
        and 'alt="" style="opacity' not in shown
    )
    app.toggle(key="show_all").set_value(True).run()
    shown = words(app)
    assert (
        "Do not trust this map" in shown
        and "the film is shown without it" not in shown
        and 'alt="" style="opacity' in shown
    )


def test_a_visitor_who_changes_something_does_not_wait_for_the_map(monkeypatch):
    """Streamlit's exception ends the map half-way, and leaves no hook on the network of the next visitor."""

    class Outdated(BaseException):
        pass

    checks = iter([lambda: None] * 2)

    def end_run():
        raise Outdated

    monkeypatch.setattr(script_run_context, "get_run_yield_check", lambda: next(checks, end_run))
    network = Classifier(build("resnet10t").eval().requires_grad_(False), InputSpec(32), torch.device("cpu"))
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32)).astype(np.uint8)
    for method in ("occlusion", "guided_backprop", "deep_lift", "kernel_shap"):
        with pytest.raises(Outdated):
            attribute(network, pixels, method, cancelled=maps.end_outdated_run)
    assert attribute(network, pixels, "saliency").map.any()
    assert not count_hooks(private_copy(network.model).model)


def test_a_study_has_one_map_for_each_view(house):
    app = open_page("saliency", model="alpha", level="Study")
    assert not app.exception
    study = app.selectbox(key="study").value
    assert f"{words(app).count('<figure>')} radiographs" in words(app) and study
    app.selectbox(key="pooling").set_value("max").run()
    assert not app.exception and "max over" in words(app)


def test_a_job_checks_a_cohort_and_stores_the_rows(house, monkeypatch):
    # The job runs in this process; tests/test_jobs.py covers the worker.
    monkeypatch.setattr("dashboard.saliency.cohort.enqueue_check", check_methods)
    app = open_page("saliency", model="alpha", level="Cohort")
    assert not app.exception and "nothing checked yet" in words(app)
    app.slider(key="sample").set_value(10)
    app.button(key="check_sample").click().run(timeout=120)
    assert not app.exception
    app = open_page("saliency", model="alpha", level="Cohort", means="true")
    assert not app.exception and "10 radiographs of demo checked" in words(app)
    table = app.dataframe[0].value
    assert {"Grad-CAM", "Occlusion"} <= set(table["Method"]) and table["Better than edges"].str.contains("of|-").all()
    shown = words(app)
    assert shown.count("n = ") == 2 and "single maps" in shown and "saliency?" in shown


def test_every_visitor_sees_a_running_job_and_can_stop_it(house):
    about = source(house)
    asked = {
        "checkpoint": str(about.folder),
        "data": "demo",
        "split": "valid",
        "sample": 40,
        "methods": ["grad_cam"],
    }
    with jobs.at_work("trust", asked, about.record()) as reporter:
        reporter.report(7, 40, "Grad-CAM on a radiograph")
        app = open_page("saliency", model="alpha", level="Cohort")
        assert not app.exception and app.button(key="check_sample").disabled
        app.button(key="stop_trust").click().run()
        assert reporter.stop_requested()
    assert "was stopped" in words(open_page("saliency", model="alpha", level="Cohort"))


def test_the_maps_of_a_study_share_a_scale_and_weak_parts_are_hidden():
    weak, strong = np.full((4, 4), 0.1), np.full((4, 4), 1.0)
    top = full_strength(np.stack([weak, strong]))
    assert overlay(weak, "either way", top=top)[..., 3].max() < overlay(strong, "either way", top=top)[..., 3].min()
    assert not overlay(weak, "either way", "viridis", 0.5, top)[..., 3].any()
    assert all(table.shape == (256, 3) for table in PALETTES.values())


def test_the_downloaded_picture_has_the_radiograph_and_each_map():
    pixels = np.full((80, 80), 100, np.uint8)
    records = [record_of(np.zeros((4, 4)), True), record_of(np.ones((8, 8)), False)]
    seen = np.asarray(Image.open(io.BytesIO(sheet_png(pixels, records, ("either way", "grey", 0.0), 0.5))))
    assert seen.shape[1] == 240 and seen.shape[0] > 100
    assert (seen[:80, :160] == 100).all() and (seen[:80, 160:] > 150).all()
    # The verdict is written below each map, and nothing below the radiograph.
    assert (seen[80:, :80] == 255).all() and (seen[80:, 80:160] < 255).any() and (seen[80:, 160:] < 255).any()


def test_each_reference_and_each_map_is_one_line_in_each_panel():
    one = {way: [0.1, 0.5, 0.9] for way in ("insertion", "deletion")}
    curves = {name: dict.fromkeys(("map", "edges", "centre", "random"), one) for name in ("Grad-CAM", "Occlusion")}
    figure = insertion_deletion_curves(curves)
    names = [line.name for line in figure.data]
    # The titles of the panels are above and the legend below, since they would overlap at one height.
    assert figure.layout.legend.y < 0 and figure.layout.legend.yanchor == "top" and figure.layout.margin.t > 30
    assert len(names) == 10 and names.count("Occlusion") == names.count("edge detector") == 2


def record_of(values, signed: bool = True) -> MapRecord:
    found = Attribution("saliency", values.astype(np.float32), 0.0, "this radiograph's logit", "", signed)
    return MapRecord(MapKey("d", "{}", "s", "saliency"), found)


def test_each_side_has_its_own_hue_and_an_unsigned_map_has_none():
    signed = np.array([[1.0, -1.0], [0.0, -0.5]])
    both = overlay(signed, "either way")
    assert both[0, 0, 0] > both[0, 0, 2] and both[0, 1, 2] > both[0, 1, 0] and both[1, 0, 3] == 0
    assert overlay(signed, "towards normal")[0, 0, 3] == 0
    assert palette_of("sides", False) == "magma" and palette_of("sides", True) == "sides"


def test_the_outline_surrounds_a_known_finding():
    mask = np.zeros((32, 32), bool)
    mask[8:16, 8:16] = True
    layer = np.asarray(Image.open(io.BytesIO(outline_png(mask, 320))))[..., 3]
    assert layer[74:82, 120].any() and not layer[120, 120] and not layer[10, 10]
