"""Every method on many families gives a finite map or a refusal with a reason, and leaves no hook."""

import threading

import numpy as np
import pytest
import torch
from torch import nn

from core.data.input_spec import InputSpec
from core.explain import methods
from core.explain.attribution import attribute, attribute_study
from core.explain.attribution_target import MapCancelled
from core.explain.layers import find_layer
from core.explain.map_values import MapSettings
from core.explain.method_registry import MethodRefused
from core.explain.methods import METHODS
from core.explain.private_copy import count_hooks, private_copy
from core.models.networks import POOLINGS, build
from core.scores.classifier import Classifier
from tests.explain.families import FAMILIES, RARE_LAYERS, classifier_of, family_parameters
from tests.refusals import refused

CPU = torch.device("cpu")
PIXELS = np.random.default_rng(1).integers(0, 256, (64, 64)).astype(np.uint8)


@pytest.mark.parametrize("family", family_parameters(dict.fromkeys(FAMILIES, ())))
def test_every_method_gives_a_map_or_a_reason(family):
    classifier = classifier_of(family)
    pixels = np.random.default_rng(1).integers(0, 256, (classifier.spec.size,) * 2).astype(np.uint8)
    before = classifier.logits(pixels[None])
    for name in METHODS:
        refusal = None
        try:
            found = attribute(classifier, pixels, name)
        except MethodRefused as error:
            refusal = error
        if refusal:
            assert name in {"guided_backprop", "guided_grad_cam", "deep_lift", "integrated_gradients"}
            assert len(str(refusal)) > 60
        else:
            assert found.map.shape == pixels.shape and found.map.dtype == np.float32 and np.isfinite(found.map).all()
            assert found.value == pytest.approx(before[0], rel=1e-4, abs=1e-4)
        assert not count_hooks(classifier.model)
    assert (classifier.logits(pixels[None]) == before).all()


@pytest.mark.parametrize(
    ("family", "layer", "cells"),
    family_parameters(RARE_LAYERS),
)
def test_methods_that_use_a_layer_find_it_in_rarer_families(family, layer, cells):
    classifier = classifier_of(family)
    side = classifier.spec.size
    pixels = np.random.default_rng(1).integers(0, 256, (side, side)).astype(np.uint8)
    before = classifier.logits(pixels[None])
    found = attribute(classifier, pixels, "grad_cam")
    assert found.layer == layer and found.note.startswith(f"{cells} x {cells} cells") and found.map.any()
    for name in ("hires_cam", "saliency", "guided_backprop", "deep_lift"):
        try:
            one = attribute(classifier, pixels, name).map
        except MethodRefused:
            one = name in {"guided_backprop", "deep_lift"}
        assert np.any(one)
    assert not count_hooks(private_copy(classifier.model).model) and (classifier.logits(pixels[None]) == before).all()


def test_deep_lift_refuses_a_relu_over_a_table():
    """Swin v2 has a ReLU over its position table, where Captum's hooks fail: it does not depend on the radiograph."""

    class Table(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.act, self.head = nn.Linear(2, 4), nn.ReLU(), nn.Linear(64, 4)

        def forward(self, x):
            return (self.head(x.flatten(1)) * self.act(self.table(torch.ones(1, 2)))).sum(1, keepdim=True)

    with refused("deep-lift-unsuitable", "ReLU", "does not depend on the radiograph"):
        attribute(Classifier(Table().eval(), InputSpec(8), CPU), PIXELS[:8, :8], "deep_lift")


@pytest.mark.parametrize(
    ("architecture", "method"),
    [
        ("efficientnet_b0", "guided_backprop"),
        ("convnext_atto", "guided_backprop"),
        ("small_cnn", "guided_grad_cam"),
        ("mobilenetv2_035", "guided_backprop"),
        ("convnext_atto", "deep_lift"),
        ("efficientnet_b0", "deep_lift"),
    ],
)
def test_a_method_that_would_silently_compute_something_else_is_refused(architecture, method):
    code = "deep-lift-unsuitable" if method == "deep_lift" else "guided-backprop-unsuitable"
    with refused(code) as caught:
        attribute(Classifier(build(architecture).eval(), InputSpec(64), CPU), PIXELS, method)
    assert isinstance(caught.value, MethodRefused)


def test_deep_lift_refuses_a_relu_that_is_used_twice():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second, self.act = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3), nn.ReLU()
            self.head = nn.Linear(4, 1)

        def forward(self, x):
            return self.head(self.act(self.second(self.act(self.first(x)))).mean((2, 3)))

    with refused("deep-lift-unsuitable", "ReLU module is used more than once"):
        attribute(Classifier(Twice().eval(), InputSpec(16), CPU), PIXELS[:16, :16], "deep_lift")


def test_guided_backpropagation_refuses_a_relu_without_a_module():
    class Functional(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.act, self.head = nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Linear(4, 1)

        def forward(self, x):
            return self.head(torch.relu(self.act(self.first(x)) - 0.1).mean((2, 3)))

    with refused("guided-backprop-unsuitable", "1 ReLU calls"):
        attribute(Classifier(Functional().eval(), InputSpec(16), CPU), PIXELS[:16, :16], "guided_backprop")


class Plain(nn.Module):
    """Linear, ReLU, linear: DeepLIFT and guided backpropagation follow by hand."""

    def __init__(self):
        super().__init__()
        self.flat, self.act, self.head = nn.Flatten(), nn.ReLU(), nn.Linear(2, 1, bias=False)
        self.first = nn.Linear(64, 2, bias=False)
        self.first.weight.data = torch.stack([torch.ones(64), -torch.ones(64)]) / 64
        self.head.weight.data = torch.tensor([[3.0, -2.0]])

    def forward(self, x):
        return self.head(self.act(self.first(self.flat(x))))


def test_deep_lift_and_guided_backpropagation_by_hand():
    classifier = Classifier(Plain().eval(), InputSpec(8, mean=0.0, std=1.0), CPU)
    pixels = np.full((8, 8), 51, np.uint8)  # 0.2 everywhere, so the first unit gives 0.2 and the second 0
    lifted = attribute(classifier, pixels, "deep_lift")
    assert lifted.map == pytest.approx(np.full((8, 8), 3 * 0.2 / 64), rel=1e-5) and lifted.gap < 1e-5
    guided = attribute(classifier, pixels, "guided_backprop")
    assert guided.map == pytest.approx(np.full((8, 8), 3 / 64), rel=1e-5)
    assert attribute(classifier, pixels, "input_x_gradient").map == pytest.approx(np.full((8, 8), 0.6 / 64), rel=1e-5)


def test_baselines_are_pictures():
    classifier = Classifier(Plain().eval(), InputSpec(8, mean=0.0, std=1.0), CPU)
    pixels = np.full((8, 8), 51, np.uint8)
    for baseline in ("blur", pixels):
        # A flat radiograph equals its own blur, so there is no difference to attribute.
        assert not attribute(classifier, pixels, "input_x_gradient", MapSettings(baseline=baseline)).map.any()
    grey = Classifier(classifier.model, InputSpec(8, mean=0.2, std=1.0), CPU)
    assert np.abs(attribute(grey, pixels, "input_x_gradient", MapSettings(baseline="grey")).map).max() < 1e-9
    with refused("baseline-unknown", "white noise", "black, blur, grey"):
        attribute(classifier, pixels, "input_x_gradient", MapSettings(baseline="white noise"))
    with refused("baseline-malformed", "[4, 4]", "[8, 8]"):
        attribute(classifier, pixels, "input_x_gradient", MapSettings(baseline=np.zeros((4, 4), np.uint8)))


@pytest.mark.parametrize("aggregation", POOLINGS)
def test_a_study_is_explained_through_its_pooling(aggregation):
    """For every pooling, the gradient of the study's logit follows from those of the views by the chain rule."""
    import pandas as pd
    from scipy.special import expit, logit

    from core.metrics.studies import study_table

    torch.manual_seed(3)
    model = build("resnet10t").eval()
    classifier = Classifier(model, InputSpec(32), CPU)
    views = np.random.default_rng(4).integers(0, 256, (3, 32, 32)).astype(np.uint8)
    logits = classifier.logits(views)
    frame = pd.DataFrame({"study_id": "s", "patient_id": "p", "group_id": "p", "bone": "wrist", "split": "valid",
                          "label": 1.0, "logit": logits})  # fmt: skip

    def score(values):
        return float(study_table(frame.assign(logit=values), aggregation)["score"].iloc[0])

    maps = attribute_study(classifier, views, "saliency", aggregation)
    assert expit(maps[0].value) == pytest.approx(score(logits), abs=1e-5)
    step = 1e-4
    for place, found in enumerate(maps):
        ahead, behind = logits.copy(), logits.copy()
        ahead[place] += step
        behind[place] -= step
        weight = (logit(score(ahead)) - logit(score(behind))) / (2 * step)
        own = attribute(classifier, views[place], "saliency").map
        assert found.map == pytest.approx(weight * own, abs=2e-3 * float(np.abs(own).max()))


def test_a_study_of_an_attention_network_is_explained_through_its_weights():
    """The gradient of the weighted logit, including the weights, equals a finite difference of the study's score."""
    torch.manual_seed(3)
    classifier = Classifier(build("attention", {"backbone": "resnet10t"}).eval(), InputSpec(32), CPU)
    views = np.random.default_rng(4).integers(0, 256, (3, 32, 32)).astype(np.uint8)
    outputs = classifier.scores(views)
    weight = np.exp(outputs[:, 1]) / np.exp(outputs[:, 1]).sum()
    maps = attribute_study(classifier, views, "saliency", "attention")
    assert maps[0].value == pytest.approx(float((weight * outputs[:, 0]).sum()), rel=1e-4)
    assert len(attribute_study(classifier, views, "grad_cam", "attention")) == 3
    inputs = classifier.tensor(views).double()
    moved = inputs + 1e-4 * torch.randn(inputs.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    model, all_in_one = classifier.model.double(), torch.zeros(3, dtype=torch.int64)
    with torch.no_grad():
        change = float(model(moved, all_in_one, 1) - model(inputs, all_in_one, 1))
    along = sum((found.map * (moved - inputs)[place, 0].numpy()).sum() for place, found in enumerate(maps))
    assert along == pytest.approx(change, rel=0.05)
    model.float()
    with refused("aggregation-unknown", "attention"):
        attribute_study(Classifier(build("resnet10t").eval(), InputSpec(32), CPU), views, "saliency", "attention")


def test_every_method_explains_a_study_or_gives_a_reason():
    torch.manual_seed(0)
    classifier = Classifier(build("resnet10t").eval(), InputSpec(32), CPU)
    views = np.random.default_rng(4).integers(0, 256, (2, 32, 32)).astype(np.uint8)
    for name in METHODS:
        try:
            maps = attribute_study(classifier, views, name)
        except MethodRefused:
            assert name == "deep_lift"
        else:
            assert [found.map.shape for found in maps] == [(32, 32)] * 2 and maps[
                0
            ].explains == "the study's score (mean)"


def test_concurrent_callers_get_their_own_maps():
    torch.manual_seed(0)
    classifier = Classifier(build("resnet10t").eval().requires_grad_(False), InputSpec(32), CPU)
    films = np.random.default_rng(5).integers(0, 256, (4, 32, 32)).astype(np.uint8)
    names = ["guided_backprop", "integrated_gradients", "grad_cam", "smooth_grad"]
    alone = {(n, i): attribute(classifier, films[i], n).map for n in names for i in range(4)}
    logits = classifier.logits(films)
    wrong = []

    def caller(number):
        for turn in range(4):
            name, film = names[(number + turn) % 4], (number * 3 + turn) % 4
            if not np.allclose(attribute(classifier, films[film], name).map, alone[name, film], atol=1e-6):
                wrong.append((name, film))
            # Scoring at the same time must never run through a hook.
            if not (classifier.logits(films) == logits).all():
                wrong.append("scores")

    callers = [threading.Thread(target=caller, args=(number,)) for number in range(4)]
    for one in callers:
        one.start()
    for one in callers:
        one.join()
    assert not wrong


def test_a_method_that_fails_leaves_no_hook(monkeypatch):
    classifier = Classifier(build("resnet10t").eval().requires_grad_(False), InputSpec(32), CPU)
    used = private_copy(classifier.model).model

    def breaks(request):
        used.layer4.register_forward_hook(lambda *_: None)
        raise RuntimeError("in the middle")

    monkeypatch.setitem(
        METHODS, "saliency", METHODS["saliency"].__class__(**{**vars(METHODS["saliency"]), "call": breaks})
    )
    with pytest.raises(RuntimeError, match="in the middle"):
        attribute(classifier, PIXELS[:32, :32], "saliency")
    assert private_copy(classifier.model).model is not used and not count_hooks(private_copy(classifier.model).model)


def test_a_map_can_be_cancelled():
    classifier = Classifier(build("resnet10t").eval().requires_grad_(False), InputSpec(32), CPU)
    asked = iter([False])
    with pytest.raises(MapCancelled):
        attribute(classifier, PIXELS[:32, :32], "occlusion", cancelled=lambda: next(asked, True))
    assert not count_hooks(private_copy(classifier.model).model)
    assert attribute(classifier, PIXELS[:32, :32], "saliency").map.any()


def test_a_layer_can_be_named_and_an_unknown_name_lists_the_nearest():
    classifier = Classifier(build("resnet10t").eval(), InputSpec(64), CPU)
    assert attribute(classifier, PIXELS, "grad_cam", MapSettings(layer="layer2")).note.startswith(
        "8 x 8 cells, from layer2"
    )
    with refused("layer-unknown", "'layer44'", "layer4"):
        attribute(classifier, PIXELS, "grad_cam", MapSettings(layer="layer44"))
    with refused("layer-without-map", "'fc'"):
        attribute(classifier, PIXELS, "grad_cam", MapSettings(layer="fc"))


@pytest.mark.parametrize(
    ("architecture", "options", "layout", "layer"),
    [
        ("vit_tiny_patch16_224", {"img_size": 64}, "tokens", "blocks.11.norm1"),
        ("swin_tiny_patch4_window7_224", {"img_size": 64, "window_size": 2}, "channels last", "norm"),
        ("densenet121", {}, "maps", "features.norm5.act"),
        ("mobilenetv2_035", {}, "maps", "bn2.act"),
        ("convnext_atto", {}, "maps", "stages.3.blocks.1"),
    ],
)
def test_the_layer_is_the_last_map_whose_places_move_the_logit(architecture, options, layout, layer):
    found = find_layer(private_copy(build(architecture, options).eval()).model, torch.randn(1, 1, 64, 64))
    assert (found.layout, found.name) == (layout, layer)


def test_a_layer_has_the_requested_number_of_cells_where_one_exists():
    model = private_copy(build("resnet10t").eval()).model
    asked = torch.randn(1, 1, 64, 64)
    assert find_layer(model, asked).height == 2
    assert [find_layer(model, asked, min_cells=cells).height for cells in (4, 5, 16)] == [4, 8, 16]
    assert find_layer(model, asked, min_cells=640).height == 2


@pytest.mark.parametrize(
    ("architecture", "layer", "block"),
    [
        ("mobilenetv2_035", "blocks.2.2", True),
        ("resnet10t", "layer2.0.act2", True),
        # A LayerNorm ignores the scale of its input, so gradient times input sums to zero before it.
        ("convnext_atto", "stages.2.downsample.0", False),
        ("convnext_zepto_rms", "stages.2.downsample.0", False),
    ],
)
def test_a_layer_with_small_cells_is_a_block_and_not_a_step_inside_one(architecture, layer, block):
    model = private_copy(build(architecture).eval()).model
    found = find_layer(model, torch.randn(1, 1, 64, 64), min_cells=8)
    assert (found.name, found.height, found.block) == (layer, 8, block)


def test_integrated_gradients_with_a_gap_are_refused(monkeypatch):
    class Jump(nn.Module):
        def forward(self, x):
            mean = x.mean((1, 2, 3))[:, None]
            return mean + 50 * (mean > 0.5).float()

    classifier = Classifier(Jump(), InputSpec(16, mean=0.0, std=1.0), CPU)
    monkeypatch.setattr(methods, "IG_STEPS", (8, 16))
    with refused("map-incomplete", "5%"):
        attribute(classifier, np.full((16, 16), 255, np.uint8), "integrated_gradients")
