"""From random draws to operations on pixels: one Plan for both implementations."""

import functools
from dataclasses import dataclass, fields

import numpy as np

from core.data.augment.draws import Draws, homographies, in_pixels
from core.data.augment.spec import Augmentation


@dataclass(frozen=True)
class Plan:
    """Parameters of each sample, in the order of application; None for a step that this augmentation never takes.

    maps: float64 [n, 3, 3] between pixel indices, from result to source. flips: bool [n, 2], left-right and top-bottom.
    sigmas: of the blur, pixels; sharpness: 1 for no change; equalised: bool; clips: 0 for no CLAHE. tables: float32
    [n, 256], the new value of each grey level. keys: int64, spreads: float32, of the noise. windows: int [n, 4], the
    erased square: left, top, right, bottom, the last two exclusive.
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

    def part(self, start: int, stop: int) -> "Plan":
        """The plan of the samples from start to stop (exclusive)."""
        columns = (getattr(self, field.name) for field in fields(self))
        return Plan(*(None if column is None else column[start:stop] for column in columns))


def plan_from_draws(a: Augmentation, draws: Draws, side: int) -> Plan:
    """The plan for images of this side."""

    def column(name: str, wanted: float) -> np.ndarray | None:
        return np.asarray(draws[name]) if wanted else None

    warps = bool(a.rotation or a.translation or a.scale or a.shear or a.perspective or a.crop)
    flips = np.stack([draws["horizontal_flip"], draws["vertical_flip"]], axis=1)
    return Plan(
        in_pixels(homographies(draws), side) if warps else None,
        # Flips alone are done by index, which is exact.
        flips if not warps and (a.horizontal_flip or a.vertical_flip) else None,
        column("blur", a.blur) * side if a.blur else None,
        column("sharpness", a.sharpness),
        column("equalisation", a.equalisation),
        column("clahe", a.clahe),
        grey_tables(a, draws),
        np.asarray(draws["key"]),
        np.asarray(draws["noise"], dtype=np.float32) if a.noise else None,
        windows(draws, side) if a.erasing else None,
    )


def grey_tables(a: Augmentation, draws: Draws) -> np.ndarray:
    """The new value of each of the 256 grey levels, float32 [n, 256]: inversion, gamma, contrast, brightness.

    In 0..1, except before noise, which is clamped afterwards.
    """
    levels, count = np.arange(256, dtype=np.float32) / np.float32(255), len(draws["key"])
    if not (a.inversion or a.gamma or a.contrast or a.brightness):
        return np.broadcast_to(levels, (count, 256))  # one table for all takes no memory
    inverted, gamma, contrast, brightness = (
        np.asarray(draws[name])[:, None] for name in ("inversion", "gamma", "contrast", "brightness")
    )
    tables = np.where(inverted, 1 - levels.astype(np.float64), levels)
    if a.gamma:
        # One table at a time, so that rounding cannot depend on its place in the batch.
        for table, exponent in zip(tables, gamma[:, 0].tolist()):
            np.power(table, exponent, out=table)
    tables -= 0.5
    tables *= contrast
    tables += 0.5
    tables += brightness
    return (tables if a.noise else np.clip(tables, 0, 1, out=tables)).astype(np.float32)


def windows(draws: Draws, side: int) -> np.ndarray:
    """The pixels whose centre is in the erased square, int [n, 4]."""
    low = np.stack([draws["erasing_x"], draws["erasing_y"]], axis=1)
    high = low + np.asarray(draws["erasing_side"])[:, None]
    return np.ceil(np.concatenate([low, high], axis=1) * side - 0.5).astype(int)


@functools.cache
def normal_levels() -> np.ndarray:
    """Quantiles of the standard normal distribution at 65,536 even steps, float32: noise by table look-up."""
    from scipy.special import ndtri

    return ndtri((np.arange(65536) + 0.5) / 65536).astype(np.float32)
