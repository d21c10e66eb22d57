"""Seven regions of the upper limb as parts in millimetres, varied by build and pose.

Longer than other modules, since most of it is the measured outlines of the parts: one function a region, and they share
hand, arm and shoulder girdle.
"""

from dataclasses import dataclass, replace

import numpy as np

from core.phantom.shapes import Part


@dataclass(frozen=True)
class Region:
    """Bones and soft tissue of a region, the field that the film shows (mm) and the field's centre (mm)."""

    bones: tuple[Part, ...]
    soft: tuple[Part, ...]
    field: tuple[float, float]
    centre: tuple[float, float]


# Region -> bones that can have a finding, and the range along each bone. Other bones are always normal.
SITES = {
    "finger": {"proximal": (0.2, 0.85), "middle": (0.2, 0.8), "distal": (0.2, 0.7)},
    "hand": {
        **{f"metacarpal{ray}": (0.2, 0.85) for ray in range(1, 6)},
        **{f"proximal{ray}": (0.2, 0.8) for ray in range(1, 6)},
    },
    "wrist": {"radius": (0.72, 0.96), "ulna": (0.75, 0.95), "scaphoid": (0.35, 0.65), "metacarpal2": (0.15, 0.4)},
    "forearm": {"radius": (0.25, 0.9), "ulna": (0.2, 0.88)},
    "elbow": {"humerus": (0.84, 0.95), "radius": (0.04, 0.2), "ulna": (0.08, 0.22)},
    "humerus": {"humerus": (0.12, 0.8)},
    "shoulder": {"humerus": (0.05, 0.24), "clavicle": (0.45, 0.85)},
}
FLEXION = {"frontal": (2, 12), "oblique": (8, 30), "lateral": (55, 95)}  # of the elbow in each view, degrees


def build_region(name: str, view: str, person: np.random.Generator, pose: np.random.Generator) -> Region:
    """One person's region in one view. `person` must be seeded the same for every view of one person."""
    made = _REGIONS[name](view, person, pose)
    sites = SITES[name]
    build = person.uniform(0.9, 1.1)
    grown = person.random() > 0.1
    bones = []
    for part in made.bones:
        slender = build * person.uniform(0.95, 1.05)
        canal = person.uniform(0.3, 0.6) if person.random() < 0.3 and part.cortex > 1.5 else None
        bones.append(
            replace(
                part,
                outline=tuple((along, plus * slender, minus * slender) for along, plus, minus in part.outline),
                site=sites.get(part.name),
                plate_lines=() if grown or part.flat < 1 or not part.cortex > 1.2 else (0.06, 0.94),
                canal=canal,
            )
        )
    stout = person.uniform(0.9, 1.2)
    soft = tuple(
        replace(part, outline=tuple((along, plus * stout, minus * stout) for along, plus, minus in part.outline))
        for part in made.soft
    )
    return replace(made, bones=tuple(bones), soft=soft)


def _phalanx(name: str, start, end, base: float, shaft: float, head: float, cortex: float) -> Part:
    outline = (
        (0, base, base),
        (0.1, base, base),
        (0.3, 1.08 * shaft, 1.08 * shaft),
        (0.55, shaft, shaft),
        (0.78, 1.05 * shaft, 1.05 * shaft),
        (0.92, head, head),
        (1, head, head),
    )
    return Part(name, start, end, outline, cortex, lateral=0.82, bend=(0, 0.06 * base), caps=(0.35 * base, 0.8 * head))


def _ray(number, base, fan: float, flexion, lengths, widths, person) -> tuple[list[Part], list[Part]]:
    """Bones and soft tissue of a metacarpal and its phalanges. fan: radians from straight up; flexion: per joint."""
    names = (
        ("metacarpal", "proximal", "middle", "distal") if len(lengths) == 4 else ("metacarpal", "proximal", "distal")
    )
    at, bend, bones, flesh = np.array(base, dtype=float), 0.0, [], []
    cortex = (1.9, 1.7, 1.4, 1.1) if len(lengths) == 4 else (1.9, 1.6, 1.2)
    for place, (name, length, width) in enumerate(zip(names, lengths, widths)):
        bend += flexion[place]
        direction = np.array([np.sin(fan) * np.cos(bend), -np.cos(fan) * np.cos(bend), np.sin(bend)])
        end = at + direction * length * person.uniform(0.96, 1.04)
        tip = name == "distal"
        bones.append(
            _phalanx(
                f"{name}{number}",
                tuple(at),
                tuple(end),
                width * 1.5,
                width * (0.7 if tip else 1),
                width * (0.95 if tip else 1.32),
                cortex[place],
            )
        )
        if place:
            wide = 8.5 + 0.35 * width
            flesh.append(
                Part(
                    f"flesh{number}",
                    tuple(at - direction * 12),
                    tuple(end + direction * (5 if tip else 4)),
                    ((0, wide, wide), (1, wide * (0.86 if tip else 0.97), wide * (0.86 if tip else 0.97))),
                    lateral=0.95,
                    caps=(8, 7),
                )
            )
        at = end + direction * person.uniform(1.6, 2.4)
    return bones, flesh


CARPALS = (
    # name, x, y, half length, half width, z, direction in degrees
    ("scaphoid", -14, 25, 12, 6.5, 3, 60),
    ("lunate", -1, 29, 8.5, 7.5, 0, 80),
    ("triquetrum", 12, 25, 8, 6.5, -2, 110),
    ("pisiform", 14, 22, 5, 4.5, 8, 90),
    ("trapezium", -20, 9, 8, 7, 6, 50),
    ("trapezoid", -10, 8, 6.5, 5.5, 0, 90),
    ("capitate", 0, 13, 11, 6.5, 0, 88),
    ("hamate", 11, 11, 9, 7, 1, 100),
)
RAYS = (
    # base x, y, z, fan, metacarpal and phalanges, shaft half widths
    ((-24, 2, 10), -0.72, (44, 31, 22), (4.9, 4.6, 4.4)),
    ((-11, 0, 1), -0.20, (65, 39, 23, 17), (4.4, 4.2, 3.5, 3.2)),
    ((-1, -1, 0), -0.05, (63, 43, 27, 18), (4.4, 4.4, 3.7, 3.3)),
    ((8, 0, 0), 0.11, (57, 40, 25, 18), (3.8, 4.1, 3.5, 3.2)),
    ((16, 3, 1), 0.29, (52, 32, 18, 16), (3.8, 3.6, 3.1, 2.9)),
)


def _hand(view, person, pose) -> Region:
    spread = person.uniform(0.85, 1.15) * pose.uniform(0.75, 1.2)
    curl = pose.uniform(0.02, 0.12) if view != "lateral" else pose.uniform(0.1, 0.3)
    bones, soft = [], []
    for number, (base, fan, lengths, widths) in enumerate(RAYS, 1):
        joints = np.cumsum(np.zeros(len(lengths))) + curl * pose.uniform(0.6, 1.4, len(lengths)) * (number > 1)
        joints[0] = 0.05 * (number > 1)
        ray_bones, ray_soft = _ray(number, base, fan * spread, joints, lengths, widths, person)
        bones += ray_bones
        soft += ray_soft
    for name, x, y, length, width, z, degrees in CARPALS:
        direction = np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees)), 0.0])
        middle = np.array([x, y, z], dtype=float) + person.uniform(-0.8, 0.8, 3)
        waist = 0.82 if name in {"scaphoid", "capitate"} else 1.0
        bones.append(
            Part(
                name,
                tuple(middle - direction * length),
                tuple(middle + direction * length),
                ((0, width, width), (0.5, width * waist, width * waist), (1, width, width)),
                0.75,
                lateral=1.0,
                caps=(0.8 * length, 0.8 * length),
                spongy=0.3,
            )
        )
    variance = person.uniform(-2, 2)
    bones += [
        Part(
            "radius",
            (-6, 190, 0),
            (-9, 35, 0),
            ((0, 7, 7), (0.6, 7.2, 7.2), (0.78, 9, 9), (0.9, 14, 14), (0.96, 14, 17), (1, 9, 15)),
            2.6,
            0.74,
            (2, 3),
            (4, 5),
        ),
        Part(
            "ulna",
            (21, 195, -3),
            (17, 36 + variance, -3),
            ((0, 6.5, 6.5), (0.7, 5.6, 5.6), (0.88, 6.4, 6.4), (0.95, 9, 7.5), (1, 7, 3.5)),
            2.3,
            0.95,
            (-2, 2),
            (4, 4),
        ),
    ]
    soft += [
        Part(
            "palm",
            (2, 40, 2),
            (0, -72, 2),
            ((0, 27, 27), (0.35, 36, 38), (0.8, 42, 42), (1, 40, 38)),
            lateral=0.42,
            caps=(14, 14),
        ),
        Part(
            "thenar",
            (-8, 25, 10),
            (-44, -38, 14),
            ((0, 15, 15), (0.5, 17, 17), (1, 11, 11)),
            lateral=0.9,
            caps=(12, 10),
        ),
        Part("wrist", (4, 215, 0), (3, 20, 0), ((0, 40, 40), (0.6, 32, 32), (1, 27, 27)), lateral=0.72, caps=(2, 12)),
    ]
    return Region(tuple(bones), tuple(soft), (146, 206), (-6, -70))


def _wrist(view, person, pose) -> Region:
    return replace(_hand(view, person, pose), field=(98, 128), centre=(0, 32))


def _finger(view, person, pose) -> Region:
    curl = pose.uniform(0.02, 0.1) if view == "frontal" else pose.uniform(0.06, 0.24)
    joints = curl * pose.uniform(0.5, 1.5, 4)
    joints[0] = 0
    size = person.uniform(0.9, 1.08)
    lengths, widths = np.array((55, 41, 25, 18)) * size, np.array((4.6, 4.4, 3.7, 3.4)) * size
    bones, soft = _ray("", (0, 103 * size, 0), pose.normal(0, 0.03), joints, lengths, widths, person)
    neighbours = person.random(2) < 0.45
    if view != "lateral":  # in a lateral view the other fingers are bent out of the field
        for side, shown in zip((-1, 1), neighbours):
            if shown:
                shift = person.uniform(-12, 8)
                more, flesh = _ray(
                    f"next{side}",
                    (side * 20 * size, 103 * size + shift, 0),
                    side * pose.uniform(0.02, 0.16),
                    joints,
                    lengths,
                    widths,
                    person,
                )
                bones, soft = bones + more, soft + flesh
    soft.append(Part("palm", (0, 130, 0), (0, 42, 0), ((0, 34, 34), (1, 22, 22)), lateral=0.5, caps=(2, 16)))
    return Region(tuple(bones), tuple(soft), (72, 136), (0, 12 * size))


def _arm(view, person, pose) -> Region:
    """Shoulder joint at the origin, elbow about 290 mm below it, forearm flexed according to the view."""
    flexion = np.radians(pose.uniform(*FLEXION[view]))
    down = np.array([-0.05, np.cos(flexion), np.sin(flexion)])
    back = np.array([0.0, np.sin(flexion), -np.cos(flexion)])  # from the joint towards the point of the elbow
    joint = np.array([0.0, 297.0, 0.0])
    radius = joint + np.array([-12.0, 0, 0]) + down * 2
    ulna = joint + np.array([9.0, 0, 0]) - down * 20 + back * (10 + 5 * np.sin(flexion))
    bones = [
        Part(
            "humerus",
            (2, -25, 0),
            (0, 295, 0),
            (
                (0, 17, 26),
                (0.05, 21, 30),
                (0.1, 20, 26),
                (0.15, 15, 15),
                (0.3, 11.5, 11.5),
                (0.62, 10.5, 10.5),
                (0.8, 13, 13),
                (0.88, 19, 21),
                (0.935, 29, 37),
                (0.95, 27, 35),
                (0.972, 23, 24),
                (1, 22, 24),
            ),
            4.6,
            0.66,
            (1, 4),
            (22, 7),
            0.2,
        ),
        Part(
            "ulna",
            tuple(ulna),
            tuple(ulna + down * 262),
            ((0, 11, 11), (0.08, 12, 12), (0.16, 10, 10), (0.4, 7.5, 7.5), (0.75, 6, 6), (0.93, 7, 7), (1, 5, 7)),
            3.2,
            1.15,
            (-3, 6),
            (9, 4),
        ),
        Part(
            "radius",
            tuple(radius),
            tuple(radius + down * 235 + np.array([2.0, 0, 0])),
            (
                (0, 10.5, 10.5),
                (0.04, 10.5, 10.5),
                (0.085, 6.8, 6.8),
                (0.16, 8.5, 7),
                (0.4, 7.6, 7.6),
                (0.78, 8, 8),
                (0.93, 15, 14),
                (1, 15, 12),
            ),
            3.0,
            0.85,
            (6, 4),
            (3, 5),
        ),
    ]
    bones.append(
        Part(
            "olecranon",
            tuple(ulna + down * 8),
            tuple(ulna + down * 8 - back * 20),
            ((0, 9, 9), (1, 7, 7)),
            2.2,
            1.0,
            caps=(6, 6),
        )
    )
    hand = joint + down * 247
    for place in range(4):
        middle = hand + np.array([-19 + 11.5 * place, 0, 0]) + down * person.uniform(3, 8)
        bones.append(
            Part(
                f"carpal{place}",
                tuple(middle - down * 8),
                tuple(middle + down * 8),
                ((0, 7, 7), (1, 7, 7)),
                0.8,
                lateral=1.0,
                caps=(6, 6),
                spongy=0.3,
            )
        )
    soft = [
        Part(
            "upper arm",
            (0, 5, 0),
            (0, 312, 0),
            ((0, 50, 46), (0.5, 44, 42), (0.85, 38, 36), (1, 38, 36)),
            lateral=1.05,
            caps=(40, 26),
        ),
        Part(
            "forearm",
            tuple(joint - down * 32 + back * 4),
            tuple(joint + down * 275),
            ((0, 38, 38), (0.25, 42, 42), (0.8, 28, 28), (1, 27, 27)),
            lateral=0.92,
            caps=(34, 3),
        ),
    ]
    return Region(tuple(bones), tuple(soft), (150, 200), (0, 0))


def _elbow(view, person, pose) -> Region:
    made = _arm(view, person, pose)
    return replace(made, field=(118, 150), centre=(0, 297) if view != "lateral" else (0, 292))


def _forearm(view, person, pose) -> Region:
    # Forearm films are taken with a straight elbow in every view.
    return replace(_arm("frontal", person, pose), field=(125, 290), centre=(-12, 412))


def _humerus(view, person, pose) -> Region:
    made = _arm("frontal" if view == "frontal" else "oblique", person, pose)
    girdle, flesh = _girdle(person)
    return Region(made.bones + girdle, made.soft + flesh, (160, 320), (8, 138))


def _shoulder(view, person, pose) -> Region:
    made = _arm("frontal", person, pose)
    girdle, flesh = _girdle(person)
    return Region(made.bones + girdle, made.soft + flesh, (190, 180), (34, 22))


def _girdle(person) -> tuple[tuple[Part, ...], tuple[Part, ...]]:
    """Shoulder blade, clavicle and the ribs behind them; medial is +x."""
    lift = person.uniform(-4, 4)
    bones = [
        Part(
            "glenoid",
            (33, -17, -3),
            (36, 25, -3),
            ((0, 5, 5), (0.5, 8, 6), (1, 6, 5)),
            1.6,
            1.0,
            caps=(7, 7),
            spongy=0.25,
        ),
        Part(
            "blade",
            (42, -12, -14),
            (86, 128, -30),
            ((0, 16, 10), (0.25, 36, 14), (0.6, 34, 8), (1, 10, 6)),
            1.2,
            0.35,
            caps=(10, 10),
            spongy=0.16,
            flat=0.28,
        ),
        Part(
            "spine",
            (98, -4, -34),
            (-8, -33 + lift, -8),
            ((0, 4, 4), (0.5, 6, 6), (0.85, 8, 8), (1, 10, 9)),
            1.5,
            0.9,
            (0, -6),
            (4, 7),
            0.2,
            0.55,
        ),
        Part("coracoid", (46, -20, 4), (22, -12, 16), ((0, 8, 8), (1, 6, 6)), 1.3, 1.0, caps=(3, 6), flat=0.6),
        Part(
            "clavicle",
            (128, -28 + lift, 14),
            (2, -40 + lift, 2),
            ((0, 9, 9), (0.2, 7, 7), (0.55, 5.6, 5.6), (0.85, 7.5, 7), (1, 8, 7)),
            2.0,
            0.85,
            (-9, 6),
            (4, 5),
        ),
    ]
    for number in range(6):
        y = -18 + 25 * number
        bones.append(
            Part(
                f"rib{number}",
                (150, y - 22, -30),
                (62 + 3 * number, y + 34, 0),
                ((0, 5.5, 5.5), (1, 5, 5)),
                1.0,
                0.8,
                (14, 10),
                (2, 3),
                0.12,
                0.6,
            )
        )
    soft = (
        Part(
            "deltoid",
            (-2, -46, 0),
            (0, 240, 0),
            ((0, 24, 44), (0.2, 50, 50), (0.5, 46, 46), (1, 20, 20)),
            lateral=1.0,
            caps=(34, 60),
        ),
        Part(
            "trunk",
            (96, -78, 0),
            (120, 460, 0),
            ((0, 60, 22), (0.1, 88, 48), (0.3, 92, 60), (1, 92, 48)),
            lateral=0.9,
            caps=(34, 3),
            flat=0.75,
        ),
    )
    return tuple(bones), soft


_REGIONS = {
    "finger": _finger,
    "hand": _hand,
    "wrist": _wrist,
    "forearm": _forearm,
    "elbow": _elbow,
    "humerus": _humerus,
    "shoulder": _shoulder,
}
