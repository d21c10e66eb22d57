"""Batches of training pixels from the cache: a seeded order, no workers, nothing decoded twice."""

from collections.abc import Iterator

import numpy as np
import torch


def epoch_order(count: int, seed: int, epoch: int, chances: np.ndarray | None = None) -> np.ndarray:
    """Rows in the order of this epoch, int [count]: a permutation, or draws with the given chances."""
    random = np.random.default_rng([seed, epoch])
    return random.permutation(count) if chances is None else random.choice(count, count, p=chances)


def batches(
    pixels: np.ndarray, rows: np.ndarray, order: np.ndarray, size: int
) -> Iterator[tuple[np.ndarray, torch.Tensor]]:
    """Parts of `order` and their pixels, uint8 [n, s, s]; `rows` maps a part's entries to rows of `pixels`.

    A last batch of one is left out, since batch norm cannot learn from it.
    """
    for start in range(0, len(order), size):
        chosen = order[start : start + size]
        if len(chosen) > 1 or len(order) == 1:
            yield chosen, torch.from_numpy(pixels[rows[chosen]])
