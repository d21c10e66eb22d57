"""Batches of an epoch, from an array opened by mmap or from pixels that lie on the device."""

import numpy as np
import torch

from core.data.dataset import epoch_order, parts_of, resident, take

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 4, 4)).astype(np.uint8)


def test_the_same_rows_from_memory_and_from_the_device():
    rows = np.array([3, 3, 17, 0])
    expected = PIXELS[rows]
    for pixels in (PIXELS, torch.from_numpy(PIXELS)):
        found = take(pixels, rows, torch.device("cpu"))
        assert found.dtype == torch.uint8 and np.array_equal(found.numpy(), expected)


def test_a_processor_keeps_the_array_as_it_is():
    pixels, rows = resident(PIXELS, np.array([5, 2]), torch.device("cpu"))
    assert pixels is PIXELS and rows.tolist() == [5, 2]


class Card:
    """A device of which only its kind is asked."""

    type = "cuda"


def test_what_fits_moves_to_the_device_and_what_does_not_stays(monkeypatch):
    real = torch.Tensor.to
    monkeypatch.setattr(
        torch.Tensor, "to", lambda self, device: self if isinstance(device, Card) else real(self, device)
    )
    rows = np.array([5, 2, 9])
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (2 * 3 * 16, 10**9))
    pixels, places = resident(PIXELS, rows, Card())
    assert np.array_equal(take(pixels, places[[2, 0]], torch.device("cpu")).numpy(), PIXELS[[9, 5]])
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (2 * 3 * 16 - 1, 10**9))
    assert resident(PIXELS, rows, Card())[0] is PIXELS


def test_an_epoch_is_a_permutation_of_its_own():
    first, second = epoch_order(50, 1, 0), epoch_order(50, 1, 1)
    assert sorted(first) == sorted(second) == list(range(50)) and first.tolist() != second.tolist()
    assert [len(part) for part in parts_of(first, 7)] == [7] * 7
    assert [len(part) for part in parts_of(first, 49)] == [49] and [len(part) for part in parts_of(first[:1], 8)] == [1]
