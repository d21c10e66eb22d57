"""The kernels for NVIDIA GPUs, run by Triton's interpreter on a CPU, against the operations of torch.

tests/gpu compares the bits on a GPU. torch divides on a CPU where it multiplies by the reciprocal on a GPU, so that
interpolated pixels may round to a neighbouring level here.
"""

import importlib.util

import numpy as np
import pytest
import torch

from core.data.augment import PRESETS, Augmentation, make_plan, on_device, send_plan

pytest.importorskip("triton", reason="Triton comes with torch's build for NVIDIA GPUs")
CPU = torch.device("cpu")
EVERYTHING = Augmentation(
    perspective=0.3, crop=0.7, blur=0.02, sharpness=0.5, equalisation=0.3, clahe=0.5, noise=0.1, erasing=0.5
)


@pytest.fixture(scope="module")
def kernels():
    """The module of the kernels, made anew so that its functions are interpreted."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRITON_INTERPRET", "1")
        spec = importlib.util.find_spec("core.data.augment.fused")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield module


def both(kernels, augmentation, side):
    """Input of the network by the kernels and by torch's operations."""
    pixels = torch.from_numpy(np.random.default_rng(side).integers(0, 256, (9, side, side), dtype=np.uint8))
    rows = torch.tensor([3, 1, 7, 8, 0])
    plan = send_plan(make_plan(augmentation, [f"film {row}" for row in rows.tolist()], 0, 1, side), side, CPU)
    mean, deviation = 0.449, 0.226
    unit = on_device.apply_plan(pixels[rows], plan)
    one_over = torch.ones(()) / torch.tensor(deviation)
    return kernels.normalised(pixels, rows, plan, mean, deviation), (unit - mean) * one_over


@pytest.mark.parametrize("side", [33, 64])
@pytest.mark.parametrize(
    "augmentation",
    [PRESETS["none"], PRESETS["original_study"], Augmentation(noise=0.3, erasing=0.7, gamma=1, inversion=0.5)],
    ids=["none", "flips", "noise"],
)
def test_without_resampling_the_bits_are_equal(kernels, augmentation, side):
    one, other = both(kernels, augmentation, side)
    assert torch.equal(one, other)


@pytest.mark.parametrize("augmentation", [PRESETS["strong"], EVERYTHING], ids=["strong", "everything"])
def test_resampled_pixels_are_at_most_rounded_to_a_neighbour(kernels, augmentation):
    one, other = both(kernels, augmentation, 50)
    apart = (one - other).abs() * 0.226 * 255
    assert (apart > 0).float().mean() < 0.01 and torch.isfinite(one).all()


def test_pixels_outside_of_the_radiograph_are_black(kernels):
    pixels = torch.full((1, 20, 20), 255, dtype=torch.uint8)
    far = torch.tensor([[[1.0, 0, 1e9], [0, 1, -1e9], [0, 0, 1]]])
    assert not kernels.warped(pixels, torch.tensor([0]), far).any()
