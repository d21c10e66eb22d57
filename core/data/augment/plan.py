"""From draws to what is done to the pixels: one value that both ways of doing it carry out."""

import functools
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.data.augment.draws import in_pixels, matrices
from core.data.augment.spec import Augmentation


@dataclass(frozen=True)
class Plan:
    """Per sample, in order; None is a step that this augmentation never takes.

    maps: float64 [n, 3, 3] between pixel indices, from result to source. flips: bool [n, 2], left-right and top-bottom.
    sigmas: pixels; sharpness: 1 is as it was; equalised: bool; clips: 0 for no CLAHE. tables: float32 [n, 256], what
    each grey level becomes. keys: int64, spreads: float32, of the noise. windows: int [n, 4], what is erased: left,
    top, right, bottom, the last ones out.
    """

    maps: np.ndarray | None
    flips: np.ndarray | None
    sigmas: np.ndarray | None
    sharpness: np.ndarray | None
    equalised: np.ndarray | None
    clips: np.ndarray | None
    tables: np.ndarray
    keys: np.ndarray
    spreads: np.ndarray | None
    windows: np.ndarray | None


def plan_of(a: Augmentation, draws: pd.DataFrame, side: int) -> Plan:
    """What is done to images of that side."""

    def column(name: str, wanted: float) -> np.ndarray | None:
        return draws[name].to_numpy() if wanted else None

    warps = bool(a.rotation or a.translation or a.scale or a.shear or a.perspective or a.crop)
    flips = draws[["horizontal_flip", "vertical_flip"]].to_numpy()
    return Plan(
        in_pixels(matrices(draws), side) if warps else None,
        # Flips alone move no pixel off its grid: done by index, they stay exact.
        flips if not warps and (a.horizontal_flip or a.vertical_flip) else None,
        column("blur", a.blur) * side if a.blur else None,
        column("sharpness", a.sharpness),
        column("equalisation", a.equalisation),
        column("clahe", a.clahe),
        grey_tables(a, draws),
        draws["key"].to_numpy(),
        draws["noise"].to_numpy().astype(np.float32) if a.noise else None,
        windows(draws, side) if a.erasing else None,
    )


def grey_tables(a: Augmentation, draws: pd.DataFrame) -> np.ndarray:
    """What each of the 256 grey levels becomes, float32 [n, 256]: inversion, gamma, contrast, brightness.

    In 0..1, or beyond it where noise is still to come: that is clamped after the noise.
    """
    levels = np.arange(256, dtype=np.float32) / np.float32(255)
    if not (a.inversion or a.gamma or a.contrast or a.brightness):
        return np.repeat(levels[None], len(draws), axis=0)
    names = ["inversion", "gamma", "contrast", "brightness"]
    tables = []
    for inverted, gamma, contrast, brightness in draws[names].itertuples(index=False):
        table = levels.astype(np.float64)
        table = 1 - table if inverted else table
        # One table at a time, so that none can be rounded by its place among others.
        table = np.power(table, float(gamma)) if gamma != 1 else table
        tables.append((table - 0.5) * contrast + 0.5 + brightness)
    tables = np.array(tables)
    return (tables if a.noise else np.clip(tables, 0, 1)).astype(np.float32)


def windows(draws: pd.DataFrame, side: int) -> np.ndarray:
    """The pixels whose middle lies in the erased square, int [n, 4]."""
    low = draws[["erasing_x", "erasing_y"]].to_numpy()
    high = low + draws["erasing_side"].to_numpy()[:, None]
    return np.ceil(np.concatenate([low, high], axis=1) * side - 0.5).astype(int)


@functools.cache
def normal_levels() -> np.ndarray:
    """The standard normal distribution at 65,536 even steps of probability, float32: noise without a logarithm."""
    from scipy.special import ndtri

    return ndtri((np.arange(65536) + 0.5) / 65536).astype(np.float32)
