"""Random numbers of each sample, from a hash of seed, epoch and image. Imports no torch.

Nothing here may depend on the batch: sums and products are computed element by element, and functions that a library
may round differently at the end of a row (cos, pow) one number at a time.
"""

import hashlib
import math
from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np
import pandas as pd

from core.data.augment.spec import Augmentation

# One uniform random number each. Only append to this list, so that old seeds keep their meaning.
DRAWS = (
    "horizontal_flip", "vertical_flip", "rotation", "translation_x", "translation_y", "scale", "shear", "brightness",
    "contrast", "gamma", "noise", "inversion", "erasing", "erasing_size", "erasing_x", "erasing_y",
    "corner_0", "corner_1", "corner_2", "corner_3", "corner_4", "corner_5", "corner_6", "corner_7",
    "crop", "crop_area", "crop_aspect", "crop_x", "crop_y",
    "equalisation", "clahe", "clahe_limit", "blur", "sharpness",
    "mixup", "mixup_share", "cutmix", "cutmix_area", "cutmix_x", "cutmix_y", "partner",
)  # fmt: skip
# The corners in the order top left, top right, bottom right, bottom left, x before y, and their inward direction.
CORNERS = tuple(f"corner_{number}" for number in range(8))
_CORNER = [DRAWS.index(name) for name in CORNERS]
_INWARDS = np.array([1, 1, -1, 1, -1, -1, 1, -1])
_PLACES = (-1, -1, 1, -1, 1, 1, -1, 1)
_MOVES = (
    "horizontal_flip", "vertical_flip", "rotation", "translation_x", "translation_y", "scale", "shear", *CORNERS,
    "crop_width", "crop_height", "crop_x", "crop_y",
)  # fmt: skip


# Values [n] by name, from `draws_of` or as a table.
Draws: TypeAlias = Mapping[str, np.ndarray] | pd.DataFrame


def draw_table(augmentation: Augmentation, image_ids, seed: int, epoch) -> pd.DataFrame:
    """`draws_of` as a table, one row per image."""
    return pd.DataFrame(draws_of(augmentation, image_ids, seed, epoch), index=pd.Index(image_ids, name="image_id"))


def draws_of(augmentation: Augmentation, image_ids, seed: int, epoch) -> dict[str, np.ndarray]:
    """The parameters of each sample, [n] by name, in the units of Augmentation; `key` seeds its noise.

    epoch: one for all samples, or one each. corner_0 .. corner_7: shift of each corner, as a fraction of half the side;
    crop_*: the kept window, as fractions of the side; blur and clahe are 0 for samples without them. Plain arrays,
    since making a table for every batch would take longer than the draws.
    """
    a, keys = augmentation, keys_of(image_ids, seed, epoch)
    drawn = uniform_draws(keys)
    u, either = dict(zip(DRAWS, drawn)), dict(zip(DRAWS, 2 * drawn - 1))
    side = np.where(u["erasing"] < a.erasing, np.sqrt(u["erasing_size"] * a.erasing_area), 0.0)
    kept = np.where(u["crop"] < a.crop, 1 - u["crop_area"] * (1 - a.crop_area), 1.0)
    aspect = np.where(u["crop"] < a.crop, powers(1 + a.crop_aspect, either["crop_aspect"]), 1.0)
    width, height = np.minimum(np.sqrt(kept * aspect), 1), np.minimum(np.sqrt(kept / aspect), 1)
    return {
        "horizontal_flip": u["horizontal_flip"] < a.horizontal_flip,
        "vertical_flip": u["vertical_flip"] < a.vertical_flip,
        "rotation": either["rotation"] * a.rotation,
        "translation_x": either["translation_x"] * a.translation,
        "translation_y": either["translation_y"] * a.translation,
        "scale": 1 + either["scale"] * a.scale,
        "shear": either["shear"] * a.shear,
        **dict(zip(CORNERS, drawn[_CORNER] * a.perspective * _INWARDS[:, None])),
        "crop_width": width,
        "crop_height": height,
        "crop_x": u["crop_x"] * (1 - width),
        "crop_y": u["crop_y"] * (1 - height),
        "blur": u["blur"] * a.blur,
        "sharpness": 1 + either["sharpness"] * a.sharpness,
        "equalisation": u["equalisation"] < a.equalisation,
        "clahe": np.where(u["clahe"] < a.clahe, 1 + u["clahe_limit"] * (a.clahe_limit - 1), 0.0),
        "brightness": either["brightness"] * a.brightness,
        "contrast": 1 + either["contrast"] * a.contrast,
        "gamma": powers(1 + a.gamma, either["gamma"]),
        "noise": u["noise"] * a.noise,
        "inversion": u["inversion"] < a.inversion,
        "erasing_side": side,
        "erasing_x": u["erasing_x"] * (1 - side),
        "erasing_y": u["erasing_y"] * (1 - side),
        "key": keys.view(np.int64),
    }


def homographies(draws: Draws) -> np.ndarray:
    """Homographies float64 [n, 3, 3] from the result's coordinates to the source's, both -1..1 from edge to edge.

    The image is flipped, sheared and scaled, rotated counter-clockwise, translated, its corners are moved inwards, and
    the window of the crop becomes the whole image. It is one map, so the image is resampled once.
    """
    d = {name: np.asarray(draws[name]) for name in _MOVES}
    cos, sin, tan = (
        _one_by_one(function, np.deg2rad(d[name]))
        for function, name in ((math.cos, "rotation"), (math.sin, "rotation"), (math.tan, "shear"))
    )
    # Flip, shear and scale are [[x, slant, 0], [0, y, 0], [0, 0, 1]]; then rotation and translation.
    x, y = (np.where(d[f"{name}_flip"], -d["scale"], d["scale"]) for name in ("horizontal", "vertical"))
    slant, across, down = tan * y, 2 * d["translation_x"], 2 * d["translation_y"]
    forward = _rows([[cos * x, cos * slant + sin * y, across], [-sin * x, cos * y - sin * slant, down], [0, 0, 1]])
    if any(d[name].any() for name in CORNERS):
        forward = product(_tilts(d), forward)
    width, height = d["crop_width"], d["crop_height"]
    left, top = (d["crop_x"] + width / 2) * 2 - 1, (d["crop_y"] + height / 2) * 2 - 1
    window = _rows([[1 / width, 0, -left / width], [0, 1 / height, -top / height], [0, 0, 1]])
    return inverse(product(window, forward))


def _one_by_one(function: Callable[[float], float], values: np.ndarray) -> np.ndarray:
    """The function of each value; where all are zero it is computed once."""
    if not values.any():
        return np.full(len(values), function(0.0))
    return np.array([function(value) for value in values.tolist()])


def in_pixels(maps: np.ndarray, side: int) -> np.ndarray:
    """Homographies between pixel indices of images of this side, from those between coordinates -1..1."""
    half, middle = side / 2, (side - 1) / 2
    to = np.array([[half, 0, middle], [0, half, middle], [0, 0, 1.0]])
    back = np.array([[1 / half, 0, -middle / half], [0, 1 / half, -middle / half], [0, 0, 1.0]])
    return np.ascontiguousarray(product(product(to[None], maps), back[None]))


def product(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Products of matrices [n or 1, 3, 3], element by element, so that the order of additions is fixed."""
    return sum(one[:, :, middle, None] * other[:, None, middle, :] for middle in range(3))


def inverse(maps: np.ndarray) -> np.ndarray:
    """Inverses of homographies [n, 3, 3], scaled so that the last element is 1."""
    a, b, c, d, e, f, g, h, i = (maps[:, row, column] for row in range(3) for column in range(3))
    found = _rows(
        [
            [e * i - f * h, c * h - b * i, b * f - c * e],
            [f * g - d * i, a * i - c * g, c * d - a * f],
            [d * h - e * g, b * g - a * h, a * e - b * d],
        ]
    )
    return found / found[:, 2:, 2:]


def _tilts(draws: Mapping[str, np.ndarray]) -> np.ndarray:
    """The map from the square's corners to the drawn corners (Heckbert 1989, square to quadrilateral)."""
    x0, y0, x1, y1, x2, y2, x3, y3 = (draws[name] + place for name, place in zip(CORNERS, _PLACES))
    dx1, dx2, sx = x1 - x2, x3 - x2, x0 - x1 + x2 - x3
    dy1, dy2, sy = y1 - y2, y3 - y2, y0 - y1 + y2 - y3
    under = dx1 * dy2 - dx2 * dy1
    g, h = (sx * dy2 - dx2 * sy) / under, (dx1 * sy - sx * dy1) / under
    from_unit = _rows([[x1 - x0 + g * x1, x3 - x0 + h * x3, x0], [y1 - y0 + g * y1, y3 - y0 + h * y3, y0], [g, h, 1]])
    to_unit = np.array([[[0.5, 0, 0.5], [0, 0.5, 0.5], [0, 0, 1]]])
    return product(from_unit, to_unit)


def _rows(rows: list[list[np.ndarray | float]]) -> np.ndarray:
    """Matrices [n, 3, 3] from their elements, each [n] or a number; the first must be [n]."""
    found = np.empty((3, 3, len(rows[0][0])))
    for places, row in zip(found, rows):
        for place, values in zip(places, row):
            place[:] = values
    return np.moveaxis(found, 2, 0)


def powers(base: float, exponents: np.ndarray) -> np.ndarray:
    """base ** each exponent, one at a time."""
    if base == 1:
        return np.ones(len(exponents))
    return np.array([base**exponent for exponent in exponents.tolist()])


# SplitMix64 (Steele, Lea and Flood 2014): a counter and a mixing function, so any number can be computed alone.
GOLDEN, FIRST, SECOND = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def keys_of(image_ids, seed: int, epoch) -> np.ndarray:
    """64 bits for each sample, uint64 [n]. epoch: one for all samples, or one each."""
    epochs = np.broadcast_to(epoch, len(image_ids)).tolist()
    digests = [
        hashlib.blake2b(f"{seed} {when} {image}".encode(), digest_size=8).digest()
        for when, image in zip(epochs, image_ids)
    ]
    return np.frombuffer(b"".join(digests), dtype=np.uint64).copy()


def uniform_draws(keys: np.ndarray) -> np.ndarray:
    """Uniform numbers in the order of DRAWS, float64 [draws, n] in 0..1."""
    # Starts far above the counters of pixels, so that no number repeats a pixel's noise.
    steps = np.arange(1, len(DRAWS) + 1, dtype=np.uint64) + np.uint64(1 << 40)
    with np.errstate(over="ignore"):
        bits = mixed(keys + (steps * GOLDEN)[:, None])
    return (bits >> np.uint64(11)) * 2.0**-53


def mixed(bits: np.ndarray) -> np.ndarray:
    """SplitMix64's mixing function on uint64."""
    bits = (bits ^ (bits >> np.uint64(30))) * FIRST
    bits = (bits ^ (bits >> np.uint64(27))) * SECOND
    return bits ^ (bits >> np.uint64(31))
