"""Parts of a body in millimetres, and the shadow of each on the film.

A part is a tube along a slightly bent axis with a separate outline on each side; long bones, carpals, ribs and soft
tissue are all described this way. Turning the body about its long axis (y) gives the views. On the film a pixel has two
coordinates relative to a part: `along` (0 at the start, 1 at the end) and `across` (pixels from the axis).
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.ndimage import gaussian_filter

STEPS = 512  # samples of an outline along its part
CORTEX = 1.0  # absorption per millimetre, relative to cortex
SOFT = 0.085
METAL = 9.0
_ALONG = np.linspace(0, 1, STEPS, dtype=np.float32)


@dataclass(frozen=True)
class Part:
    """One bone, or one mass of soft tissue (cortex 0). Lengths in mm; x across, y down, z towards the tube."""

    name: str
    start: tuple[float, float, float]
    end: tuple[float, float, float]
    outline: tuple[tuple[float, float, float], ...]  # (along, half width on the + side, on the - side), from the front
    cortex: float = 0.0  # at mid-shaft
    lateral: float = 0.9  # half widths in the lateral view, as a share of the frontal ones
    bend: tuple[float, float] = (0.0, 0.0)  # sagitta in x and in z
    caps: tuple[float, float] = (3.0, 3.0)  # length of the rounded ends
    spongy: float = 0.22  # density of the ends; mid-shaft marrow is darker
    flat: float = 1.0  # thickness towards the tube, as a share of a round part's
    site: tuple[float, float] | None = None  # range along it where a finding may be
    plate_lines: tuple[float, ...] = ()  # growth plates, as positions along
    canal: float | None = None  # position along it of a nutrient canal, a normal line that resembles a fracture


@dataclass(frozen=True)
class Region:
    """Bones and soft tissue of a region, the field that the film shows (mm) and the field's centre (mm)."""

    bones: tuple[Part, ...]
    soft: tuple[Part, ...]
    field: tuple[float, float]
    centre: tuple[float, float]


@dataclass(frozen=True)
class Shadow:
    """A part projected on the film, in pixels. Arrays have STEPS entries along the part."""

    part: Part
    start: np.ndarray
    axis: np.ndarray
    length: float
    bend: float
    centre: np.ndarray
    half: np.ndarray
    inner: np.ndarray
    spongy: np.ndarray
    thickness: float  # mm of depth per pixel of half width
    scale: float  # pixels per mm


@dataclass(frozen=True)
class Pose:
    """Position of the body. Angles in radians, `scale` in pixels per mm, `centre` in mm, `film` in pixels."""

    turn: float
    tilt: float
    scale: float
    centre: tuple[float, float]
    film: tuple[float, float]
    mirrored: bool


def cast_shadow(part: Part, pose: Pose, shape: tuple[int, int]) -> Shadow | None:
    """The shadow of a part in a pose; None if it is off a film of this shape (height, width)."""
    start, end = _on_film(part.start, pose), _on_film(part.end, pose)
    reach = pose.scale * (1.3 * max(max(knot[1:]) for knot in part.outline) + max(map(abs, part.bend)))
    if (np.maximum(start, end) < -reach).any() or (np.minimum(start, end) > reach + np.array(shape[::-1])).any():
        return None
    vector = end - start
    # A bone seen end-on would be a disc without an axis, so it keeps a quarter of its length.
    length = max(float(np.hypot(*vector)), 0.25 * pose.scale * float(np.linalg.norm(np.subtract(part.end, part.start))))
    axis = vector / max(float(np.hypot(*vector)), 1e-6)
    cosine, sine = abs(np.cos(pose.turn)), abs(np.sin(pose.turn))
    widen = float(np.hypot(cosine, part.lateral * sine))
    deepen = float(np.hypot(sine, part.lateral * cosine))
    plus, minus = _sides(part, length / pose.scale)
    # In the lateral view the outline is symmetric: a bulge towards x is not a bulge towards z.
    even = 0.5 * (plus + minus)
    plus, minus = (cosine * side + (1 - cosine) * even for side in (plus, minus))
    if pose.mirrored:
        plus, minus = minus, plus
    half = 0.5 * (plus + minus) * widen
    spongy, wall = _filling(part.cortex, part.spongy, part.plate_lines)
    sign = -1 if pose.mirrored else 1
    bend = pose.scale * (part.bend[0] * np.cos(pose.turn) * sign + part.bend[1] * np.sin(pose.turn) * sign)
    return Shadow(
        part,
        start,
        axis,
        length,
        float(bend),
        0.5 * (plus - minus) * widen * pose.scale,
        half * pose.scale,
        np.maximum(half - wall, 0) * pose.scale,
        spongy,
        part.flat * deepen / (widen * pose.scale),
        pose.scale,
    )


def _on_film(point, pose: Pose) -> np.ndarray:
    x, y, z = point
    x = x * np.cos(pose.turn) + z * np.sin(pose.turn)
    x, y = (x - pose.centre[0]) * (-1 if pose.mirrored else 1), y - pose.centre[1]
    cosine, sine = np.cos(pose.tilt), np.sin(pose.tilt)
    return np.array([cosine * x - sine * y, sine * x + cosine * y]) * pose.scale + np.asarray(pose.film)


def _sides(part: Part, length: float) -> tuple[np.ndarray, np.ndarray]:
    """Half widths (mm) on both sides along a part of this length (mm), smoothed, with rounded ends."""
    knots = np.array(part.outline, dtype=np.float32)
    bell = _bell()
    wide = np.linspace(-0.5 * len(bell) / STEPS, 1 + 0.5 * len(bell) / STEPS, STEPS + len(bell) - 1)
    near, far = (_cap(length, reach) for reach in part.caps)
    cap = near * far[::-1]
    sides = [np.convolve(np.interp(wide, knots[:, 0], knots[:, side]), bell, mode="valid") for side in (1, 2)]
    return (sides[0] * cap).astype(np.float32), (sides[1] * cap).astype(np.float32)


@lru_cache(maxsize=1)
def _bell() -> np.ndarray:
    bell = np.hanning(STEPS // 16 + 2)[1:-1]
    return bell / bell.sum()


def _cap(length: float, reach: float) -> np.ndarray:
    """From 0 at the start to 1 after `reach` mm, slightly squarer than a circle."""
    inward = np.maximum(1 - _ALONG * np.float32(length / max(reach, 1e-3)), 0)
    return np.cbrt(1 - inward * inward * inward)


@lru_cache(maxsize=512)
def _filling(cortex: float, ends: float, plate_lines: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Density of the marrow and thickness of the cortex (mm), along a part."""
    middle = np.clip(1.25 * (1 - np.abs(2 * _ALONG - 1) ** 2.2), 0, 1)
    wall = cortex * (0.28 + 0.72 * middle)
    spongy = ends * (1 - 0.72 * middle)
    for position in plate_lines:
        line = np.exp(-(((_ALONG - position) / 0.012) ** 2))
        spongy, wall = spongy * (1 - 0.7 * line), wall * (1 - 0.8 * line)
    return spongy.astype(np.float32), wall.astype(np.float32)


def covered_area(shadow: Shadow, shape: tuple[int, int], margin: float = 2.0) -> tuple[slice, slice] | None:
    """Rows and columns of the film that a shadow can cover; None if it is off the film."""
    reach = float((shadow.half + np.abs(shadow.centre)).max()) + abs(shadow.bend) + margin
    end = shadow.start + shadow.axis * shadow.length
    low = np.floor(np.minimum(shadow.start, end) - reach).astype(int)
    high = np.ceil(np.maximum(shadow.start, end) + reach).astype(int) + 1
    left, top = np.maximum(low, 0)
    right, bottom = min(high[0], shape[1]), min(high[1], shape[0])
    return (slice(top, bottom), slice(left, right)) if right > left and bottom > top else None


def coordinates(shadow: Shadow, area: tuple[slice, slice]) -> tuple[np.ndarray, np.ndarray]:
    """`along` (0..1 inside the part) and `across` (pixels) of every pixel of an area."""
    y = np.arange(area[0].start, area[0].stop, dtype=np.float32)[:, None] - np.float32(shadow.start[1])
    x = np.arange(area[1].start, area[1].stop, dtype=np.float32)[None, :] - np.float32(shadow.start[0])
    ax, ay = (np.float32(value) for value in shadow.axis)
    along = (x * ax + y * ay) / np.float32(shadow.length)
    across = y * ax - x * ay
    if shadow.bend:
        across -= np.float32(4 * shadow.bend) * along * (1 - along)
    return along, across


def absorb_bone(shadow: Shadow, along: np.ndarray, across: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Absorption of a bone, and its chord (mm through the bone's outline); both 0 outside."""
    step = np.clip(along * STEPS, 0, STEPS - 1).astype(np.int32)
    offset = across - shadow.centre[step]
    square = offset * offset
    half, inner = shadow.half[step], shadow.inner[step]
    inside = (along > 0) & (along < 1)
    chord = np.sqrt(np.maximum(half * half - square, 0)) * inside * np.float32(2 * shadow.thickness)
    hollow = np.sqrt(np.maximum(inner * inner - square, 0)) * inside * np.float32(2 * shadow.thickness)
    absorbed = CORTEX * (chord - hollow)
    texture = trabeculae()
    rows = (along * np.float32(shadow.length * 3.0 / shadow.scale)).astype(np.int32) & 255
    columns = (across * np.float32(3.4 / shadow.scale)).astype(np.int32) & 255
    # In a thick bone many layers of trabeculae overlap and average out.
    weave = np.float32(0.6 / (1 + 0.03 * shadow.half.max() / shadow.scale) ** 2)
    absorbed += hollow * shadow.spongy[step] * (1 + weave * texture[rows, columns])
    if shadow.part.canal is not None:
        # Runs obliquely through the cortex of one side only, and fades: no step, no gap on the other side.
        distance = (along - shadow.part.canal) * shadow.length - 2.5 * offset
        absorbed *= 1 - 0.3 * np.exp(-((distance / (0.9 * shadow.scale)) ** 2)) * (offset > 0.2 * half)
    return absorbed, chord


def absorb_soft_tissue(shadow: Shadow, along: np.ndarray, across: np.ndarray) -> np.ndarray:
    """Absorption of soft tissue."""
    step = np.clip(along * STEPS, 0, STEPS - 1).astype(np.int32)
    offset = across - shadow.centre[step]
    half = shadow.half[step]
    return np.sqrt(np.maximum(half * half - offset * offset, 0)) * np.float32(2 * shadow.thickness * SOFT)


@lru_cache(maxsize=1)
def trabeculae() -> np.ndarray:
    """Texture of spongy bone, 256 x 256, periodic, mean 0, standard deviation 1, longer along than across."""
    noise = np.random.default_rng(7).standard_normal((256, 256), dtype=np.float32)
    weave = gaussian_filter(noise, (2.2, 0.9), mode="wrap") - gaussian_filter(noise, (5.0, 4.0), mode="wrap")
    return (weave / weave.std()).astype(np.float32)
