"""A sample's pixels are the same, bit for bit, in any batch, at any place and in any order."""

import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import fields

import cv2
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from core.data.augment import LIMITS, PRESETS, Augmentation, apply

COUNT, SEED, EPOCH = 65, 7, 3
ALONE = {
    name: Augmentation(**{name: high if high <= 1 else high / 2})
    for name, (_, high) in LIMITS.items()
    if name != "crop"
}
ALONE["crop"] = Augmentation(crop=1.0, crop_area=0.2)
ALONE["clahe_limit"] = Augmentation(clahe=0.8, clahe_limit=20)
ALONE["everything"] = Augmentation(
    **{name: min(high, 0.5) if low < 0.5 else low for name, (low, high) in LIMITS.items()}
)
ALONE["erasing"] = Augmentation(erasing=1.0, erasing_area=0.3)


@contextmanager
def threads_of_torch(count):
    before, of_opencv = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(count)
    cv2.setNumThreads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        cv2.setNumThreads(of_opencv)


@pytest.mark.parametrize("side", [33, 64, 101])
@pytest.mark.parametrize("name", [*ALONE, *(f"preset {name}" for name in PRESETS)])
def test_no_batch_changes_a_sample(name, side):
    augmentation = ALONE[name] if name in ALONE else PRESETS[name.removeprefix("preset ")]
    pixels = torch.randint(0, 256, (COUNT, side, side), dtype=torch.uint8, generator=torch.manual_seed(0))
    ids = [f"image {number}" for number in range(COUNT)]
    whole = apply(augmentation, pixels, ids, SEED, EPOCH)
    for size in (1, 7, 64):
        for start in range(0, COUNT, size):
            part = slice(start, start + size)
            assert torch.equal(apply(augmentation, pixels[part], ids[part], SEED, EPOCH), whole[part])
    for threads in (1, 3, 4):
        with threads_of_torch(threads):
            assert torch.equal(apply(augmentation, pixels, ids, SEED, EPOCH), whole)
            assert torch.equal(apply(augmentation, pixels[:7], ids[:7], SEED, EPOCH), whole[:7])
    turned = apply(augmentation, pixels.flip(0), ids[::-1], SEED, EPOCH)
    assert torch.equal(turned.flip(0), whole)


VALUES = st.fixed_dictionaries(
    {}, optional={field.name: st.floats(*map(float, LIMITS[field.name])) for field in fields(Augmentation)}
)


@settings(max_examples=60, deadline=None)
@given(VALUES, st.integers(0, 2**31 - 1), st.integers(0, 1000), st.integers(16, 90), st.integers(0, 2**31 - 1))
def test_no_batch_changes_a_sample_of_any_augmentation(values, seed, epoch, side, grain):
    augmentation = Augmentation(**values)
    assert Augmentation.from_json(augmentation.to_json()) == augmentation
    assert Augmentation.from_text(augmentation.to_text()) == augmentation
    pixels = torch.randint(0, 256, (9, side, side), dtype=torch.uint8, generator=torch.manual_seed(grain))
    ids = [f"image {number}" for number in range(9)]
    whole = apply(augmentation, pixels, ids, seed, epoch)
    assert whole.shape == (9, 1, side, side) and whole.dtype == torch.float32
    assert torch.isfinite(whole).all() and whole.min() >= 0 and whole.max() <= 1
    for place in (0, 4, 8):
        assert torch.equal(
            apply(augmentation, pixels[place : place + 1], ids[place : place + 1], seed, epoch),
            whole[place : place + 1],
        )
    with threads_of_torch(3):
        assert torch.equal(apply(augmentation, pixels[2:7], ids[2:7], seed, epoch), whole[2:7])


IN_PARTS = """
import sys
import torch
sys.path.insert(0, ".")
from tests.data.test_augment_bits import ALONE, apply
pixels = torch.randint(0, 256, (17, 67, 67), dtype=torch.uint8, generator=torch.manual_seed(0))
ids = [str(number) for number in range(17)]
for name, augmentation in ALONE.items():
    whole = apply(augmentation, pixels, ids, 1, 2)
    for start in range(17):
        part = slice(start, start + 1 + start % 3)
        assert torch.equal(apply(augmentation, pixels[part], ids[part], 1, 2), whole[part]), name
"""


NEWER = [pytest.param(name, marks=pytest.mark.slow) for name in ("avx2", "avx512")]


@pytest.mark.parametrize("capability", ["default", *NEWER])
def test_no_batch_changes_a_sample_on_older_processors(capability):
    environment = {**os.environ, "ATEN_CPU_CAPABILITY": capability}
    subprocess.run([sys.executable, "-c", IN_PARTS], check=True, env=environment, timeout=300)
