"""Draw one planned radiograph: its pixels and the mask of its finding."""

from dataclasses import dataclass

import numpy as np

from core.phantom import film
from core.phantom.anatomy import build_region
from core.phantom.findings import Finding, draw_finding
from core.phantom.plan import Radiograph, person_generator, random_generator
from core.phantom.shapes import Pose, Region, absorb_bone, absorb_soft_tissue, cast_shadow, coordinates, covered_area

TURNS = {"frontal": (-8, 8), "oblique": (28, 50), "lateral": (76, 96)}  # degrees about the long axis
TURN_FACTOR = {"shoulder": 0.62, "hand": 0.75}  # their second views are the Y view and the fan, not true laterals
SMALLEST = 0.05  # least half width of a finding, as a share of the film's long side


@dataclass(frozen=True)
class Drawn:
    """Pixels (uint8) and the mask of the finding (bool), of the same shape.

    contrast: mean change of absorption inside the mask, relative to the densest parts of the body.
    """

    pixels: np.ndarray
    mask: np.ndarray
    contrast: float


def draw_radiograph(radiograph: Radiograph, finding: bool = True) -> Drawn:
    """The radiograph. finding=False leaves out its abnormality and changes nothing else, not even the grain."""
    rng, noise = random_generator(radiograph.key, "film"), random_generator(radiograph.key, "noise")
    shown = radiograph.finding if finding else None
    if "two_on_one_film" in radiograph.defects:
        other = {"frontal": "lateral", "lateral": "oblique", "oblique": "frontal"}[radiograph.view]
        panels = [_panel(radiograph, view, shown, rng, 2) for view in (radiograph.view, other)]
        height = min(panel[0].shape[0] for panel in panels)
        grey = np.concatenate([panel[0][_middle(panel[0].shape[0], height)] for panel in panels], axis=1)
        mask = np.concatenate([panel[1][_middle(panel[1].shape[0], height)] for panel in panels], axis=1)
        contrast = max(panel[2] for panel in panels)
    else:
        grey, mask, contrast = _panel(radiograph, radiograph.view, shown, rng, 1)
    if "blank" in radiograph.defects:
        grey = np.full_like(grey, rng.uniform(0.03, 0.9))
    if "marker" in radiograph.defects:
        grey = film.add_marker(grey, radiograph.side, rng)
    grey, mask = film.add_defects(film.add_grain(grey, noise), mask, radiograph.defects, rng)
    return Drawn((np.clip(grey, 0, 1) * 255 + 0.5).astype(np.uint8), np.ascontiguousarray(mask), contrast)


def _middle(length: int, keep: int) -> slice:
    return slice((length - keep) // 2, (length - keep) // 2 + keep)


def _panel(radiograph: Radiograph, view: str, shown: Finding | None, rng: np.random.Generator, per_film: int):
    """One exposure: grey 0..1 without grain, the mask of the finding and its contrast."""
    body = build_region(radiograph.bone, view, person_generator(radiograph.key), rng)
    height, width, sideways = film.choose_size(radiograph, body.field, rng)
    if per_film > 1:
        height, width = int(height * 0.8), max(int(width * 0.55), 90)
    pose = _pose(radiograph, view, body, (height, width), sideways, rng)
    normal, found, mask = _absorb(body, pose, (height, width), shown, rng)
    reference = max(float(np.quantile(normal[::4, ::4], 0.98)), 1e-3)
    contrast = float(np.abs(found - normal)[mask].mean() / reference) if mask.any() else 0.0
    if "overlap" in radiograph.defects:
        found = film.add_overlap(found, reference, rng)
    grey = film.expose(found, reference, rng)
    grey, exposed = film.collimate(grey, rng)
    return grey, mask & exposed, contrast


def _pose(
    radiograph: Radiograph, view: str, body: Region, shape: tuple[int, int], sideways: bool, rng: np.random.Generator
) -> Pose:
    turn = np.radians(rng.uniform(*TURNS[view]))
    turn *= TURN_FACTOR.get(radiograph.bone, 1)
    tilt = np.radians(rng.normal(0, 7)) + (np.pi / 2 * rng.choice((-1, 1)) if sideways else 0)
    across, down = (shape[0], shape[1]) if sideways else (shape[1], shape[0])
    # The whole field is on the film, with a varying margin.
    scale = min(across / body.field[0], down / body.field[1]) * rng.uniform(0.9, 1.06)
    middle = np.array([shape[1], shape[0]]) * (0.5 + rng.normal(0, 0.02, 2))
    x, y = body.centre
    return Pose(turn, tilt, scale, (x * np.cos(turn), y), tuple(middle), radiograph.side == "L")


def _absorb(body: Region, pose: Pose, shape: tuple[int, int], shown: Finding | None, rng: np.random.Generator):
    """Absorption of the body without and with the finding, and the mask of the finding."""
    soft = np.zeros(shape, dtype=np.float32)
    for part in body.soft:
        shadow = cast_shadow(part, pose, shape)
        if shadow and (area := covered_area(shadow, shape)):
            absorbed = absorb_soft_tissue(shadow, *coordinates(shadow, area))
            soft[area] += (absorbed * absorbed) ** 2  # a fourth-power mean joins parts without a visible seam
    normal = np.sqrt(np.sqrt(soft)) * film.mottle(shape, rng)
    mask = np.zeros(shape, dtype=bool)
    change = None
    for part in body.bones:
        shadow = cast_shadow(part, pose, shape)
        if shadow is None:
            continue
        affected = shown is not None and part.name == shown.bone
        smallest = SMALLEST * max(shape)
        area = covered_area(shadow, shape, margin=2.8 * max(float(shadow.half.max()), smallest) if affected else 2.0)
        if area is None:
            continue
        along, across = coordinates(shadow, area)
        absorbed, _ = absorb_bone(shadow, along, across)
        normal[area] += absorbed
        if affected:
            altered, mask[area] = draw_finding(shown, shadow, along, across, smallest)
            change = (area, altered - absorbed)
    found = normal
    if change is not None:
        found = normal.copy()
        found[change[0]] += change[1]
    return normal, found, mask
