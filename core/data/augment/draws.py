"""What each sample is given: draws by counter, from the hash of seed, epoch and image alone. Needs no torch.

No figure here may depend on the batch it is made in: sums and products are taken element by element, and what a library
may round otherwise at the end of a row (cos, pow) is taken one number at a time.
"""

import hashlib
import math

import numpy as np
import pandas as pd

from core.data.augment.spec import Augmentation

# One column of uniform draws each; appended to, never reordered, so that old seeds keep their meaning.
_DRAWS = (
    "horizontal_flip", "vertical_flip", "rotation", "translation_x", "translation_y", "scale", "shear", "brightness",
    "contrast", "gamma", "noise", "inversion", "erasing", "erasing_size", "erasing_x", "erasing_y",
    "corner_0", "corner_1", "corner_2", "corner_3", "corner_4", "corner_5", "corner_6", "corner_7",
    "crop", "crop_area", "crop_aspect", "crop_x", "crop_y",
    "equalisation", "clahe", "clahe_limit", "blur", "sharpness",
    "mixup", "mixup_share", "cutmix", "cutmix_area", "cutmix_x", "cutmix_y", "partner",
)  # fmt: skip
# The corners in the order left top, right top, right bottom, left bottom, x before y, and which way is inwards.
CORNERS = tuple(f"corner_{number}" for number in range(8))
_INWARDS = (1, 1, -1, 1, -1, -1, 1, -1)
_PLACES = (-1, -1, 1, -1, 1, 1, -1, 1)


def draw_table(augmentation: Augmentation, image_ids, seed: int, epoch) -> pd.DataFrame:
    """What each sample gets: one row an image, columns in the units of Augmentation, `key` for its noise.

    epoch: one for all, or one each. corner_0 .. corner_7 are how far each corner is moved, of half the side; crop_* is
    the window kept, in parts of the side; blur is 0 and clahe is 0 where they are left out.
    """
    a, keys = augmentation, keys_of(image_ids, seed, epoch)
    u = uniform_draws(keys)
    either = {name: 2 * u[name] - 1 for name in _DRAWS}
    side = np.where(u["erasing"] < a.erasing, np.sqrt(u["erasing_size"] * a.erasing_area), 0.0)
    kept = np.where(u["crop"] < a.crop, 1 - u["crop_area"] * (1 - a.crop_area), 1.0)
    aspect = np.where(u["crop"] < a.crop, powers(1 + a.crop_aspect, either["crop_aspect"]), 1.0)
    width, height = np.minimum(np.sqrt(kept * aspect), 1), np.minimum(np.sqrt(kept / aspect), 1)
    return pd.DataFrame(
        {
            "horizontal_flip": u["horizontal_flip"] < a.horizontal_flip,
            "vertical_flip": u["vertical_flip"] < a.vertical_flip,
            "rotation": either["rotation"] * a.rotation,
            "translation_x": either["translation_x"] * a.translation,
            "translation_y": either["translation_y"] * a.translation,
            "scale": 1 + either["scale"] * a.scale,
            "shear": either["shear"] * a.shear,
            **{name: u[name] * a.perspective * inwards for name, inwards in zip(CORNERS, _INWARDS)},
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
        },
        index=pd.Index(image_ids, name="image_id"),
    )


def matrices(draws: pd.DataFrame) -> np.ndarray:
    """Homographies float64 [n, 3, 3] from a result's coordinates to the source's, both -1..1 from edge to edge.

    The image is flipped, sheared and scaled, rotated counter-clockwise, moved by the translation, its corners are moved
    inwards, and the window of the crop becomes the whole. One map, so the image is resampled once.
    """
    angle, shear = np.deg2rad(draws["rotation"].to_numpy()), np.deg2rad(draws["shear"].to_numpy())
    cos, sin, tan = (
        np.array([function(float(value)) for value in values])
        for function, values in ((math.cos, angle), (math.sin, angle), (math.tan, shear))
    )
    scale, one, zero = draws["scale"].to_numpy(), np.ones(len(draws)), np.zeros(len(draws))
    flip_x, flip_y = (np.where(draws[name].to_numpy(), -one, one) for name in ("horizontal_flip", "vertical_flip"))
    across, down = (2 * draws[name].to_numpy() for name in ("translation_x", "translation_y"))
    flip = _rows([[flip_x, zero, zero], [zero, flip_y, zero], [zero, zero, one]])
    stretch = _rows([[scale, scale * tan, zero], [zero, scale, zero], [zero, zero, one]])
    turn = _rows([[cos, sin, across], [-sin, cos, down], [zero, zero, one]])
    forward = product(turn, product(stretch, flip))
    if draws[list(CORNERS)].to_numpy().any():
        forward = product(_tilts(draws), forward)
    width, height = draws["crop_width"].to_numpy(), draws["crop_height"].to_numpy()
    left, top = (draws["crop_x"].to_numpy() + width / 2) * 2 - 1, (draws["crop_y"].to_numpy() + height / 2) * 2 - 1
    window = _rows([[1 / width, zero, -left / width], [zero, 1 / height, -top / height], [zero, zero, one]])
    return inverse(product(window, forward))


def in_pixels(maps: np.ndarray, side: int) -> np.ndarray:
    """The same homographies between pixel indices of images of that side."""
    half, middle = side / 2, (side - 1) / 2
    to = np.array([[half, 0, middle], [0, half, middle], [0, 0, 1.0]])
    back = np.array([[1 / half, 0, -middle / half], [0, 1 / half, -middle / half], [0, 0, 1.0]])
    return product(product(np.broadcast_to(to, maps.shape), maps), np.broadcast_to(back, maps.shape))


def product(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Products of matrices [n, 3, 3], element by element: no library decides in which order to add."""
    return sum(one[:, :, middle, None] * other[:, None, middle, :] for middle in range(3))


def inverse(maps: np.ndarray) -> np.ndarray:
    """Inverses of matrices [n, 3, 3] up to a factor that homographies do not see, the last element 1."""
    a, b, c, d, e, f, g, h, i = (maps[:, row, column] for row in range(3) for column in range(3))
    found = _rows(
        [
            [e * i - f * h, c * h - b * i, b * f - c * e],
            [f * g - d * i, a * i - c * g, c * d - a * f],
            [d * h - e * g, b * g - a * h, a * e - b * d],
        ]
    )
    return found / found[:, 2:, 2:]


def _tilts(draws: pd.DataFrame) -> np.ndarray:
    """The map that takes the square's corners where the draws have them (Heckbert 1989, square to quadrilateral)."""
    x0, y0, x1, y1, x2, y2, x3, y3 = (draws[name].to_numpy() + place for name, place in zip(CORNERS, _PLACES))
    one, zero = np.ones(len(draws)), np.zeros(len(draws))
    dx1, dx2, sx = x1 - x2, x3 - x2, x0 - x1 + x2 - x3
    dy1, dy2, sy = y1 - y2, y3 - y2, y0 - y1 + y2 - y3
    under = dx1 * dy2 - dx2 * dy1
    g, h = (sx * dy2 - dx2 * sy) / under, (dx1 * sy - sx * dy1) / under
    from_unit = _rows([[x1 - x0 + g * x1, x3 - x0 + h * x3, x0], [y1 - y0 + g * y1, y3 - y0 + h * y3, y0], [g, h, one]])
    to_unit = _rows([[one / 2, zero, one / 2], [zero, one / 2, one / 2], [zero, zero, one]])
    return product(from_unit, to_unit)


def _rows(rows: list[list[np.ndarray]]) -> np.ndarray:
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def powers(base: float, exponents: np.ndarray) -> np.ndarray:
    """base ** each exponent, one at a time."""
    return np.array([base ** float(exponent) for exponent in exponents])


# SplitMix64 (Steele, Lea and Flood 2014): a counter and a mixing function, so any draw can be made on its own.
GOLDEN, FIRST, SECOND = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def keys_of(image_ids, seed: int, epoch) -> np.ndarray:
    """64 bits for each sample, uint64 [n]; `epoch` is one for all or one each."""
    epochs = np.broadcast_to(epoch, len(image_ids)).tolist()
    digests = [
        hashlib.blake2b(f"{seed} {when} {image}".encode(), digest_size=8).digest()
        for when, image in zip(epochs, image_ids)
    ]
    return np.frombuffer(b"".join(digests), dtype=np.uint64).copy()


def uniform_draws(keys: np.ndarray) -> dict[str, np.ndarray]:
    """Every draw by its name, float64 [n] in 0..1."""
    # Counted from far above the pixels' numbers, so that no draw repeats a pixel's noise.
    steps = np.arange(1, len(_DRAWS) + 1, dtype=np.uint64) + np.uint64(1 << 40)
    with np.errstate(over="ignore"):
        bits = mixed(keys[:, None] + steps * GOLDEN)
    drawn = (bits >> np.uint64(11)) * 2.0**-53
    return {name: np.ascontiguousarray(drawn[:, place]) for place, name in enumerate(_DRAWS)}


def mixed(bits: np.ndarray) -> np.ndarray:
    """SplitMix64's mixing function on uint64."""
    bits = (bits ^ (bits >> np.uint64(30))) * FIRST
    bits = (bits ^ (bits >> np.uint64(27))) * SECOND
    return bits ^ (bits >> np.uint64(31))
