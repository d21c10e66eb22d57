"""Regions of a radiograph: the body, the border and burnt-in marks, so that a map outside the body is noticed."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from skimage.filters import threshold_otsu

BORDER = 0.05


@dataclass(frozen=True)
class Regions:
    """Masks bool [s, s]. Where no body contrasts with the background, body_known is False and `body` is everything."""

    body: np.ndarray
    border: np.ndarray
    marks: np.ndarray
    body_known: bool


def find_regions(pixels: np.ndarray) -> Regions:
    """Return the regions of a radiograph uint8 [s, s], by thresholds and connected components; nothing is learned."""
    side = pixels.shape[0]
    width = max(1, round(BORDER * side))
    border = np.ones(pixels.shape, bool)
    border[width:-width, width:-width] = False
    body = _body(pixels)
    known = 0.03 < body.mean() < 0.97
    if not known:
        body = np.ones(pixels.shape, bool)
    return Regions(body, border, _marks(pixels, body if known else np.zeros_like(body)), known)


def _body(pixels: np.ndarray) -> np.ndarray:
    smooth = ndimage.gaussian_filter(pixels.astype(np.float32), pixels.shape[0] / 64)
    if smooth.max() - smooth.min() < 8:
        return np.zeros(pixels.shape, bool)
    # Half of Otsu's threshold, since soft tissue is much darker than bone and is part of the body.
    components, count = ndimage.label(smooth > max(0.5 * threshold_otsu(smooth), smooth.min() + 4))
    if not count:
        return np.zeros(pixels.shape, bool)
    sizes = np.bincount(components.ravel())[1:]
    # Two hands are two large components; a letter is too small to count.
    kept = np.flatnonzero(sizes >= 0.2 * sizes.max()) + 1
    return ndimage.binary_fill_holes(np.isin(components, kept))


def _marks(pixels: np.ndarray, body: np.ndarray) -> np.ndarray:
    """Small, very bright components with sharp edges outside the body: letters and labels."""
    components, count = ndimage.label((pixels >= 200) & ~ndimage.binary_erosion(body, iterations=2))
    if not count:
        return np.zeros(pixels.shape, bool)
    sizes = np.bincount(components.ravel())
    small = np.flatnonzero((sizes >= max(3, pixels.size / 16_000)) & (sizes <= 0.015 * pixels.size))
    marks = np.isin(components, small[small > 0])
    return ndimage.binary_dilation(marks, iterations=max(1, pixels.shape[0] // 64))
