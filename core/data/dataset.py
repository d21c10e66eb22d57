"""Batches of training pixels from the cache: a seeded order, no workers, nothing decoded twice."""

from collections.abc import Iterator

import numpy as np
import torch


def epoch_order(count: int, seed: int, epoch: int, chances: np.ndarray | None = None) -> np.ndarray:
    """Rows in the order of this epoch, int [count]: a permutation, or draws with the given chances."""
    random = np.random.default_rng([seed, epoch])
    return random.permutation(count) if chances is None else random.choice(count, count, p=chances)


def parts_of(order: np.ndarray, size: int, least: int = 2) -> list[np.ndarray]:
    """`order` cut into batches. A last one of fewer than `least` is left out, since batch norm cannot learn from one
    radiograph; where it is the only one it stays."""
    parts = [order[start : start + size] for start in range(0, len(order), size)]
    return parts[:-1] if len(parts) > 1 and len(parts[-1]) < least else parts


def batches(pixels: np.ndarray, rows: np.ndarray, parts: list[np.ndarray]) -> Iterator[torch.Tensor]:
    """The pixels of each part, uint8 [n, s, s]; `rows` maps a part's entries to rows of `pixels`."""
    for part in parts:
        yield torch.from_numpy(pixels[rows[part]])
