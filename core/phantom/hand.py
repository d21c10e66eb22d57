"""Hand, wrist and finger as parts in millimetres: rays of metacarpals and phalanges, carpals, ends of the forearm."""

from dataclasses import replace

import numpy as np

from core.phantom.shapes import Part, Region


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


def hand(view, person, pose) -> Region:
    """A hand in this view."""
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


def wrist(view, person, pose) -> Region:
    """A wrist in this view."""
    return replace(hand(view, person, pose), field=(98, 128), centre=(0, 32))


def finger(view, person, pose) -> Region:
    """A finger in this view."""
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
