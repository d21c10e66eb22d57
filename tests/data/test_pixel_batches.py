"""Batches of an epoch, from a memory-mapped array or from pixels on the device."""

import numpy as np
import torch

from core.data import pixel_batches
from core.data.pixel_batches import cut_batches, epoch_order, fill_up, keep_on_device, take_rows

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 4, 4)).astype(np.uint8)


def test_the_same_rows_from_memory_and_from_the_device():
    rows = np.array([3, 3, 17, 0])
    expected = PIXELS[rows]
    for pixels in (PIXELS, torch.from_numpy(PIXELS)):
        found = take_rows(pixels, rows, torch.device("cpu"))
        assert found.dtype == torch.uint8 and np.array_equal(found.numpy(), expected)


def test_a_cpu_uses_the_array_unchanged():
    pixels, rows = keep_on_device(PIXELS, np.array([5, 2]), torch.device("cpu"))
    assert pixels is PIXELS and rows.tolist() == [5, 2]


class Card:
    """A stand-in device; only its type is used."""

    type = "cuda"


def test_pixels_move_to_the_device_only_if_they_fit(monkeypatch):
    monkeypatch.setattr(pixel_batches, "send", lambda values, device: torch.from_numpy(values))
    rows = np.array([5, 2, 9])
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (3 * 3 * 16, 10**9))
    pixels, places = keep_on_device(PIXELS, rows, Card())
    assert pixels.numpy()[places[[2, 0]]].tolist() == PIXELS[[9, 5]].tolist()
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (3 * 3 * 16 - 1, 10**9))
    assert keep_on_device(PIXELS, rows, Card())[0] is PIXELS


def test_each_epoch_has_its_own_permutation():
    first, second = epoch_order(50, 1, 0), epoch_order(50, 1, 1)
    assert sorted(first) == sorted(second) == list(range(50)) and first.tolist() != second.tolist()
    assert [len(part) for part in cut_batches(first, 7)] == [7] * 7
    assert [len(part) for part in cut_batches(first, 49)] == [49] and [
        len(part) for part in cut_batches(first[:1], 8)
    ] == [1]


def test_a_last_batch_is_filled_up_from_the_first_rows():
    order = np.array([4, 1, 3, 0, 2])
    assert fill_up(order, 3).tolist() == [4, 1, 3, 0, 2, 4]
    assert fill_up(order, 5).tolist() == order.tolist() == fill_up(order, 8).tolist()
