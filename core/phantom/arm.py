"""Elbow, forearm, humerus and shoulder as parts in millimetres: one arm, and the shoulder girdle."""

from dataclasses import replace

import numpy as np

from core.phantom.shapes import Part, Region

FLEXION = {"frontal": (2, 12), "oblique": (8, 30), "lateral": (55, 95)}  # of the elbow in each view, degrees


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


def elbow(view, person, pose) -> Region:
    """An elbow in this view."""
    made = _arm(view, person, pose)
    return replace(made, field=(118, 150), centre=(0, 297) if view != "lateral" else (0, 292))


def forearm(view, person, pose) -> Region:
    """A forearm in this view."""
    # Forearm films are taken with a straight elbow in every view.
    return replace(_arm("frontal", person, pose), field=(125, 290), centre=(-12, 412))


def humerus(view, person, pose) -> Region:
    """An upper arm in this view."""
    made = _arm("frontal" if view == "frontal" else "oblique", person, pose)
    girdle, flesh = _girdle(person)
    return Region(made.bones + girdle, made.soft + flesh, (160, 320), (8, 138))


def shoulder(view, person, pose) -> Region:
    """A shoulder in this view."""
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
