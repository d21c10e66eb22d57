"""The film of an absorption image: exposure, blur, grain, collimation, markers, overlaps and defects."""

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from core.phantom.plan import Radiograph


def expose(absorbed: np.ndarray, reference: float, rng: np.random.Generator) -> np.ndarray:
    """Grey levels 0..1, before grain is added.

    reference: the absorption of the densest parts, without finding or metal.
    """
    height, width = absorbed.shape
    absorbed = gaussian_filter(absorbed, rng.uniform(0.55, 1.0))
    scatter = _blur_far(absorbed, 12) * rng.uniform(0.05, 0.3)
    slope = np.linspace(-1, 1, width, dtype=np.float32)[None] * rng.normal(0, 0.03)
    slope = slope + np.linspace(-1, 1, height, dtype=np.float32)[:, None] * rng.normal(0, 0.03)
    relative = (absorbed + scatter) / np.float32(reference) * (1 + slope)
    curve = rng.uniform(0.8, 1.3)
    grey = (1 - np.exp(-curve * relative)) / (1 - np.exp(-curve))
    return rng.uniform(0.02, 0.08) + grey * rng.uniform(0.64, 0.75)


def add_grain(grey: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Film grain, partly smooth, of varying strength, over the whole film."""
    noise = rng.standard_normal(grey.shape, dtype=np.float32)
    noise = 0.45 * noise + 1.5 * gaussian_filter(noise, 0.8)
    return grey + noise * np.float32(rng.uniform(0.006, 0.02)) * (0.5 + 0.7 * np.clip(grey, 0, 1))


def collimate(grey: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The film, half of the time with an unexposed edge around a collimated beam, and the exposed area (bool)."""
    draw = rng.random()
    margins, turn, level = rng.uniform(0.0, 0.075, 4), rng.normal(0, 0.02), rng.uniform(0.0, 0.06)
    if draw > 0.5:
        return grey, np.ones(grey.shape, dtype=bool)
    height, width = grey.shape
    y, x = np.linspace(0, 1, height, dtype=np.float32)[:, None], np.linspace(0, 1, width, dtype=np.float32)[None]
    inside = np.minimum(
        np.minimum(x + turn * (y - 0.5) - margins[0], 1 - margins[1] - x - turn * (y - 0.5)) * width,
        np.minimum(y - turn * (x - 0.5) - margins[2], 1 - margins[3] - y + turn * (x - 0.5)) * height,
    )
    open_ = np.clip(inside * 0.7 + 0.5, 0, 1)
    return grey * open_ + np.float32(level) * (1 - open_), open_ > 0.5


def add_marker(grey: np.ndarray, side: str, rng: np.random.Generator) -> np.ndarray:
    """Add a lead letter near a corner."""
    height, width = grey.shape
    size = rng.uniform(0.05, 0.075) * max(height, width)
    x = (0.12 if rng.random() < 0.5 else 0.88) * width + rng.normal(0, 0.02) * width
    y = rng.choice((0.1, 0.5, 0.9), p=(0.5, 0.15, 0.35)) * height + rng.normal(0, 0.02) * height
    turn, level, flipped = rng.normal(0, 0.25), rng.uniform(0.5, 0.8), rng.random() < 0.12
    reach = int(size) + 2
    top, left = max(int(y) - reach, 0), max(int(x) - reach, 0)
    rows = np.arange(top, min(int(y) + reach, height), dtype=np.float32)[:, None] - np.float32(y)
    columns = np.arange(left, min(int(x) + reach, width), dtype=np.float32)[None] - np.float32(x)
    u = (columns * np.cos(turn) + rows * np.sin(turn)) / (size * 0.5) * (-1 if flipped else 1)
    v = (rows * np.cos(turn) - columns * np.sin(turn)) / (size * 0.5)
    near = np.min([_stroke(u, v, *ends) for ends in _LETTERS[side]], axis=0)
    ink = np.clip((0.13 - near) * size * 0.5 + 0.5, 0, 1)
    out = grey.copy()
    spot = out[top : top + ink.shape[0], left : left + ink.shape[1]]
    spot += ink * (level - spot)
    return out


_LETTERS = {
    "L": ((-0.5, -0.8, -0.5, 0.8), (-0.5, 0.8, 0.5, 0.8)),
    "R": (
        (-0.5, -0.8, -0.5, 0.8),
        (-0.5, -0.8, 0.2, -0.8),
        (0.2, -0.8, 0.45, -0.55),
        (0.45, -0.55, 0.45, -0.25),
        (0.45, -0.25, 0.2, 0.0),
        (0.2, 0.0, -0.5, 0.0),
        (-0.05, 0.0, 0.5, 0.8),
    ),
}


def _stroke(u, v, x0, y0, x1, y1):
    dx, dy = x1 - x0, y1 - y0
    along = np.clip(((u - x0) * dx + (v - y0) * dy) / (dx * dx + dy * dy), 0, 1)
    return np.hypot(u - x0 - along * dx, v - y0 - along * dy)


def add_overlap(absorbed: np.ndarray, reference: float, rng: np.random.Generator) -> np.ndarray:
    """Add an object that is not a finding over the body: a ring, a splint, a wire or the edge of another limb."""
    height, width = absorbed.shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    turn = rng.uniform(0, np.pi)
    along = (x - width * rng.uniform(0.2, 0.8)) * np.cos(turn) + (y - height * rng.uniform(0.2, 0.8)) * np.sin(turn)
    aside = (y - height * rng.uniform(0.2, 0.8)) * np.cos(turn) - (x - width * rng.uniform(0.2, 0.8)) * np.sin(turn)
    unit = float(max(height, width))
    kind = rng.integers(4)
    if kind == 0:
        radius = unit * rng.uniform(0.025, 0.045)
        return absorbed + reference * 1.6 * (np.abs(np.hypot(along, aside * 2.2) - radius) < unit * 0.006)
    if kind == 1:
        splint = (np.abs(aside) < unit * 0.09) * (1 + 0.25 * np.sin(along * 40 / unit))
        return absorbed + reference * rng.uniform(0.1, 0.22) * splint
    if kind == 2:
        wire = np.abs(aside - unit * 0.06 * np.sin(along * 7 / unit)) < unit * 0.0045
        return absorbed + reference * 1.1 * wire
    limb = np.sqrt(np.clip(1 - ((aside - unit * 0.42) / (unit * 0.2)) ** 2, 0, 1))
    return absorbed + reference * 0.5 * limb


def add_defects(
    grey: np.ndarray, mask: np.ndarray, defects: tuple[str, ...], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Apply the defects of the whole film in a fixed order; the mask is stretched and padded with the film."""
    numbers = rng.random(6)
    if "dark" in defects:
        grey = grey * np.float32(0.25 + 0.2 * numbers[0])
    if "washed_out" in defects:
        grey = 0.42 + 0.12 * np.float32(numbers[1]) + grey * np.float32(0.4)
    if "inverted" in defects:
        grey = 1 - grey
    if "stretched" in defects:
        grey, mask = _stretch(grey, mask, 1.35 + 0.4 * numbers[2], numbers[3] < 0.5)
    if "border" in defects:
        rim = round((0.03 + 0.06 * numbers[4]) * min(grey.shape))
        grey = np.pad(grey, rim, constant_values=np.float32(0.98 if numbers[5] < 0.5 else 0.0))
        mask = np.pad(mask, rim)
    return grey, mask


def _stretch(grey, mask, factor: float, wide: bool):
    height, width = grey.shape
    size = (int(width * factor), height) if wide else (width, int(height * factor))
    limit = min(1.0, 512 / max(size))
    size = (max(int(size[0] * limit), 1), max(int(size[1] * limit), 1))
    stretched = np.asarray(Image.fromarray(grey.astype(np.float32)).resize(size, Image.Resampling.BILINEAR))
    return stretched, np.asarray(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST))


def _blur_far(field: np.ndarray, factor: int) -> np.ndarray:
    """A fast wide blur: reduced and enlarged again."""
    height, width = field.shape
    size = (max(width // factor, 1), max(height // factor, 1))
    small = Image.fromarray(field.astype(np.float32)).resize(size, Image.Resampling.BOX)
    return np.asarray(small.resize((width, height), Image.Resampling.BICUBIC))


def mottle(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Slow variation of soft tissue around one."""
    small = Image.fromarray(rng.standard_normal((9, 9), dtype=np.float32))
    return 1 + 0.07 * np.asarray(small.resize((shape[1], shape[0]), Image.Resampling.BICUBIC))


def choose_size(radiograph: Radiograph, field: tuple[float, float], rng: np.random.Generator) -> tuple[int, int, bool]:
    """Height, width and whether the limb is placed sideways on the film."""
    long_side = int(rng.integers(300, 513))
    aspect = float(np.clip(field[0] / field[1] * rng.uniform(0.9, 1.12), 0.45, 1.3))
    height, width = (long_side, int(long_side * aspect)) if aspect <= 1 else (int(long_side / aspect), long_side)
    sideways = bool(rng.random() < 0.05)
    return (width, height, True) if sideways else (height, width, False)
