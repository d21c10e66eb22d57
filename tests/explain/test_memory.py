"""Batches that do not fit into memory are halved with the same maps; a row that does not fit is an error."""

import numpy as np
import pytest
import torch
from torch import nn

from core.data.input_spec import InputSpec
from core.explain.attribution import attribute
from core.explain.grid_cam import cam_grid
from core.explain.memory import batch_that_fits, retry_with_smaller_batches
from core.explain.method_registry import MethodRefused
from core.explain.methods import METHODS
from core.explain.private_copy import count_hooks, private_copy
from core.explain.score_functions import radiograph_score
from core.models.networks import build
from core.scores.classifier import Classifier
from tests.refusals import refused

CPU = torch.device("cpu")
PIXELS = np.random.default_rng(1).integers(0, 256, (32, 32)).astype(np.uint8)
ALLOCATOR_MESSAGE = (
    "[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried to allocate 4."
)


class Narrow(nn.Module):
    """A network for which only so many radiographs fit into memory at once."""

    def __init__(self, inner: nn.Module, most: int):
        super().__init__()
        self.inner, self.most, self.widest = inner, most, 0

    def forward(self, x):
        if len(x) > self.most:
            raise RuntimeError(ALLOCATOR_MESSAGE)
        self.widest = max(self.widest, len(x))
        return self.inner(x)


@pytest.fixture(scope="module")
def inner():
    torch.manual_seed(0)
    return build("resnet10t").eval().requires_grad_(False)


def narrow(inner, most: int) -> Classifier:
    return Classifier(Narrow(inner, most).eval(), InputSpec(32), CPU)


@pytest.mark.parametrize(
    "method",
    ["occlusion", "integrated_gradients", "smooth_grad", "var_grad", "gradient_shap", "feature_ablation",
     "kernel_shap", "guided_grad_cam", "hires_cam"],
)  # fmt: skip
def test_batches_are_halved_and_the_map_stays_the_same(inner, method):
    wide = attribute(narrow(inner, 10_000), PIXELS, method)
    classifier = narrow(inner, 3)
    found = attribute(classifier, PIXELS, method)
    assert private_copy(classifier.model).model.widest <= 3
    assert found.note == wide.note
    # In half precision, a batch of another size rounds slightly differently.
    assert found.map == pytest.approx(wide.map, abs=0.02 * float(np.abs(wide.map).max()))
    assert not count_hooks(private_copy(classifier.model).model)


def test_deep_lift_needs_the_radiograph_and_its_baseline_in_one_batch(inner):
    with refused("out-of-memory", "DeepLIFT", "32 px") as caught:
        attribute(narrow(build("regnetx_002").eval(), 1), PIXELS, "deep_lift")
    assert not isinstance(caught.value, MethodRefused)


def test_a_radiograph_that_does_not_fit_is_an_error_and_the_next_map_works(inner):
    classifier = narrow(inner, 0)
    for method in METHODS:
        with refused("out-of-memory", "32 px") as caught:
            attribute(classifier, PIXELS, method)
        assert "\n" not in str(caught.value)
    private_copy(classifier.model).model.most = 1
    assert attribute(classifier, PIXELS, "saliency").map.any()


def test_checks_and_map_grids_are_halved_too(inner):
    films = np.stack([PIXELS, PIXELS.T, PIXELS[::-1]])
    for score in (lambda one: radiograph_score(one)(films), lambda one: cam_grid(one, films)):
        expected = score(narrow(inner, 100))
        assert score(narrow(inner, 1)) == pytest.approx(expected, abs=1e-4 * float(np.abs(expected).max()))
        with refused("out-of-memory", "32 px"):
            score(narrow(inner, 0))


def test_other_errors_are_not_caught():
    def breaks(rows):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        retry_with_smaller_batches(breaks, 64, "A map", 32)


def test_the_batch_shrinks_with_the_image_size():
    assert (
        batch_that_fits(224) == 8
        and batch_that_fits(448) == 2
        and batch_that_fits(64) == 64
        and batch_that_fits(4096) == 1
    )
    assert batch_that_fits(224, views=4) == 2
