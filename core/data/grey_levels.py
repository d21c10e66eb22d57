"""Grey levels of any range as eight bits, for every reader of radiographs."""

import numpy as np


def to_eight_bits(levels: np.ndarray, counted: np.ndarray | None = None) -> np.ndarray:
    """Levels of any range as uint8, linear between the 0.5 and 99.5 percentiles of `counted` (default: all levels)."""
    if levels.ndim != 2 or not np.isfinite(levels).all():
        raise ValueError("grey levels that are not finite")
    low, high = np.percentile(levels if counted is None else counted, (0.5, 99.5))
    if high <= low:
        low, high = float(levels.min()), max(float(levels.max()), float(levels.min()) + 1)
    return np.clip((levels - low) * (255 / (high - low)) + 0.5, 0, 255).astype(np.uint8)
