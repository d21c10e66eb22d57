import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from core.data.input_spec import InputSpec
from core.explain.attribution import attribute
from core.scores.classifier import Classifier
from tests.refusals import refused

CPU = torch.device("cpu")


class ByHand(nn.Module):
    """A 1x1 convolution to two channels, the mean over the image and a linear head: all maps follow by hand."""

    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(1, 2, 1, bias=False)
        self.rectifier = nn.ReLU()
        self.head = nn.Linear(2, 1, bias=False)
        self.convolution.weight.data = torch.tensor([[[[1.0]]], [[[-1.0]]]])
        self.head.weight.data = torch.tensor([[3.0, 2.0]])

    def forward(self, x):
        return self.head(self.rectifier(self.convolution(x)).mean((2, 3)))


HAND = Classifier(ByHand().eval().requires_grad_(False), InputSpec(16, mean=0.5, std=0.25), CPU)
PIXELS = np.random.default_rng(0).integers(0, 256, (16, 16)).astype(np.uint8)
NORMALISED = (PIXELS / 255 - 0.5) / 0.25


def test_grad_cam_by_hand():
    # The weight of a channel is the mean gradient of the logit over the 256 cells, head / 256. The sum is not clipped.
    by_hand = (3 * np.maximum(NORMALISED, 0) + 2 * np.maximum(-NORMALISED, 0)) / 256
    found = attribute(HAND, PIXELS, "grad_cam")
    assert found.map == pytest.approx(by_hand, abs=1e-6)
    # The gradient is the same at every place here, so HiRes-CAM equals Grad-CAM.
    assert attribute(HAND, PIXELS, "hires_cam").map == pytest.approx(by_hand, abs=1e-6)
    assert found.value == pytest.approx(
        (3 * np.maximum(NORMALISED, 0) + 2 * np.maximum(-NORMALISED, 0)).mean(), rel=1e-5
    )


def test_hires_cam_weighs_each_place_by_its_own_gradient():
    """With a head that reads one quarter of the map, Grad-CAM marks every quarter and HiRes-CAM only that one."""

    class Quarter(nn.Module):
        def __init__(self):
            super().__init__()
            self.act = nn.ReLU()

        def forward(self, x):
            return self.act(x)[:, :, :8, :8].mean((2, 3))

    classifier = Classifier(Quarter().eval(), InputSpec(16, mean=0.0, std=1.0), CPU)
    pixels = np.full((16, 16), 255, np.uint8)
    fine = attribute(classifier, pixels, "hires_cam").map
    assert fine[:8, :8] == pytest.approx(1 / 64, rel=1e-5) and not fine[8:].any() and not fine[:, 8:].any()
    assert attribute(classifier, pixels, "grad_cam").map[12, 12] > 0


def test_saliency_by_hand():
    assert attribute(HAND, PIXELS, "saliency").map == pytest.approx(np.where(NORMALISED > 0, 3, -2) / 256, abs=1e-7)


def test_integrated_gradients_sum_to_the_change_from_black():
    found = attribute(HAND, PIXELS, "integrated_gradients")
    black = 2 * 2.0  # -(0 - .5) / .25 = 2 in the second channel everywhere, times its weight
    assert found.map.sum() == pytest.approx(found.value - black, abs=0.05)
    assert "from black" in found.note


def test_occlusion_finds_the_pixels_behind_the_logit():
    pixels = np.zeros((16, 16), np.uint8)
    pixels[4:8, 8:12] = 255
    found = attribute(HAND, pixels, "occlusion").map
    assert found[4:8, 8:12].min() > np.abs(found[10:, :6]).max() == 0


def test_an_unknown_method_and_a_network_without_maps_are_refused():
    with refused("saliency-method-unknown", "'tea_leaves'", "hires_cam"):
        attribute(HAND, PIXELS, "tea_leaves")
    with refused("no-feature-map", "Sequential"):
        attribute(Classifier(nn.Sequential(nn.Flatten(), nn.Linear(256, 1)), InputSpec(16), CPU), PIXELS, "grad_cam")


class Kinked(nn.Module):
    """A logit with a kink near the end of the line from black, which a sum over few steps misses."""

    def forward(self, x):
        return torch.relu(x.mean((1, 2, 3), keepdim=False)[:, None] - 1.6) * 100


def test_integrated_gradients_take_more_steps_where_few_leave_a_gap():
    classifier = Classifier(Kinked(), InputSpec(16, mean=0.5, std=0.25), CPU)
    found = attribute(classifier, np.full((16, 16), 255, np.uint8), "integrated_gradients")
    assert found.value == pytest.approx(40, rel=1e-4)
    assert found.gap <= 0.05
    assert found.note.startswith("128 steps")
    assert found.map.sum() == pytest.approx(40, rel=0.05)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_the_first_map_on_a_gpu_gives_no_warning():
    # In a process of its own: only the first backward pass of a process could warn.
    code = """if True:
        import numpy as np, torch
        from core.data.input_spec import InputSpec
        from core.explain.attribution import attribute
        from core.models.networks import build
        from core.scores.classifier import Classifier
        network = Classifier(build("resnet10t").eval().cuda(), InputSpec(64, mean=0.5, std=0.25), torch.device("cuda"))
        attribute(network, np.zeros((64, 64), np.uint8), "hires_cam")"""
    repository = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, check=True)
    assert "Warning" not in done.stderr
