"""The loss when a radiograph is resized: share of edge energy kept, and structural similarity."""

import cv2
import numpy as np
import pandas as pd
from PIL import Image

from core.data.pixels import to_square

SIZES = (32, 64, 128, 224, 320)
# Larger radiographs are first reduced to this side, so that their cost is bounded.
LARGEST_SIDE = 1024
_WINDOW = 7


def resize_loss_table(grey: np.ndarray, sizes: tuple[int, ...] = SIZES, fit: str = "pad") -> pd.DataFrame:
    """One row per size: what remains of the radiograph uint8 [height, width] after resizing to a square of that side.

    Columns: `size`; `finest`, pixels of the file per pixel of the square; `edges`, the share of the gradient energy
    (Sobel) that remains; `ssim`, structural similarity (Wang 2004) to the original. The square is enlarged again
    (bicubic) and compared with the square at full size, at most LARGEST_SIDE pixels.
    """
    side = min(max(grey.shape) if fit != "crop" else min(grey.shape), LARGEST_SIDE)
    whole = to_square(grey, side, fit)
    reference = _energy(whole)
    rows = []
    for size in sizes:
        small = to_square(grey, min(size, side), fit)
        again = np.asarray(Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC))
        likeness = structural_similarity(whole, again) if side >= _WINDOW else float(np.array_equal(whole, again))
        edges = _energy(again) / reference if reference else 1.0
        rows.append((size, max(grey.shape) / size, min(edges, 1.0), likeness))
    return pd.DataFrame(rows, columns=["size", "finest", "edges", "ssim"])


def resize_loss_summary(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Medians and quartiles, a row per size: `edges`, `edges_low`, `edges_high`, the same for `ssim`, and `n`."""
    grouped = pd.concat(tables).groupby("size")
    columns = {
        f"{name}{end}": grouped[name].quantile(at)
        for name in ("edges", "ssim")
        for end, at in (("", 0.5), ("_low", 0.25), ("_high", 0.75))
    }
    return pd.DataFrame({**columns, "n": grouped.size()}).reset_index()


def structural_similarity(one: np.ndarray, other: np.ndarray) -> float:
    """SSIM (Wang 2004) of two uint8 [s, s], s >= 7, over uniform windows of 7 x 7.

    Equal to scikit-image's, which takes twice as long and a fifth of a second to import.
    """
    x, y = one.astype(np.float64), other.astype(np.float64)
    n = _WINDOW**2

    def mean(values: np.ndarray) -> np.ndarray:
        return cv2.blur(values, (_WINDOW, _WINDOW))

    ux, uy = mean(x), mean(y)
    unbiased = n / (n - 1)
    vx, vy, vxy = (unbiased * (mean(a * b) - m) for a, b, m in ((x, x, ux**2), (y, y, uy**2), (x, y, ux * uy)))
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    found = (2 * ux * uy + c1) * (2 * vxy + c2) / ((ux**2 + uy**2 + c1) * (vx + vy + c2))
    rim = _WINDOW // 2
    return float(found[rim : len(found) - rim, rim : len(found) - rim].mean())


def _energy(picture: np.ndarray) -> float:
    down, across = (cv2.Sobel(picture, cv2.CV_32F, *axis, borderType=cv2.BORDER_REFLECT) for axis in ((0, 1), (1, 0)))
    return float((down**2 + across**2).sum(dtype=np.float64))
