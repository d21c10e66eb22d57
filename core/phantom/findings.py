"""Abnormal findings: fractures, lytic and sclerotic lesions, plates and screws, drawn in coordinates of one bone."""

from dataclasses import dataclass

import numpy as np

from core.phantom.shapes import CORTEX, METAL, STEPS, Shadow, absorb_bone

# Shares of the abnormal studies.
KINDS = {"fracture": 0.35, "lytic": 0.25, "sclerotic": 0.25, "implant": 0.09, "screw": 0.06}
METALS = ("implant", "screw")


@dataclass(frozen=True)
class Finding:
    """One abnormality. Sizes are in units of the bone's local half width, so those of a finger are small."""

    kind: str
    bone: str
    along: float  # position, as a share of the bone's length
    across: float  # -1..1 of the half width
    size: float
    angle: float  # radians from straight across
    strength: float
    seed: int  # of its ragged edges


def choose_finding(kind: str, sites: dict[str, tuple[float, float]], rng: np.random.Generator) -> Finding:
    """A finding of this kind at a random place on one of the sites."""
    name = sorted(sites)[rng.integers(len(sites))]
    size, strength = {
        "fracture": (rng.uniform(0.6, 1.2), rng.uniform(0.75, 1.0)),
        "lytic": (rng.uniform(0.8, 1.25), rng.uniform(0.8, 1.0)),
        "sclerotic": (rng.uniform(0.75, 1.2), rng.uniform(0.75, 1.25)),
        "implant": (rng.uniform(0.4, 0.6), 1.0),
        "screw": (rng.uniform(0.2, 0.3), 1.0),
    }[kind]
    return Finding(
        kind,
        name,
        float(rng.uniform(*sites[name])),
        float(rng.uniform(-0.5, 0.5)),
        float(size),
        float(rng.choice((-1, 1)) * rng.uniform(0.05, 0.75)),
        float(strength),
        int(rng.integers(1 << 31)),
    )


def draw_finding(
    finding: Finding, shadow: Shadow, along: np.ndarray, across: np.ndarray, smallest: float
) -> tuple[np.ndarray, np.ndarray]:
    """Absorption of the bone with the finding, and the mask of the finding (bool).

    smallest: least half width in pixels that a finding is scaled to; on thinner bones it is enlarged.
    """
    place = min(int(finding.along * STEPS), STEPS - 1)
    unit = max(float(shadow.half[place]), smallest)
    down = (along - finding.along) * shadow.length
    aside = across - shadow.centre[place] - finding.across * unit
    return _DRAW[finding.kind](finding, shadow, along, across, down, aside, unit)


def _ragged(seed: int, where: np.ndarray, unit: float) -> np.ndarray:
    """A rough line of height about one as a function of `where` (pixels)."""
    rng = np.random.default_rng(seed)
    rough = np.zeros_like(where)
    for waves in (1.1, 2.7, 6.1):
        phase, pace = rng.uniform(0, 6.3), rng.uniform(0.7, 1.4) * waves / unit
        rough += np.sin(where * np.float32(pace) + np.float32(phase)) / np.float32(waves)
    return rough


def _fracture(finding, shadow, along, across, down, aside, unit):
    middle = aside + finding.across * unit
    line = down - np.tan(finding.angle) * middle - 0.16 * unit * _ragged(finding.seed, middle, unit)
    # The far fragment is displaced and returns within two widths, so that the joint beyond it still fits.
    beyond = np.clip(line / (3.4 * unit), 0, 1)
    fade = (1 - beyond) ** 2 * (1 + 2 * beyond) * (line > 0)
    side = 1 if finding.seed & 1 else -1
    moved, chord = absorb_bone(shadow, along, across - side * finding.size * unit * fade)
    width = max(0.17 * unit * (0.6 + finding.size), 0.75)
    gap = np.exp(-((line / width) ** 2))
    # Beside the gap the ends of the fragments are impacted and denser.
    edge = np.exp(-(((line - 2.6 * width) / (1.2 * width)) ** 2))
    if finding.seed % 3:  # a second line separates a fragment
        slant = np.tan(finding.angle * 0.4) * middle - 0.2 * unit * _ragged(finding.seed + 1, middle, unit)
        second = line - unit * (1.2 + 0.25 * (finding.seed % 4)) - slant
        gap = np.maximum(gap, np.exp(-((second / width) ** 2)))
    absorbed = moved * (1 - 0.95 * finding.strength * gap + 0.7 * finding.strength * edge)
    near = (line > -0.5 * unit) & (line < 2.6 * unit) & ((chord > 0) | (absorb_bone(shadow, along, across)[1] > 0))
    return absorbed, near


def _blobs(finding, shadow, down, aside, unit):
    """Distance from one to four ragged ovals in a row towards mid-shaft; 1 on an edge."""
    rng = np.random.default_rng(finding.seed)
    inward, at, nearest = 1 if finding.along < 0.5 else -1, 0.0, None
    for _ in range(int(rng.integers(1, 5))):
        radius = finding.size * unit * rng.uniform(0.75, 1.0)
        along, beside = down - at, aside - rng.uniform(-0.35, 0.35) * unit
        turn = np.arctan2(along, beside)
        edge = 1 + 0.13 * np.sin(2 * turn + rng.uniform(0, 6.3)) + 0.08 * np.sin(5 * turn + rng.uniform(0, 6.3))
        distance = np.hypot(along / (1.2 * radius), beside / radius) / edge
        nearest = distance if nearest is None else np.minimum(nearest, distance)
        at += inward * radius * rng.uniform(1.9, 2.6)
        if not radius < finding.along * shadow.length + at < shadow.length - radius:
            break
    return nearest


def _lytic(finding, shadow, along, across, down, aside, unit):
    absorbed, chord = absorb_bone(shadow, along, across)
    distance = _blobs(finding, shadow, down, aside, unit)
    hole = 1 / (1 + np.exp(np.clip((distance - 0.92) * 11, -30, 30)))
    # A fifth have no sclerotic rim; the others bulge beyond a thin bone, with a shell.
    rim = np.exp(-(((distance - 1.08) / 0.13) ** 2)) * (0.55 * unit / shadow.scale if finding.seed % 5 else 0.0)
    return absorbed * (1 - 0.95 * finding.strength * hole) + rim, (distance < 1.25) & ((chord > 0) | (rim > 0.3))


def _sclerotic(finding, shadow, along, across, down, aside, unit):
    absorbed, chord = absorb_bone(shadow, along, across)
    distance = _blobs(finding, shadow, down, aside, unit)
    dense = 1 / (1 + np.exp(np.clip((distance - 0.9) * 8, -30, 30)))
    extra = CORTEX * (0.6 * chord + 0.9 * unit / shadow.scale * np.minimum(chord, 1))
    return absorbed + finding.strength * extra * dense, (distance < 1.3) & (chord > 0)


def _implant(finding, shadow, along, across, down, aside, unit):
    absorbed, _ = absorb_bone(shadow, along, across)
    rng = np.random.default_rng(finding.seed)
    unit = min(unit, 0.2 * shadow.length)
    length, width = min(unit * rng.uniform(2.6, 3.8), 0.4 * shadow.length), unit * finding.size
    # A plate is never longer than its bone.
    centre = np.clip(finding.along * shadow.length, 1.05 * length, shadow.length - 1.05 * length)
    down = along * shadow.length - centre
    shift = aside - rng.uniform(-0.9, 0.9) * unit
    plate = (np.abs(down) < length) & (np.abs(shift) < width * (1 - 0.12 * np.cos(down * 6.3 / (0.4 * length))))
    metal = 0.6 * plate
    reach = unit * rng.uniform(0.9, 1.3)
    for place in np.linspace(-0.85, 0.85, int(rng.integers(4, 7))):
        at = down - place * length
        if rng.random() < 0.8:
            lean = rng.uniform(-0.12, 0.12)
            metal = np.maximum(metal, (np.abs(at - lean * shift) < 0.17 * unit) & (np.abs(shift) < reach))
            metal = np.maximum(metal, np.hypot(at, shift) < 0.3 * unit)
        else:
            metal = metal * (np.hypot(at, shift) > 0.22 * unit)  # an empty hole
    return absorbed + METAL * metal * _metal_thickness(shadow, unit), metal > 0


def _screw(finding, shadow, along, across, down, aside, unit):
    absorbed, _ = absorb_bone(shadow, along, across)
    rng = np.random.default_rng(finding.seed)
    turn = finding.angle * 1.2
    inward = aside * np.cos(turn) + down * np.sin(turn)
    beside = down * np.cos(turn) - aside * np.sin(turn)
    reach = unit * rng.uniform(0.9, 1.3)
    radius = max(finding.size * unit, 0.9)
    thread = radius * (0.85 + 0.25 * np.sin(inward * 3.1 / radius))
    metal = (np.abs(inward) < reach) & (np.abs(beside) < thread)
    if finding.seed % 3:  # the others are plain wires without a head
        metal |= (np.abs(inward + reach) < 1.3 * radius) & (np.abs(beside) < 2.3 * radius)
    return absorbed + METAL * metal * _metal_thickness(shadow, unit), metal


def _metal_thickness(shadow: Shadow, unit: float) -> float:
    """Thickness of metal in mm: a plate on a humerus is thicker than one on a finger."""
    return float(np.clip(0.18 * unit / shadow.scale, 0.6, 2.5))


_DRAW = {"fracture": _fracture, "lytic": _lytic, "sclerotic": _sclerotic, "implant": _implant, "screw": _screw}
