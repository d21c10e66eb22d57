"""Batches of training pixels from the pixel cache: a seeded order, no worker processes, nothing decoded twice."""

from typing import TypeAlias

import numpy as np
import torch

from core.device import send


def epoch_order(count: int, seed: int, epoch: int, chances: np.ndarray | None = None) -> np.ndarray:
    """Row numbers in the order of this epoch, int [count]: a permutation, or draws with the given probabilities."""
    random = np.random.default_rng([seed, epoch])
    return random.permutation(count) if chances is None else random.choice(count, count, p=chances)


def cut_batches(order: np.ndarray, size: int, least: int = 2) -> list[np.ndarray]:
    """`order` cut into batches of `size`.

    A last batch smaller than `least` is dropped, since batch norm cannot learn from one radiograph; an only batch is
    kept.
    """
    parts = [order[start : start + size] for start in range(0, len(order), size)]
    return parts[:-1] if len(parts) > 1 and len(parts[-1]) < least else parts


def fill_up(order: np.ndarray, size: int) -> np.ndarray:
    """`order` with its first rows again at the end, so that the last batch of `size` is full.

    For a GPU, which compiles kernels for each shape of a batch: MobileNetV2 waited 10 to 25 s for those of a last one.
    An order shorter than one batch is returned unchanged.
    """
    missing = -len(order) % size
    return np.concatenate([order, order[:missing]]) if len(order) >= size else order


Pixels: TypeAlias = np.ndarray | torch.Tensor
_ROWS_SENT = 1024


def keep_on_device(pixels: np.ndarray, rows: np.ndarray, device: torch.device) -> tuple[Pixels, np.ndarray]:
    """The needed rows on a CUDA device if they fit into a third of its free memory, and the new place of each row.

    Otherwise, and on a CPU, the memory-mapped array and its row numbers are returned unchanged.
    """
    if device.type != "cuda":
        return pixels, rows
    free, _ = torch.cuda.mem_get_info(device)
    if len(rows) * pixels[0].nbytes > free // 3:
        return pixels, rows
    # In parts, so that page-locked memory stays small.
    parts = [send(pixels[rows[start : start + _ROWS_SENT]], device) for start in range(0, len(rows), _ROWS_SENT)]
    return torch.cat(parts), np.arange(len(rows))


def take_rows(pixels: Pixels, rows: np.ndarray, device: torch.device) -> torch.Tensor:
    """Rows of `pixels` as a uint8 tensor [n, s, s] on the device."""
    if isinstance(pixels, torch.Tensor):
        return pixels[send(np.asarray(rows), pixels.device)]
    return send(pixels[rows], device)
