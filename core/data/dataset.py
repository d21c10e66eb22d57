"""Batches of training pixels from the cache: a seeded order, no workers, nothing decoded twice."""

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


Pixels = np.ndarray | torch.Tensor


def resident(pixels: np.ndarray, rows: np.ndarray, device: torch.device) -> tuple[Pixels, np.ndarray]:
    """The rows that are needed, on the device where they take at most half of what is free there; where each is now.

    Elsewhere, and on a processor, the array stays as it is, opened by mmap.
    """
    if device.type != "cuda":
        return pixels, rows
    free, _ = torch.cuda.mem_get_info(device)
    if len(rows) * pixels[0].nbytes > free // 2:
        return pixels, rows
    return torch.from_numpy(pixels[rows]).to(device), np.arange(len(rows))


def take(pixels: Pixels, rows: np.ndarray, device: torch.device) -> torch.Tensor:
    """Rows of `pixels` as uint8 [n, s, s] on the device."""
    if isinstance(pixels, torch.Tensor):
        return pixels[torch.from_numpy(np.asarray(rows)).to(pixels.device)]
    return torch.from_numpy(pixels[rows]).to(device, non_blocking=True)
