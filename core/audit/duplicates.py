"""Copies of a radiograph, exact and near: by what the whole picture looks like, compared pair by pair.

Perceptual hashes answer in bits and lose copies at the border of a bit. Here each radiograph is a small picture,
brought to mean 0 and length 1, and all pairs are compared by blocks of matrix products: as it is, mirrored, turned and
as a negative.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from core.data.measures import SKETCH

# Measured on real radiographs and on phantoms, which all look alike: docs/results.md. REST is asked of what is left
# without the sixteenth part of the pixels, that which differs most: a marker, a strip that was blanked.
COARSE, FINE, REST = 0.93, 0.975, 0.992
LEFT_OUT = 0.06
# A copy keeps its shape; a radiograph of another shape that looks alike does not.
SAME_ASPECT = 0.03
_BLOCK, _PAIRS = 1024, 8192
# Where the mean of every sketch is brought to by a power of its levels, so that a copy's tone curve does not count.
_MIDDLE = 0.4


@dataclass(frozen=True)
class _Way:
    """How a copy may lie: pictures [n, s, s] turned so; whether its shape is turned too, and its levels are negated."""

    turn: Callable[[np.ndarray], np.ndarray]
    aside: bool = False
    negative: bool = False


WAYS = {
    "as it is": _Way(lambda pictures: pictures),
    "mirrored": _Way(lambda pictures: pictures[:, :, ::-1]),
    "upside down": _Way(lambda pictures: pictures[:, ::-1, ::-1]),
    "on its side": _Way(lambda pictures: np.rot90(pictures, axes=(1, 2)), aside=True),
    "negative": _Way(lambda pictures: pictures, negative=True),
}


def near_pairs(
    sketches: np.ndarray, aspects: np.ndarray, progress: Callable[[int, int, str], None] | None = None
) -> pd.DataFrame:
    """Pairs that are copies of one picture: `first`, `second` (rows), `likeness` (0..1), `way` (of WAYS).

    sketches: uint8 [n, SKETCH, SKETCH]; rows without contrast match nothing. aspects: width over height [n].
    """
    plain, even = _features(sketches.astype(np.float32)), _features(_evened(sketches))
    usable, shape, found = sketches.std(axis=(1, 2)) > 3, np.log(aspects), []
    # In the order of their shape, so that a block meets only those that are shaped alike.
    rows = np.flatnonzero(usable)
    rows = rows[np.argsort(shape[rows], kind="stable")]
    for turn, (name, way) in enumerate(WAYS.items()):
        coarse, sign = (plain if way.negative else even)[0], -1 if way.aside else 1
        other = _turned(coarse, way)
        for start in range(0, len(rows), _BLOCK):
            if progress:
                progress(start + turn * len(rows), len(WAYS) * len(rows), "comparing pairs")
            mine = rows[start : start + _BLOCK]
            least, most = sorted(sign * shape[mine][[0, -1]])
            # A trifle more than is asked for: what is too far is left out below.
            low, high = np.searchsorted(shape[rows], (least - SAME_ASPECT - 1e-9, most + SAME_ASPECT + 1e-9))
            # Each pair once: a block meets itself and those after it; on its side, either may be the turned one.
            low = low if way.aside else start
            first, second = np.nonzero(coarse[mine] @ other[rows[low:high]].T >= COARSE)
            alike = np.abs(sign * shape[mine[first]] - shape[rows[low + second]]) <= SAME_ASPECT
            later = rows[low + second] != mine[first] if way.aside else low + second > start + first
            keep = alike & later
            pairs = mine[first[keep]], rows[low + second[keep]]
            found.append(_confirmed(plain[1], even[1], *pairs, way).assign(way=name))
    pairs = pd.concat([part for part in found if len(part)] or [_no_pairs()], ignore_index=True)
    pairs[["first", "second"]] = np.sort(pairs[["first", "second"]].to_numpy(), axis=1)
    # A symmetric picture is near its mirror image as well: the plainest reading is kept.
    return pairs.drop_duplicates(["first", "second"]).sort_values(["first", "second"]).reset_index(drop=True)


def groups_of(count: int, pairs: pd.DataFrame) -> np.ndarray:
    """The group of each of `count` rows, int; rows linked by pairs share one, directly or through others."""
    ones = np.ones(len(pairs))
    links = coo_array((ones, (pairs["first"].to_numpy(int), pairs["second"].to_numpy(int))), shape=(count, count))
    return connected_components(links, directed=False)[1]


def _evened(sketches: np.ndarray) -> np.ndarray:
    """float32, each brought to the same mean by a power of its levels."""
    levels = sketches.astype(np.float32) / 255
    mean = np.clip(levels.mean(axis=(1, 2), dtype=np.float64), 0.02, 0.98)
    return levels ** (np.log(_MIDDLE) / np.log(mean)).astype(np.float32)[:, None, None] * 255


def _features(pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors of 16 x 16, and of the full sketch without its broad shading."""
    coarse = pictures.reshape(-1, 16, SKETCH // 16, 16, SKETCH // 16).mean((2, 4))
    # What all radiographs of a bone share is broad; what tells them apart is not.
    fine = pictures - ndimage.gaussian_filter(pictures, (0, 3, 3), mode="nearest")
    return _unit(coarse), _unit(fine)


def _unit(pictures: np.ndarray) -> np.ndarray:
    flat = pictures.reshape(len(pictures), -1)
    flat = flat - flat.mean(1, keepdims=True)
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)


def _turned(flat: np.ndarray, way: _Way) -> np.ndarray:
    side = round(flat.shape[1] ** 0.5)
    turned = np.ascontiguousarray(way.turn(flat.reshape(-1, side, side))).reshape(len(flat), -1)
    return -turned if way.negative else turned


def _confirmed(plain: np.ndarray, even: np.ndarray, first: np.ndarray, second: np.ndarray, way: _Way) -> pd.DataFrame:
    """Of these pairs, those that are alike in their fine features too."""
    likeness = np.zeros(len(first), np.float32)
    for start in range(0, len(first), _PAIRS):
        part = slice(start, start + _PAIRS)
        for number, fine in enumerate((plain,) if way.negative else (even, plain)):
            mine, theirs = fine[first[part]], _turned(fine[second[part]], way)
            found = np.einsum("ij,ij->i", mine, theirs)
            if number == 0:
                rest = _without_the_worst(mine, theirs)
                found = np.where((found < FINE) & (rest >= REST), rest, found)
            likeness[part] = np.maximum(likeness[part], found)
    keep = likeness >= FINE
    return pd.DataFrame({"first": first[keep], "second": second[keep], "likeness": likeness[keep]})


def _without_the_worst(mine: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Correlation [n] of unit vectors [n, k] over the pixels that are left without LEFT_OUT of them."""
    apart = np.abs(mine - theirs)
    out = round(LEFT_OUT * apart.shape[1])
    kept = apart <= np.partition(apart, -out - 1, axis=1)[:, -out - 1, None]
    count = kept.sum(axis=1, keepdims=True)
    mine, theirs = ((each - (each * kept).sum(axis=1, keepdims=True) / count) * kept for each in (mine, theirs))
    lengths = np.sqrt((mine**2).sum(axis=1) * (theirs**2).sum(axis=1))
    return (mine * theirs).sum(axis=1) / np.maximum(lengths, 1e-6)


def _no_pairs() -> pd.DataFrame:
    return pd.DataFrame({"first": [], "second": [], "likeness": [], "way": []}).astype({"first": int, "second": int})
