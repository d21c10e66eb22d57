"""The published counts of MURA v1.1, to check a copy against them."""

import pandas as pd

from core.schema import MURA_BONES

# Rajpurkar 2017: normal studies, abnormal studies, normal images, abnormal images.
_COUNTS = {
    ("train", "elbow"): (1094, 660, 2925, 2006),
    ("train", "finger"): (1280, 655, 3138, 1968),
    ("train", "forearm"): (590, 287, 1164, 661),
    ("train", "hand"): (1497, 521, 4059, 1484),
    ("train", "humerus"): (321, 271, 673, 599),
    ("train", "shoulder"): (1364, 1457, 4211, 4168),
    ("train", "wrist"): (2134, 1326, 5765, 3987),
    ("valid", "elbow"): (92, 66, 235, 230),
    ("valid", "finger"): (92, 83, 214, 247),
    ("valid", "forearm"): (69, 64, 150, 151),
    ("valid", "hand"): (101, 66, 271, 189),
    ("valid", "humerus"): (68, 67, 148, 140),
    ("valid", "shoulder"): (99, 95, 285, 278),
    ("valid", "wrist"): (140, 97, 364, 295),
}
# A set in MURA's layout counts as MURA itself if it has at least half as many images.
_FEWEST_IMAGES = sum(row[2] + row[3] for row in _COUNTS.values()) // 2


def is_mura(index: pd.DataFrame, kind: str) -> bool:
    """Whether an indexed set of kind 'mura' is MURA v1.1 itself, by its number of images and its bones."""
    return kind == "mura" and len(index) >= _FEWEST_IMAGES and set(index["bone"].unique()) <= set(MURA_BONES)


def published_counts_table(index: pd.DataFrame) -> pd.DataFrame:
    """Published and found counts of MURA v1.1: `split`, `bone`, `unit`, `label`, `published`, `found`.

    Studies whose radiographs have both labels are unlabelled, as everywhere; unreadable radiographs are not in the
    index.
    """
    studies = index.groupby(["study_id", "split", "bone"])["label"].agg(["first", "nunique"]).reset_index()
    tables = {
        "studies": studies[studies["nunique"] == 1].rename(columns={"first": "label"}),
        "images": index,
    }
    found = {unit: table.groupby(["split", "bone", "label"]).size() for unit, table in tables.items()}
    places = (("studies", 0.0), ("studies", 1.0), ("images", 0.0), ("images", 1.0))
    rows = [
        (split, bone, unit, label, counts[place], int(found[unit].get((split, bone, label), 0)))
        for (split, bone), counts in _COUNTS.items()
        for place, (unit, label) in enumerate(places)
    ]
    return pd.DataFrame(rows, columns=["split", "bone", "unit", "label", "published", "found"])
