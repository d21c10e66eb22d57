"""What every reader of radiographs shares: why a file cannot be read, how large it may be, its levels in eight bits."""

from pathlib import Path

import numpy as np

from core.errors import OverreadError

# Larger than any radiograph (a 43 x 43 cm detector at 100 um has 18 million), smaller than what exhausts memory.
MOST_PIXELS = 120_000_000


class UnreadableImage(OverreadError):
    """A radiograph that cannot be decoded. `reason` says why without naming the file."""

    def __init__(self, path: Path | str, reason: str):
        self.path, self.reason = str(path), reason
        super().__init__(f"{path} cannot be read: {reason}. Replace the file or take it out of the set.")


def check_size(path: Path | str, width: int, height: int) -> None:
    """UnreadableImage where decoding it would fill the memory."""
    if width * height > MOST_PIXELS:
        raise UnreadableImage(
            path, f"{width:,} x {height:,} pixels, more than the {MOST_PIXELS:,} a radiograph may have"
        )


def eight_bits(levels: np.ndarray, counted: np.ndarray | None = None) -> np.ndarray:
    """Levels of any range to uint8, linearly from the .5 to the 99.5 percentile of `counted` (default: of all)."""
    if levels.ndim != 2 or not np.isfinite(levels).all():
        raise ValueError("grey levels that are not finite")
    low, high = np.percentile(levels if counted is None else counted, (0.5, 99.5))
    if high <= low:
        low, high = float(levels.min()), max(float(levels.max()), float(levels.min()) + 1)
    return np.clip((levels - low) * (255 / (high - low)) + 0.5, 0, 255).astype(np.uint8)
