"""Features of sketches that identify copies: area means of a window, coarse and fine features, content of frames."""

from dataclasses import dataclass

import cv2
import numpy as np
from scipy import ndimage

COARSE_SIDE, FINE_SIDE = 16, 32
# The mean that every sketch gets by a power of its levels, so that a tone curve does not hide a copy.
_MIDDLE = 0.4
# The waves of the cosine transform that are compared first, from coarse to fine: a slight shift hardly changes them.
# The coarsest, which all radiographs of a bone share, get less weight.
_LEAST, _MOST, _WEIGHT = 1, 8, 0.5
# A row of a frame spans at most so many levels. The cells beside a frame contain some of it and are cut off too.
_FLAT, _BESIDE = 6, 1
_ROWS = 4096


def area_means(sketches: np.ndarray, side: int, window: tuple[float, float, float, float] = (0, 0, 0, 0)) -> np.ndarray:
    """Area means float32 [n, side, side] of sketches [n, s, s].

    window: the shares that are cut off on the left, right, top and bottom.
    """
    left, right, top, bottom = window
    across, down = (_mean_matrix(sketches.shape[1], side, *ends) for ends in ((left, right), (top, bottom)))
    parts = [
        down @ sketches[start : start + _ROWS].astype(np.float32) @ across.T for start in range(0, len(sketches), _ROWS)
    ]
    return np.concatenate(parts) if parts else np.zeros((0, side, side), np.float32)


def level_spread(sketches: np.ndarray) -> np.ndarray:
    """Standard deviation [n] of the levels of each sketch."""
    parts = [sketches[start : start + _ROWS].std(axis=(1, 2)) for start in range(0, len(sketches), _ROWS)]
    return np.concatenate(parts) if parts else np.zeros(0)


def normalise_mean(pictures: np.ndarray) -> np.ndarray:
    """Pictures float32, 0..255, each given the same mean by a power of its levels."""
    levels = np.clip(pictures, 0, 255).astype(np.float32) / 255
    mean = np.clip(levels.mean(axis=(1, 2), dtype=np.float64), 0.02, 0.98)
    return levels ** (np.log(_MIDDLE) / np.log(mean)).astype(np.float32)[:, None, None] * 255


def equalise(sketches: np.ndarray) -> np.ndarray:
    """Sketches uint8 with equalised histograms, which cancels any tone curve."""
    return np.stack([cv2.equalizeHist(sketch) for sketch in sketches]) if len(sketches) else sketches


def coarse_features(pictures: np.ndarray) -> np.ndarray:
    """Unit vectors [n, k] of the coarse waves in pictures float32 [n, COARSE_SIDE, COARSE_SIDE]."""
    order = np.arange(COARSE_SIDE)
    cosines = np.cos(np.pi * order[:, None] * (order + 0.5) / COARSE_SIDE)
    cosines[0] *= np.sqrt(0.5)
    cosines = cosines.astype(np.float32)
    length = np.hypot(order[:, None], order)
    kept = (length >= _LEAST) & (length < _MOST)
    waves = (cosines @ pictures @ cosines.T)[:, kept] * (length[kept] ** _WEIGHT).astype(np.float32)
    return waves / np.maximum(np.linalg.norm(waves, axis=1, keepdims=True), 1e-6)


def fine_features(pictures: np.ndarray) -> np.ndarray:
    """Unit vectors of pictures float32 [n, FINE_SIDE, FINE_SIDE] without their coarse shading."""
    # All radiographs of a bone share the coarse shading; finer detail distinguishes them.
    flat = (pictures - ndimage.gaussian_filter(pictures, (0, 3, 3), mode="nearest")).reshape(len(pictures), -1)
    flat = flat - flat.mean(1, keepdims=True)
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)


@dataclass(frozen=True)
class Unframed:
    """Sketches with their frames of one level removed in two ways, uint8 [n, s, s].

    filled: the frame takes the mean level of its content. inner: the content is stretched to the full square. shape:
    the aspect of `inner` divided by that of the sketch [n]. framed: whether there was a frame, bool [n].
    """

    filled: np.ndarray
    inner: np.ndarray
    shape: np.ndarray
    framed: np.ndarray


def remove_frames(sketches: np.ndarray) -> Unframed:
    """Remove the frames of sketches uint8 [n, s, s]: a frame looks the same on every film and identifies no copy."""
    side = sketches.shape[1]
    ends = np.stack([*_content_ends(np.ptp(sketches, axis=2)), *_content_ends(np.ptp(sketches, axis=1))], axis=1)
    # Where less than half of the sketch would be left, it shows a small object and has no frame.
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


def _content_ends(ranges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First and last row (exclusive) with content, from the range of levels in each row [n, s]."""
    has_content, side = ranges > _FLAT, ranges.shape[1]
    first, last = has_content.argmax(axis=1), side - has_content[:, ::-1].argmax(axis=1)
    return first + _BESIDE * (first > 0), last - _BESIDE * (last < side)


def _mean_matrix(cells: int, parts: int, before: float, after: float) -> np.ndarray:
    """[parts, cells], means of equal parts of a row of cells without the shares `before` and `after` at its ends."""
    edges = (before + (1 - before - after) * np.arange(parts + 1) / parts) * cells
    own = np.arange(cells)
    covered = np.clip(np.minimum(edges[1:, None], own + 1) - np.maximum(edges[:-1, None], own), 0, None)
    return (covered / covered.sum(axis=1, keepdims=True)).astype(np.float32)
