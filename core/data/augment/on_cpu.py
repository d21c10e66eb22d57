"""A Plan applied on a CPU by OpenCV, one image after the other, so that the batch cannot change a sample."""

import functools
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np

from core.data.augment.draws import GOLDEN, mixed
from core.data.augment.plan import Plan, normal_levels

_FLIPS = {(True, False): 1, (False, True): 0, (True, True): -1}
_SMOOTH = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]], np.float32) / 13
TILES = 8
_LEAST_FOR_THREADS = 200_000  # pixels


def apply_plan(pixels: np.ndarray, plan: Plan, threads: int = 1) -> np.ndarray:
    """uint8 [n, s, s] to float32 [n, s, s], with the samples divided among `threads`."""
    made = np.empty(pixels.shape, np.float32)
    # OpenCV's own threads would share the rows of one small image and wait for each other after every step.
    cv2.setNumThreads(1)
    if threads == 1 or pixels.size < _LEAST_FOR_THREADS:
        _some(pixels, plan, made, range(len(pixels)))
    else:
        shares = [range(first, len(pixels), threads) for first in range(threads)]
        list(_pool(threads).map(lambda places: _some(pixels, plan, made, places), shares))
    return made


@functools.cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, "augment")


def _some(pixels: np.ndarray, plan: Plan, made: np.ndarray, places: Iterable[int]) -> None:
    """Write the samples of these places into `made`."""
    side = pixels.shape[-1]
    for place in places:
        grey = pixels[place]
        if plan.maps is not None:
            grey = warped(grey, plan.maps[place])
        elif plan.flips is not None and plan.flips[place].any():
            grey = cv2.flip(grey, _FLIPS[tuple(plan.flips[place].tolist())])
        if plan.sigmas is not None and plan.sigmas[place] > 0:
            grey = cv2.GaussianBlur(grey, (0, 0), float(plan.sigmas[place]))
        if plan.sharpness is not None:
            grey = sharpened(grey, float(plan.sharpness[place]))
        if plan.equalised is not None and plan.equalised[place]:
            grey = cv2.equalizeHist(grey)
        if plan.clips is not None and plan.clips[place] > 0:
            grey = cv2.createCLAHE(float(plan.clips[place]), (TILES, TILES)).apply(grey)
        cv2.LUT(grey, plan.tables[place], dst=made[place])
        if plan.spreads is not None and plan.spreads[place] > 0:
            made[place] += noise(plan.keys[place], side) * plan.spreads[place]
        if plan.spreads is not None:
            np.clip(made[place], 0, 1, out=made[place])
        if plan.windows is not None:
            left, top, right, bottom = plan.windows[place]
            made[place, top:bottom, left:right] = 0


def warped(grey: np.ndarray, homography: np.ndarray) -> np.ndarray:
    """Bilinear, black outside. Without perspective the map is affine: the same bytes, without a division per pixel."""
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    if homography[2].tolist() == [0, 0, 1]:
        return cv2.warpAffine(grey, homography[:2], grey.shape, flags=flags)
    return cv2.warpPerspective(grey, homography, grey.shape, flags=flags)


def noise(key: np.int64, side: int) -> np.ndarray:
    """Standard normal float32 [side, side] from a sample's key and the pixel's number.

    Each random number serves four pixels, with 16 bits each. Integers and a table give the same on every device.
    """
    with np.errstate(over="ignore"):
        bits = mixed(key.view(np.uint64) + _steps(side))
    return cv2.LUT(bits.view(np.uint16)[: side * side].reshape(side, side), normal_levels())


@functools.cache
def _steps(side: int) -> np.ndarray:
    with np.errstate(over="ignore"):
        return np.arange(1, -(-side * side // 4) + 1, dtype=np.uint64) * GOLDEN


def sharpened(grey: np.ndarray, factor: float) -> np.ndarray:
    """Interpolates from the smoothed image (0) to the image (1), or extrapolates (2), as torchvision and Pillow do."""
    smooth = grey.copy()
    smooth[1:-1, 1:-1] = cv2.filter2D(grey, -1, _SMOOTH)[1:-1, 1:-1]
    return cv2.addWeighted(grey, factor, smooth, 1 - factor, 0)
