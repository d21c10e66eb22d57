"""Quality measures from a radiograph's grey levels, and a sketch to find copies with. No learned model."""

import cv2
import numpy as np
from PIL import Image
from scipy import ndimage

# Increase it when a measure changes, so that older ones are computed again. It stays when a measure is added:
# `measure_store.complete_measures` lacks the files that were measured without it.
VERSION = 3
# Side in pixels of the sketch: a radiograph of any shape, resized to a square.
SKETCH = 64
_SIDE = 256

MEASURES = {
    "p1": "1st percentile of the grey levels, 0..255",
    "p50": "median grey level, 0..255",
    "p99": "99th percentile of the grey levels, 0..255",
    "contrast": "99th minus 1st percentile, 0..255",
    "border": "share of the area in a frame of one grey level",
    "metal": "share of the area of the largest blob at 250 or more: metal, or an overexposed part",
    "marks": "small bright parts in the outer fifth: letters and labels",
    "films": "parts separated by bands of one grey level across the whole image",
    "aspect": "width over height",
    "lines": "strength of thin bright parts away from the edge, 0..255: wire, ring, plate or splint, at 256 px",
    "sharpness": "standard deviation of the Laplacian over that of the grey levels, at 256 px",
    "noise": "1 minus the correlation of neighbouring pixels, at 256 px: near 1 for static",
    "blank": "1 if the image is almost empty (contrast below 12), else 0",
}


def measure(grey: np.ndarray) -> dict[str, float | bytes]:
    """MEASURES of a radiograph uint8 [height, width], and `sketch`: SKETCH x SKETCH bytes, row by row."""
    image = Image.fromarray(grey)
    height, width = grey.shape
    scale = _SIDE / max(height, width)
    small_size = (max(1, round(width * min(scale, 1))), max(1, round(height * min(scale, 1))))
    small = np.asarray(image.resize(small_size, Image.Resampling.BOX) if scale < 1 else image)
    low, middle, high = np.percentile(small, (1, 50, 99))
    levels = small.astype(np.float32)
    spread = float(levels.std())
    return {
        "p1": float(low),
        "p50": float(middle),
        "p99": float(high),
        "contrast": float(high - low),
        "border": _border(small),
        "metal": _largest(small >= 250),
        "marks": float(_marks(small)),
        "films": float(_films(small)),
        "aspect": width / height,
        "lines": _lines(small, low, high),
        "sharpness": float(ndimage.laplace(levels).std() / spread) if spread > 1 else 0.0,
        "noise": _noise(levels),
        "blank": float(high - low < 12 and spread < 12),
        "sketch": image.resize((SKETCH, SKETCH), Image.Resampling.BOX).tobytes(),
    }


def _border(small: np.ndarray) -> float:
    """Share of the area outside the smallest box with all rows and columns that have more than one level."""
    rows = np.flatnonzero(np.ptp(small, axis=1) > 6)
    columns = np.flatnonzero(np.ptp(small, axis=0) > 6)
    if not len(rows) or not len(columns):
        return 1.0
    inside = (rows[-1] - rows[0] + 1) * (columns[-1] - columns[0] + 1)
    return float(1 - inside / small.size)


def _largest(mask: np.ndarray) -> float:
    parts, count = ndimage.label(mask)
    return float(np.bincount(parts.ravel())[1:].max() / mask.size) if count else 0.0


def _marks(small: np.ndarray) -> int:
    """Parts much brighter than their surroundings, each between 1/6500 and 1/100 of the area, near the edge."""
    background = ndimage.uniform_filter(small.astype(np.float32), max(3, small.shape[0] // 10))
    parts, count = ndimage.label((small >= 170) & (small - background > 50))
    if not count:
        return 0
    sizes = np.bincount(parts.ravel(), minlength=count + 1)[1:]
    centres = np.array(ndimage.center_of_mass(parts > 0, parts, range(1, count + 1))) / np.array(small.shape)
    outer = (np.abs(centres - 0.5) > 0.3).any(axis=1)
    return int((outer & (sizes >= small.size / 6500) & (sizes <= small.size / 100)).sum())


def _lines(small: np.ndarray, low: float, high: float) -> float:
    """The 99.9th percentile of what an opening with a disc of 11 pixels removes, without the outer tenth.

    The grey levels from the 1st to the 99th percentile are first stretched to 0..255, so that exposure does not count.
    """
    if high - low < 12:
        return 0.0  # an almost empty image, where stretching would show nothing but grain
    levels = np.clip((small.astype(np.float32) - low) * (255 / (high - low)), 0, 255).astype(np.uint8)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (11, 11))
    thin = cv2.morphologyEx(levels, cv2.MORPH_TOPHAT, disc)
    down, across = (side // 10 for side in thin.shape)
    inner = thin[down : thin.shape[0] - down, across : thin.shape[1] - across]
    return float(np.percentile(inner, 99.9))


def _films(small: np.ndarray) -> int:
    """Number of parts between bands of one level: first by columns, then by rows within each part."""
    return sum(len(_stretches(part)) for part in _pieces(small))


def _pieces(small: np.ndarray) -> list[np.ndarray]:
    return [small[:, start:end].T for start, end in _stretches(small)] or [small.T]


def _stretches(small: np.ndarray) -> list[tuple[int, int]]:
    """Runs of columns with more than one level, between bands of one level; each at least an eighth of the width."""
    width = small.shape[1]
    varied = np.ptp(small, axis=0) > 6
    edges = np.flatnonzero(np.diff(np.concatenate([[0], varied.view(np.int8), [0]])))
    runs = list(zip(edges[::2], edges[1::2]))
    joined: list[tuple[int, int]] = []
    for start, end in runs:
        # A gap of less than 1% of the width is not a band.
        if joined and start - joined[-1][1] < max(1, width / 100):
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    kept = [run for run in joined if run[1] - run[0] >= width / 8]
    return kept or [(0, width)]


def _noise(levels: np.ndarray) -> float:
    if min(levels.shape) < 3:
        return 0.0
    left, right = levels[:, :-1].ravel(), levels[:, 1:].ravel()
    if left.std() < 1 or right.std() < 1:
        return 0.0
    return float(1 - np.corrcoef(left, right)[0, 1])
