"""What copies are told by: sketches seen through a window, their broad and fine features, what their frames hold."""

from dataclasses import dataclass

import cv2
import numpy as np
from scipy import ndimage

COARSE_SIDE, FINE_SIDE = 16, 32
# Where the mean of every sketch is brought to by a power of its levels, so that a copy's tone curve does not count.
_MIDDLE = 0.4
# Waves of the cosine transform, from broad to fine, that are compared first: a slight shift leaves them much as they
# are. What all radiographs of a bone share is the broadest, and is weighed down.
_LEAST, _MOST, _WEIGHT = 1, 8, 0.5
# Of a frame: levels a row of it may span, and cells beside it that are not looked at, since they hold some of it.
_FLAT, _BESIDE = 6, 1
_ROWS = 4096


def seen(sketches: np.ndarray, side: int, window: tuple[float, float, float, float] = (0, 0, 0, 0)) -> np.ndarray:
    """Sketches [n, s, s] without the shares left, right, top and bottom: area means float32 [n, side, side]."""
    left, right, top, bottom = window
    across, down = (_means(sketches.shape[1], side, *ends) for ends in ((left, right), (top, bottom)))
    parts = [
        down @ sketches[start : start + _ROWS].astype(np.float32) @ across.T for start in range(0, len(sketches), _ROWS)
    ]
    return np.concatenate(parts) if parts else np.zeros((0, side, side), np.float32)


def spread(sketches: np.ndarray) -> np.ndarray:
    """Standard deviation [n] of the levels of each."""
    parts = [sketches[start : start + _ROWS].std(axis=(1, 2)) for start in range(0, len(sketches), _ROWS)]
    return np.concatenate(parts) if parts else np.zeros(0)


def evened(pictures: np.ndarray) -> np.ndarray:
    """float32, each brought to the same mean by a power of its levels (0..255)."""
    levels = np.clip(pictures, 0, 255).astype(np.float32) / 255
    mean = np.clip(levels.mean(axis=(1, 2), dtype=np.float64), 0.02, 0.98)
    return levels ** (np.log(_MIDDLE) / np.log(mean)).astype(np.float32)[:, None, None] * 255


def equalised(sketches: np.ndarray) -> np.ndarray:
    """uint8, each with its levels spread evenly: the same for every tone curve that it may have had."""
    return np.stack([cv2.equalizeHist(sketch) for sketch in sketches]) if len(sketches) else sketches


def coarse(pictures: np.ndarray) -> np.ndarray:
    """Unit vectors [n, k] of the broad waves in pictures float32 [n, COARSE_SIDE, COARSE_SIDE]."""
    order = np.arange(COARSE_SIDE)
    cosines = np.cos(np.pi * order[:, None] * (order + 0.5) / COARSE_SIDE)
    cosines[0] *= np.sqrt(0.5)
    cosines = cosines.astype(np.float32)
    length = np.hypot(order[:, None], order)
    kept = (length >= _LEAST) & (length < _MOST)
    waves = (cosines @ pictures @ cosines.T)[:, kept] * (length[kept] ** _WEIGHT).astype(np.float32)
    return waves / np.maximum(np.linalg.norm(waves, axis=1, keepdims=True), 1e-6)


def fine(pictures: np.ndarray) -> np.ndarray:
    """Unit vectors of pictures float32 [n, FINE_SIDE, FINE_SIDE] without their broad shading."""
    # What all radiographs of a bone share is broad; what tells them apart is not.
    flat = (pictures - ndimage.gaussian_filter(pictures, (0, 3, 3), mode="nearest")).reshape(len(pictures), -1)
    flat = flat - flat.mean(1, keepdims=True)
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)


@dataclass(frozen=True)
class Unframed:
    """Sketches whose frame of one level was filled with the mean of what it holds, and the same without the frame.

    filled, inner: uint8 [n, s, s], the latter stretched to the full square again. shape: what to multiply each aspect
    by to get that of `inner` [n]. framed: which had a frame, bool [n].
    """

    filled: np.ndarray
    inner: np.ndarray
    shape: np.ndarray
    framed: np.ndarray


def unframed(sketches: np.ndarray) -> Unframed:
    """Sketches uint8 [n, s, s] without their frames. A frame is alike on all films that have one, and says nothing."""
    side = sketches.shape[1]
    ends = np.stack([*_ends(np.ptp(sketches, axis=2)), *_ends(np.ptp(sketches, axis=1))], axis=1)
    # Less than half the sketch left is a picture of little, and no frame.
    framed = (ends != (0, side, 0, side)).any(axis=1) & (np.diff(ends)[:, [0, 2]] >= side / 2).all(axis=1)
    shape = np.ones(len(sketches))
    if not framed.any():
        return Unframed(sketches, sketches, shape, framed)
    filled, inner = sketches.copy(), sketches.copy()
    for place in np.flatnonzero(framed):
        top, bottom, left, right = ends[place]
        inside = sketches[place, top:bottom, left:right]
        filled[place] = round(inside.mean())
        filled[place, top:bottom, left:right] = inside
        inner[place] = cv2.resize(inside, (side, side), interpolation=cv2.INTER_LINEAR)
        shape[place] = (right - left) / (bottom - top)
    return Unframed(filled, inner, shape, framed)


def _ends(apart: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First and last row (exclusive) that hold something, from the range of each row's levels [n, s]."""
    held, side = apart > _FLAT, apart.shape[1]
    first, last = held.argmax(axis=1), side - held[:, ::-1].argmax(axis=1)
    return first + _BESIDE * (first > 0), last - _BESIDE * (last < side)


def _means(cells: int, parts: int, before: float, after: float) -> np.ndarray:
    """[parts, cells]: means of equal parts of a row of cells, without the shares `before` and `after`."""
    edges = (before + (1 - before - after) * np.arange(parts + 1) / parts) * cells
    own = np.arange(cells)
    covered = np.clip(np.minimum(edges[1:, None], own + 1) - np.maximum(edges[:-1, None], own), 0, None)
    return (covered / covered.sum(axis=1, keepdims=True)).astype(np.float32)
