"""Copies of a radiograph, exact and near: by what the whole picture looks like, compared pair by pair.

Perceptual hashes answer in bits and lose copies at the border of a bit. Here each radiograph is a small picture,
brought to mean 0 and length 1, and all pairs are compared by blocks of matrix products.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from core.data.measures import SKETCH

# Measured on real radiographs and on phantoms, which all look alike: docs/results.md.
COARSE, FINE = 0.95, 0.975
# A copy keeps its shape; a radiograph of another shape that looks alike does not.
SAME_ASPECT = 0.03
_BLOCK = 1024


def near_pairs(
    sketches: np.ndarray, aspects: np.ndarray, progress: Callable[[int, int, str], None] | None = None
) -> pd.DataFrame:
    """Pairs that are copies of one picture: `first`, `second` (rows), `likeness` (0..1), `mirrored`.

    sketches: uint8 [n, SKETCH, SKETCH]; rows without contrast match nothing. aspects: width over height [n].
    """
    coarse, fine, usable = _features(sketches)
    shape, found = np.log(aspects), []
    # In the order of their shape, so that a block meets only those that are shaped alike.
    rows = np.flatnonzero(usable)
    rows = rows[np.argsort(shape[rows], kind="stable")]
    ends = np.searchsorted(shape[rows], shape[rows] + SAME_ASPECT, side="right")
    for turned in (False, True):
        other = coarse.reshape(-1, 16, 16)[:, :, ::-1].reshape(len(coarse), -1) if turned else coarse
        for start in range(0, len(rows), _BLOCK):
            if progress:
                progress(start + turned * len(rows), 2 * len(rows), "comparing pairs")
            mine = rows[start : start + _BLOCK]
            # Each pair once: a block meets itself and those after it.
            theirs = rows[start : ends[start + len(mine) - 1]]
            first, second = np.nonzero(coarse[mine] @ other[theirs].T >= COARSE)
            keep = (second > first) & (start + second < ends[start + first])
            found.append(_confirmed(fine, mine[first[keep]], theirs[second[keep]], turned))
    pairs = pd.concat(found, ignore_index=True) if found else _no_pairs()
    pairs[["first", "second"]] = np.sort(pairs[["first", "second"]].to_numpy(), axis=1)
    # A symmetric picture is near its mirror image as well: the plain reading is kept.
    return (
        pairs.sort_values(["first", "second", "mirrored"]).drop_duplicates(["first", "second"]).reset_index(drop=True)
    )


def groups_of(count: int, pairs: pd.DataFrame) -> np.ndarray:
    """The group of each of `count` rows, int; rows linked by pairs share one, directly or through others."""
    ones = np.ones(len(pairs))
    links = coo_array((ones, (pairs["first"].to_numpy(int), pairs["second"].to_numpy(int))), shape=(count, count))
    return connected_components(links, directed=False)[1]


def _features(sketches: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Unit vectors of 16 x 16 and of the full sketch without its broad shading, and which rows have any contrast."""
    pictures = sketches.astype(np.float32)
    usable = pictures.std(axis=(1, 2)) > 3
    coarse = pictures.reshape(-1, 16, SKETCH // 16, 16, SKETCH // 16).mean((2, 4))
    # What all radiographs of a bone share is broad; what tells them apart is not.
    fine = pictures - ndimage.gaussian_filter(pictures, (0, 3, 3), mode="nearest")
    return _unit(coarse), _unit(fine), usable


def _unit(pictures: np.ndarray) -> np.ndarray:
    flat = pictures.reshape(len(pictures), -1)
    flat = flat - flat.mean(1, keepdims=True)
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)


def _confirmed(fine: np.ndarray, first: np.ndarray, second: np.ndarray, mirrored: bool) -> pd.DataFrame:
    likeness = np.empty(len(first), np.float32)
    for start in range(0, len(first), 65_536):
        part = slice(start, start + 65_536)
        other = fine[second[part]]
        if mirrored:
            other = other.reshape(-1, SKETCH, SKETCH)[:, :, ::-1].reshape(len(other), -1)
        likeness[part] = np.einsum("ij,ij->i", fine[first[part]], other)
    keep = likeness >= FINE
    return pd.DataFrame(
        {"first": first[keep], "second": second[keep], "likeness": likeness[keep], "mirrored": mirrored}
    )


def _no_pairs() -> pd.DataFrame:
    return pd.DataFrame({"first": [], "second": [], "likeness": [], "mirrored": []}).astype(
        {"first": int, "second": int}
    )
