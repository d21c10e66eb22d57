"""Where in a radiograph the body lies, its border, and what was burnt in: so that a map off the body is seen."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from skimage.filters import threshold_otsu

BORDER = 0.05


@dataclass(frozen=True)
class Regions:
    """Masks bool [s, s]. body_known: False where no body stands out from its ground; then `body` is everything."""

    body: np.ndarray
    border: np.ndarray
    marks: np.ndarray
    body_known: bool


def regions(pixels: np.ndarray) -> Regions:
    """Regions of one radiograph uint8 [s, s], by thresholds and connected parts; nothing is learned."""
    side = pixels.shape[0]
    wide = max(1, round(BORDER * side))
    border = np.ones(pixels.shape, bool)
    border[wide:-wide, wide:-wide] = False
    body = _body(pixels)
    known = 0.03 < body.mean() < 0.97
    if not known:
        body = np.ones(pixels.shape, bool)
    return Regions(body, border, _marks(pixels, body if known else np.zeros_like(body)), known)


def _body(pixels: np.ndarray) -> np.ndarray:
    smooth = ndimage.gaussian_filter(pixels.astype(np.float32), pixels.shape[0] / 64)
    if smooth.max() - smooth.min() < 8:
        return np.zeros(pixels.shape, bool)
    # Half of Otsu's threshold: soft tissue is much darker than bone, and belongs to the body.
    parts, count = ndimage.label(smooth > max(0.5 * threshold_otsu(smooth), smooth.min() + 4))
    if not count:
        return np.zeros(pixels.shape, bool)
    sizes = np.bincount(parts.ravel())[1:]
    # Two hands are two parts; a letter is not.
    kept = np.flatnonzero(sizes >= 0.2 * sizes.max()) + 1
    return ndimage.binary_fill_holes(np.isin(parts, kept))


def _marks(pixels: np.ndarray, body: np.ndarray) -> np.ndarray:
    """Small, very bright, sharply bounded parts off the body: letters and labels."""
    parts, count = ndimage.label((pixels >= 200) & ~ndimage.binary_erosion(body, iterations=2))
    if not count:
        return np.zeros(pixels.shape, bool)
    sizes = np.bincount(parts.ravel())
    small = np.flatnonzero((sizes >= max(3, pixels.size / 16_000)) & (sizes <= 0.015 * pixels.size))
    return ndimage.binary_dilation(np.isin(parts, small[small > 0]), iterations=max(1, pixels.shape[0] // 64))
