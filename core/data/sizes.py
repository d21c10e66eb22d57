"""What a radiograph loses when it is made small: the part of its edges, and its likeness to the whole picture."""

import numpy as np
import pandas as pd
from PIL import Image
from scipy import ndimage

from core.data.pixels import to_square

SIZES = (32, 64, 128, 224, 320)
# The whole picture is taken at no more than so many pixels a side, so that a large film costs no more than another.
MOST = 1024


def size_table(grey: np.ndarray, sizes: tuple[int, ...] = SIZES, fit: str = "pad") -> pd.DataFrame:
    """One row a size: what is left after the radiograph uint8 [height, width] was made a square of that side.

    Columns: `size`; `finest`, pixels of the file under one pixel of the square; `edges`, the share of the gradient's
    energy (Sobel) that is left; `ssim`, structural similarity (Wang 2004) to the whole picture. The square is
    enlarged again (bicubic) and compared with the square at full size, at most MOST pixels.
    """
    from skimage.metrics import structural_similarity

    side = min(max(grey.shape) if fit != "crop" else min(grey.shape), MOST)
    whole = to_square(grey, side, fit)
    reference = _energy(whole)
    rows = []
    for size in sizes:
        small = to_square(grey, min(size, side), fit)
        again = np.asarray(Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC))
        likeness = (
            structural_similarity(whole, again, data_range=255) if side >= 7 else float(np.array_equal(whole, again))
        )
        edges = _energy(again) / reference if reference else 1.0
        rows.append((size, max(grey.shape) / size, min(edges, 1.0), float(likeness)))
    return pd.DataFrame(rows, columns=["size", "finest", "edges", "ssim"])


def size_summary(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Medians and quartiles, a row a size: `edges`, `edges_low`, `edges_high`, the same of `ssim`, `n` radiographs."""
    grouped = pd.concat(tables).groupby("size")
    columns = {
        f"{name}{end}": grouped[name].quantile(at)
        for name in ("edges", "ssim")
        for end, at in (("", 0.5), ("_low", 0.25), ("_high", 0.75))
    }
    return pd.DataFrame({**columns, "n": grouped.size()}).reset_index()


def _energy(picture: np.ndarray) -> float:
    levels = picture.astype(np.float32)
    return float((ndimage.sobel(levels, 0) ** 2 + ndimage.sobel(levels, 1) ** 2).sum())
