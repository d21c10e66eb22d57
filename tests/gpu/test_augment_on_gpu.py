"""Augmentation on a GPU: the fused kernels against torch's operations, and the GPU against the CPU."""

from dataclasses import fields

import numpy as np
import pytest
import torch

from core.data.augment import LIMITS, PRESETS, Augmentation, apply, make_plan, on_device, send_plan
from tests.data.test_augment_operations import films

MIXING = {"mixup", "mixup_alpha", "cutmix"}


def drawn(seed: int) -> Augmentation:
    """An augmentation with about half of its fields set, within their limits."""
    random = np.random.default_rng(seed)
    values = {}
    for field in fields(Augmentation):
        low, high = LIMITS[field.name]
        if field.name not in MIXING and random.random() < 0.5:
            values[field.name] = float(low + (high - low) * random.random())
    return Augmentation(**values)


def plan_of(augmentation: Augmentation, count: int, side: int, device: torch.device):
    return send_plan(make_plan(augmentation, [f"film {n}" for n in range(count)], 3, 2, side), side, device)


@pytest.mark.parametrize("side", [33, 64, 224, 320])
@pytest.mark.parametrize("spec", [*PRESETS, *range(12)], ids=str)
def test_the_kernels_have_the_bits_of_torchs_operations(card, spec, side):
    from core.data.augment import fused

    augmentation = PRESETS[spec] if spec in PRESETS else drawn(spec)
    random = np.random.default_rng(side)
    pixels = torch.from_numpy(random.integers(0, 256, (40, side, side), dtype=np.uint8)).to(card)
    rows = torch.from_numpy(random.permutation(40)[:24]).to(card)
    plan = plan_of(augmentation, 24, side, card)
    found = fused.normalised(pixels, rows, plan, 0.449, 0.226)
    wanted = on_device.apply_plan(pixels[rows], plan).sub_(0.449).div_(0.226)
    assert torch.equal(found, wanted), f"{(found != wanted).float().mean():.2e} of the pixels differ"


@pytest.mark.parametrize("seed", range(100, 106))
def test_gpu_and_cpu_agree_to_one_grey_level(card, seed):
    augmentation = drawn(seed).without_mixing
    # A steep table of grey levels and histogram steps turn one level into many, so they are left out here.
    steep = {"gamma", "contrast", "equalisation", "clahe", "sharpness"}
    augmentation = Augmentation(**{name: value for name, value in augmentation.to_dict().items() if name not in steep})
    pixels = torch.from_numpy(films(count=12, side=128))
    ids = [f"film {number}" for number in range(12)]
    one, other = apply(augmentation, pixels, ids, 0, 1), apply(augmentation, pixels.to(card), ids, 0, 1).cpu()
    apart = (one - other).abs().numpy() * 255
    assert np.quantile(apart, 0.99) <= 1.01 and apart.mean() < 0.3


def test_a_sample_has_the_same_bits_in_every_batch(card):
    from core.data.augment import fused

    pixels = torch.from_numpy(films(count=12, side=96)).to(card)
    plan, rows = plan_of(PRESETS["strong"], 12, 96, card), torch.arange(12, device=card)
    whole = fused.normalised(pixels, rows, plan, 0.4, 0.2)
    parts = [fused.normalised(pixels, rows[n : n + 1], plan.part(n, n + 1), 0.4, 0.2) for n in range(12)]
    assert torch.equal(whole, torch.cat(parts))
