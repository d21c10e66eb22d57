"""A sample's pixels are its own: to the bit the same in any batch, at any place, in any order."""

from contextlib import contextmanager

import pytest
import torch

from core.data.augment import LIMITS, PRESETS, Augmentation, apply

COUNT, SEED, EPOCH = 65, 7, 3
ALONE = {name: Augmentation(**{name: high if high <= 1 else high / 2}) for name, (_, high) in LIMITS.items()}
ALONE["erasing"] = Augmentation(erasing=1.0, erasing_area=0.3)


@contextmanager
def threads_of_torch(count):
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


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
