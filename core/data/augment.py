"""Augmentation: one value from which both the training pixels and the preview are made.

What a sample gets depends only on (augmentation, image, epoch, seed), never on its place in a batch, so that the
preview of an image is what training sees.
"""

import hashlib
import json
import math
from dataclasses import asdict, dataclass, fields

import numpy as np
import pandas as pd

from core.errors import OverreadError


@dataclass(frozen=True)
class Augmentation:
    """What may happen to a radiograph in training. Everything at its default leaves it as it is.

    horizontal_flip, vertical_flip, inversion, erasing: probability 0..1. rotation, shear: up to so many degrees either
    way. translation: up to so large a part of the side. scale: from 1 - scale to 1 + scale. brightness: up to so much
    of the grey range added or taken. contrast: factor from 1 - contrast to 1 + contrast about mid grey. gamma: exponent
    from 1 / (1 + gamma) to 1 + gamma. noise: standard deviation up to so much of the grey range. erasing_area: the
    square blanked, up to so large a part of the image.
    """

    horizontal_flip: float = 0.0
    vertical_flip: float = 0.0
    rotation: float = 0.0
    translation: float = 0.0
    scale: float = 0.0
    shear: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    gamma: float = 0.0
    noise: float = 0.0
    inversion: float = 0.0
    erasing: float = 0.0
    erasing_area: float = 0.1

    def __post_init__(self):
        for field in fields(self):
            low, high = LIMITS[field.name]
            value = getattr(self, field.name)
            # A bool is an int to Python, and `true` for a probability is a mistake rather than 1.
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not number or not low <= value <= high:
                raise OverreadError(
                    f"Augmentation {field.name} is {_short(value)}; expected a number from {low:g} to {high:g}."
                )

    def to_json(self) -> str:
        """The value with its `version`, for a file."""
        return json.dumps({"version": VERSION, **asdict(self)}, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Augmentation":
        """The inverse of to_json; absent keys keep their defaults, an absent version is the present one.

        OverreadError names the key, the value found and what was expected, in a sentence of bounded length.
        """
        if len(text) > MOST_CHARACTERS:
            raise OverreadError(
                f"The augmentation has {len(text):,} characters; expected a JSON object of at most {MOST_CHARACTERS:,}."
            )
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise OverreadError(
                f'The augmentation is not JSON ({error}); expected an object such as {{"rotation": 10}}.'
            ) from error
        return cls.from_dict(values)

    @classmethod
    def from_dict(cls, values: dict) -> "Augmentation":
        """From such an object as a recipe or a file holds, with or without its `version`."""
        known = [field.name for field in fields(cls)]
        if not isinstance(values, dict):
            raise OverreadError(f'The augmentation is {_short(values)}; expected an object such as {{"rotation": 10}}.')
        values = dict(values)
        version = values.pop("version", VERSION)
        if type(version) is not int or version != VERSION:
            raise OverreadError(f"Augmentation version is {_short(version)}; expected {VERSION}.")
        unknown = sorted(set(values) - set(known))
        if unknown:
            named = ", ".join(f"{key[:40]!r} ({_short(values[key])})" for key in unknown[:3])
            more = f" and {len(unknown) - 3} more" if len(unknown) > 3 else ""
            raise OverreadError(f"The augmentation holds unknown {named}{more}; expected only {', '.join(known)}.")
        return cls(**values)

    def hash(self) -> str:
        """Eight hexadecimal digits of the JSON's SHA-256."""
        return hashlib.sha256(
            json.dumps({key: float(value) for key, value in asdict(self).items()}).encode()
        ).hexdigest()[:8]


def _short(value) -> str:
    """A value found, for a message: never longer than a line."""
    try:
        shown = repr(value)
    except (ValueError, RecursionError):  # a number of thousands of digits, or nested beyond measure
        shown = f"a {type(value).__name__} too large to show"
    return shown if len(shown) <= 60 else f"{shown[:60]}..."


VERSION = 1
MOST_CHARACTERS = 100_000
LIMITS = {
    "horizontal_flip": (0, 1),
    "vertical_flip": (0, 1),
    "rotation": (0, 180),
    "translation": (0, 0.5),
    "scale": (0, 0.9),
    "shear": (0, 45),
    "brightness": (0, 1),
    "contrast": (0, 1),
    "gamma": (0, 3),
    "noise": (0, 0.5),
    "inversion": (0, 1),
    "erasing": (0, 1),
    "erasing_area": (0, 0.5),
}
PRESETS = {
    "none": Augmentation(),
    # Rajpurkar 2017: random lateral inversions and rotations of up to 30 degrees.
    "mura_paper": Augmentation(horizontal_flip=0.5, rotation=30),
    "light": Augmentation(
        horizontal_flip=0.5, rotation=10, translation=0.03, scale=0.08, brightness=0.05, contrast=0.1
    ),
    "strong": Augmentation(
        horizontal_flip=0.5,
        rotation=25,
        translation=0.08,
        scale=0.2,
        shear=5,
        brightness=0.1,
        contrast=0.3,
        gamma=0.3,
        noise=0.04,
        inversion=0.05,
        erasing=0.25,
    ),
}
# One column of uniform draws each; appended to, never reordered, so that old seeds keep their meaning.
_DRAWS = (
    "horizontal_flip",
    "vertical_flip",
    "rotation",
    "translation_x",
    "translation_y",
    "scale",
    "shear",
    "brightness",
    "contrast",
    "gamma",
    "noise",
    "inversion",
    "erasing",
    "erasing_size",
    "erasing_x",
    "erasing_y",
)


def draw_table(augmentation: Augmentation, image_ids, seed: int, epoch: int) -> pd.DataFrame:
    """What each sample gets: one row an image, columns in the units of Augmentation, `key` for its noise."""
    a, keys = augmentation, _keys(image_ids, seed, epoch)
    u = dict(zip(_DRAWS, _uniform(keys, len(_DRAWS)).T))
    either = {name: 2 * u[name] - 1 for name in _DRAWS}
    side = np.where(u["erasing"] < a.erasing, np.sqrt(u["erasing_size"] * a.erasing_area), 0.0)
    return pd.DataFrame(
        {
            "horizontal_flip": u["horizontal_flip"] < a.horizontal_flip,
            "vertical_flip": u["vertical_flip"] < a.vertical_flip,
            "rotation": either["rotation"] * a.rotation,
            "translation_x": either["translation_x"] * a.translation,
            "translation_y": either["translation_y"] * a.translation,
            "scale": 1 + either["scale"] * a.scale,
            "shear": either["shear"] * a.shear,
            "brightness": either["brightness"] * a.brightness,
            "contrast": 1 + either["contrast"] * a.contrast,
            "gamma": (1 + a.gamma) ** either["gamma"],
            "noise": u["noise"] * a.noise,
            "inversion": u["inversion"] < a.inversion,
            "erasing_side": side,
            "erasing_x": u["erasing_x"] * (1 - side),
            "erasing_y": u["erasing_y"] * (1 - side),
            "key": keys.view(np.int64),
        },
        index=pd.Index(image_ids, name="image_id"),
    )


def apply(augmentation: Augmentation, pixels, image_ids, seed: int, epoch: int):
    """Grey bytes to augmented grey: uint8 tensor [n, s, s] to float32 tensor [n, 1, s, s] in 0..1, on its device.

    One affine resampling (bilinear, black outside), then point-wise steps in the order: inversion, gamma, contrast,
    brightness, noise, erasing.
    """
    unit = pixels.unsqueeze(1).float() / 255
    if augmentation == PRESETS["none"]:
        return unit
    draws = draw_table(augmentation, image_ids, seed, epoch)
    return _values(augmentation, _geometry(augmentation, unit, draws), draws)


def matrices(draws: pd.DataFrame) -> np.ndarray:
    """Affine maps float64 [n, 2, 3] from a result's coordinates to the source's, both -1..1 from edge to edge.

    The image is flipped, sheared and scaled, rotated counter-clockwise, then moved by the translation.
    """
    angle, shear = np.deg2rad(draws["rotation"].to_numpy()), np.tan(np.deg2rad(draws["shear"].to_numpy()))
    scale = draws["scale"].to_numpy()
    cos, sin, one, zero = np.cos(angle), np.sin(angle), np.ones(len(draws)), np.zeros(len(draws))
    rotate = _stack([[cos, sin], [-sin, cos]])
    stretch = _stack([[scale, scale * shear], [zero, scale]])
    flip = _stack(
        [[np.where(draws["horizontal_flip"], -one, one), zero], [zero, np.where(draws["vertical_flip"], -one, one)]]
    )
    back = np.linalg.inv(rotate @ stretch @ flip)
    moved = 2 * draws[["translation_x", "translation_y"]].to_numpy()[:, :, None]
    return np.concatenate([back, -back @ moved], axis=2)


def _geometry(a: Augmentation, unit, draws: pd.DataFrame):
    import torch
    from torch.nn import functional

    if not (a.rotation or a.translation or a.scale or a.shear):
        # Flips alone move no pixel off its grid: done by index, they stay exact.
        for name, axis in (("horizontal_flip", 3), ("vertical_flip", 2)):
            flipped = torch.tensor(draws[name].to_numpy(), device=unit.device)[:, None, None, None]
            unit = torch.where(flipped, unit.flip(axis), unit)
        return unit
    theta = torch.from_numpy(matrices(draws)).float().to(unit.device)
    return functional.grid_sample(
        unit, _grid(theta, unit.shape[-1]), mode="bilinear", padding_mode="zeros", align_corners=False
    )


def _grid(theta, side: int):
    """Where each pixel is read, [n, s, s, 2] in -1..1: `affine_grid` without its product of matrices.

    A library may sum such a product in another order for another batch; a product and a sum per pixel it may not.
    """
    import torch

    place = (2 * torch.arange(side, device=theta.device) + 1) / side - 1
    across, down, part = place[None, None, :], place[None, :, None], theta[:, :, :, None, None]
    return torch.stack([part[:, row, 0] * across + part[:, row, 1] * down + part[:, row, 2] for row in (0, 1)], dim=-1)


def _values(a: Augmentation, unit, draws: pd.DataFrame):
    import torch

    def column(name):
        # A copy, since pandas hands out read-only memory; float32, since not every device has float64.
        values = draws[name].to_numpy()
        values = values.astype(np.float32) if values.dtype == np.float64 else values
        return torch.tensor(values, device=unit.device)[:, None, None, None]

    if a.inversion:
        unit = torch.where(column("inversion"), 1 - unit, unit)
    if a.gamma:
        unit = _power(unit.clamp(0, 1), draws["gamma"].to_numpy())
    if a.contrast:
        unit = (unit - 0.5) * column("contrast") + 0.5
    if a.brightness:
        unit = unit + column("brightness")
    if a.noise:
        unit = unit + _noise(column("key"), unit.shape[-1]) * column("noise")
    unit = unit.clamp(0, 1)
    if a.erasing:
        place = (torch.arange(unit.shape[-1], device=unit.device) + 0.5) / unit.shape[-1]
        left, top, side = (column(name) for name in ("erasing_x", "erasing_y", "erasing_side"))
        across, down = place[None, None, None, :], place[None, None, :, None]
        inside = (across >= left) & (across < left + side) & (down >= top) & (down < top + side)
        unit = unit.masked_fill(inside, 0.0)
    return unit


def _power(unit, exponents):
    """Each sample [1, s, s] raised to its exponent, the same to the bit in any batch and with any number of threads."""
    import torch

    if unit.device.type != "cpu":
        return unit ** torch.tensor(exponents.astype(np.float32), device=unit.device)[:, None, None, None]
    # A vectorised pow rounds its last few elements otherwise than the rest, and where a thread's share ends depends on
    # the batch. Pieces this small are never shared among threads, and they begin anew with each sample.
    flat = unit.reshape(len(unit), -1).contiguous()
    for sample, exponent in zip(flat, exponents):
        for piece in sample.split(_PIECE):
            piece.pow_(float(exponent))
    return flat.view(unit.shape)


def _noise(keys, side: int):
    """Standard normal float32 [n, 1, side, side], each sample's own, from its key and the pixel's number alone."""
    import torch

    count = torch.arange(1, 2 * side * side + 1, device=keys.device).view(1, 2, side, side)
    bits = _mix_tensor(keys + count * _GOLDEN_SIGNED)
    unit = ((bits >> 40) & 0xFFFFFF).float().add_(0.5).mul_(2.0**-24)
    return (-2 * unit[:, :1].log()).sqrt() * (2 * math.pi * unit[:, 1:]).cos()


# SplitMix64 (Steele, Lea and Flood 2014): a counter and a mixing function, so any draw can be made on its own.
_GOLDEN, _FIRST, _SECOND = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_PIECE = 16384  # below the count from which torch shares a step among its threads
_GOLDEN_SIGNED, _FIRST_SIGNED, _SECOND_SIGNED = (int(value.view(np.int64)) for value in (_GOLDEN, _FIRST, _SECOND))


def _keys(image_ids, seed: int, epoch: int) -> np.ndarray:
    digests = [hashlib.blake2b(f"{seed} {epoch} {image}".encode(), digest_size=8).digest() for image in image_ids]
    return np.frombuffer(b"".join(digests), dtype=np.uint64).copy()


def _uniform(keys: np.ndarray, count: int) -> np.ndarray:
    # Counted from far above the pixels' numbers, so that no draw repeats a pixel's noise.
    steps = np.arange(1, count + 1, dtype=np.uint64) + np.uint64(1 << 40)
    with np.errstate(over="ignore"):
        bits = _mix(keys[:, None] + steps * _GOLDEN)
    return (bits >> np.uint64(11)) * 2.0**-53


def _mix(bits: np.ndarray) -> np.ndarray:
    bits = (bits ^ (bits >> np.uint64(30))) * _FIRST
    bits = (bits ^ (bits >> np.uint64(27))) * _SECOND
    return bits ^ (bits >> np.uint64(31))


def _mix_tensor(bits):
    def right(value, by):
        return (value >> by) & ((1 << (64 - by)) - 1)  # torch shifts int64 with its sign

    bits = (bits ^ right(bits, 30)) * _FIRST_SIGNED
    bits = (bits ^ right(bits, 27)) * _SECOND_SIGNED
    return bits ^ right(bits, 31)


def _stack(rows: list[list[np.ndarray]]) -> np.ndarray:
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)
