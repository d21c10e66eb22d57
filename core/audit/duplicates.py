"""Finds exact and near copies of radiographs by comparing the whole pictures, pair by pair.

Perceptual hashes round to bits and miss copies close to a rounding border. Here the coarse waves of each sketch are a
unit vector, and blocks of matrix products compare all pairs: unchanged, mirrored, turned, as negatives, with equalised
levels, and each whole picture with parts of the others. Similar pairs are then compared in detail: in place, and
aligned to each other as a crop, a frame or a slight turn would need.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from core.audit.alignment import InitialPlacement, align
from core.audit.sketches import (
    COARSE_SIDE,
    FINE_SIDE,
    area_means,
    coarse_features,
    equalise,
    fine_features,
    level_spread,
    normalise_mean,
    remove_frames,
)

# Measured on real radiographs and on phantoms, which all look alike (docs/decisions.md). A pair with a coarse likeness
# of COARSE is compared in detail. It is a copy if its likeness reaches one of these:
# FINE in place; REST in place, without the share LEFT_OUT of the pixels that differ most (a marker, a blanked strip);
# ALIGNED after alignment; IN_PLACE after an alignment that moved no corner by more than UNMOVED of the height, which
# leaves little room for overfitting. If both have frames, their contents must reach WITHIN as well.
COARSE, FINE, REST, ALIGNED, IN_PLACE, WITHIN = 0.93, 0.975, 0.992, 0.987, 0.945, 0.96
UNMOVED = 0.01
LEFT_OUT = 0.06
# The largest difference in log(width / height): a copy keeps its shape, and a crop or a frame changes it slightly.
SAME_ASPECT, NEAR_ASPECT = 0.03, 0.06
_BLOCK, _PAIRS, _ALIGNED_AT_ONCE = 1024, 8192, 512


@dataclass(frozen=True)
class _Change:
    """A change that turns a picture into a copy.

    turn: of pictures [n, s, s]. aside: whether the turn exchanges width and height. window: the shares on the left,
    right, top and bottom that were cropped.
    """

    turn: Callable[[np.ndarray], np.ndarray] = lambda pictures: pictures
    aside: bool = False
    negative: bool = False
    equalised: bool = False
    framed: bool = False
    window: tuple[float, float, float, float] | None = None

    @property
    def aligned(self) -> bool:
        """Whether the pair needs alignment, so that its shapes may differ slightly."""
        return self.equalised or self.framed or self.window is not None

    @property
    def mutual(self) -> bool:
        """Whether the change is the same with the two pictures exchanged."""
        return not (self.aside or self.framed or self.window)


_CROPS = {
    "3% cropped a side": (0.03, 0.03, 0.03, 0.03),
    "6% cropped a side": (0.06, 0.06, 0.06, 0.06),
    "9% cropped a side": (0.09, 0.09, 0.09, 0.09),
    "5% cropped on the left": (0.05, 0, 0, 0),
    "5% cropped on the right": (0, 0.05, 0, 0),
    "5% cropped above": (0, 0, 0.05, 0),
    "5% cropped below": (0, 0, 0, 0.05),
}
CHANGES = {
    "unchanged": _Change(),
    "mirrored": _Change(lambda pictures: pictures[:, :, ::-1]),
    "upside down": _Change(lambda pictures: pictures[:, ::-1, ::-1]),
    "on its side": _Change(lambda pictures: np.rot90(pictures, axes=(1, 2)), aside=True),
    "negative": _Change(negative=True),
    **{name: _Change(window=window) for name, window in _CROPS.items()},
    "framed": _Change(framed=True),
    "equalised": _Change(equalised=True),
}


@dataclass(frozen=True)
class _Sketches:
    """Sketches uint8 [n, s, s] and the logarithm of their width over height [n].

    inner: the sketches without frames. framed, usable: whether each has a frame, and enough contrast to compare.
    """

    whole: np.ndarray
    inner: np.ndarray
    shape: np.ndarray
    inner_shape: np.ndarray
    framed: np.ndarray
    usable: np.ndarray


def near_pairs(
    sketches: np.ndarray, aspects: np.ndarray, progress: Callable[[int, int, str], None] | None = None
) -> pd.DataFrame:
    """Return the pairs that are copies of one picture: `first`, `second` (rows), `likeness` (0..1), `change`.

    change: a key of CHANGES. sketches: uint8 [n, SKETCH, SKETCH]; those without contrast match nothing. aspects: width
    over height [n].
    """
    unframed, shape = remove_frames(sketches), np.log(aspects)
    usable = level_spread(sketches) > 3
    inner_shape = shape + np.log(unframed.shape)
    candidates = _Sketches(sketches, unframed.inner, shape, inner_shape, unframed.framed, usable)
    alike = _coarse_pairs(candidates, progress)
    found = _pairs_in_place(candidates, unframed.filled, alike)
    found = pd.concat([found, _aligned_pairs(candidates, alike, found, progress)], ignore_index=True)
    found[["first", "second"]] = np.sort(found[["first", "second"]].to_numpy(), axis=1)
    # A symmetric picture is also near its mirror image; the simplest change is kept.
    return found.drop_duplicates(["first", "second"]).sort_values(["first", "second"]).reset_index(drop=True)


def groups_of(count: int, pairs: pd.DataFrame) -> np.ndarray:
    """The group number of each of `count` rows; rows that pairs link, directly or through others, share a group."""
    ones = np.ones(len(pairs))
    links = coo_array((ones, (pairs["first"].to_numpy(int), pairs["second"].to_numpy(int))), shape=(count, count))
    return connected_components(links, directed=False)[1]


def _coarse_pairs(sketches: _Sketches, progress) -> pd.DataFrame:
    """Pairs with similar coarse features: `first`, `second`, `coarse`, and `change`, its position in CHANGES."""
    whole = area_means(sketches.whole, COARSE_SIDE)
    even, plain = normalise_mean(whole), coarse_features(whole)
    upright = coarse_features(even)
    found, rows = [], np.flatnonzero(sketches.usable)
    for number, change in enumerate(CHANGES.values()):
        if progress:
            progress(number * len(rows), len(CHANGES) * len(rows), "comparing pairs")
        theirs = rows
        if change.framed and not len(theirs := rows[sketches.framed[rows]]):
            continue
        if change.equalised:
            mine = other = coarse_features(area_means(equalise(sketches.whole), COARSE_SIDE))
        elif change.window:
            cropped = area_means(sketches.whole, COARSE_SIDE, change.window)
            mine, other = upright, coarse_features(normalise_mean(cropped))
        elif change.framed:
            mine = other = coarse_features(normalise_mean(area_means(sketches.inner, COARSE_SIDE)))
        elif change.negative:
            mine, other = plain, -plain
        else:
            mine, other = upright, coarse_features(np.ascontiguousarray(change.turn(even)))
        shape = sketches.inner_shape if change.framed else sketches.shape
        left, right, top, bottom = change.window or (0, 0, 0, 0)
        of_other = (-shape if change.aside else shape) + np.log((1 - left - right) / (1 - top - bottom))
        found += [pairs.assign(change=number) for pairs in _blocks(mine, other, shape, of_other, rows, theirs, change)]
    return pd.concat(found or [_no_pairs(("first", "second", "coarse", "change"))], ignore_index=True)


def _blocks(mine, other, shape, of_other, rows, theirs, change: _Change):
    """Yield `first`, `second`, `coarse` for each block of `rows` against those of `theirs` with a similar shape."""
    # Sorted by shape, so that a block is compared only with pictures of a similar shape.
    rows, theirs = rows[np.argsort(shape[rows], kind="stable")], theirs[np.argsort(of_other[theirs], kind="stable")]
    tolerance, ordered = (NEAR_ASPECT if change.aligned else SAME_ASPECT), of_other[theirs]
    other = other[theirs]
    for start in range(0, len(rows), _BLOCK):
        block = rows[start : start + _BLOCK]
        # Slightly more than the tolerance, against rounding; pairs beyond it are removed below.
        low, high = np.searchsorted(ordered, shape[block][[0, -1]] + np.array([-tolerance - 1e-9, tolerance + 1e-9]))
        # A mutual change needs each pair once, so a block is compared with itself and later ones. Otherwise either
        # picture may be the changed one.
        low = start if change.mutual else low
        likeness = mine[block] @ other[low:high].T
        # The maximum of each row is several times faster than a search for the large values.
        some = np.flatnonzero(likeness.max(axis=1, initial=-1) >= COARSE)
        first, second = np.nonzero(likeness[some] >= COARSE)
        first = some[first]
        keep = np.abs(shape[block[first]] - ordered[low + second]) <= tolerance
        keep &= low + second > start + first if change.mutual else theirs[low + second] != block[first]
        first, second = first[keep], second[keep]
        if len(first):
            values = likeness[first, second]
            yield pd.DataFrame({"first": block[first], "second": theirs[low + second], "coarse": values})


def _pairs_in_place(sketches: _Sketches, filled: np.ndarray, alike: pd.DataFrame) -> pd.DataFrame:
    """The pairs whose fine features are similar too, without alignment: `likeness` and `change`.

    filled: the sketches with their frames filled, since two films with the same white frame need not be copies.
    """
    found = [_no_pairs()]
    for number, (name, change) in enumerate(CHANGES.items()):
        pairs = alike[alike["change"] == number]
        if change.aligned or pairs.empty:
            continue
        first, second = pairs["first"].to_numpy(), pairs["second"].to_numpy()
        likeness = np.zeros(len(first), np.float32)
        for start in range(0, len(first), _PAIRS):
            part = slice(start, start + _PAIRS)
            likeness[part] = _fine_likeness(sketches.whole, first[part], second[part], change)
        both = np.flatnonzero((likeness >= FINE) & sketches.framed[first] & sketches.framed[second])
        if len(both):
            within = _fine_likeness(filled, first[both], second[both], change)
            likeness[both[within < WITHIN]] = 0
        keep = likeness >= FINE
        found.append(
            pd.DataFrame({"first": first[keep], "second": second[keep], "likeness": likeness[keep], "change": name})
        )
    return pd.concat([part for part in found if len(part)] or found, ignore_index=True)


def _fine_likeness(sketches: np.ndarray, first: np.ndarray, second: np.ndarray, change: _Change) -> np.ndarray:
    """Correlation [n] of the fine features of these rows, with `change` applied to the second."""
    mine, theirs = area_means(sketches[first], FINE_SIDE), change.turn(area_means(sketches[second], FINE_SIDE))
    plain = np.einsum("ij,ij->i", fine_features(mine), fine_features(theirs))
    if change.negative:
        return -plain
    even = fine_features(normalise_mean(mine)), fine_features(normalise_mean(theirs))
    found, rest = np.einsum("ij,ij->i", *even), correlation_without_outliers(*even)
    return np.maximum(np.where((found < FINE) & (rest >= REST), rest, found), plain)


def correlation_without_outliers(mine: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Correlation [n] of unit vectors [n, k] without the share LEFT_OUT of the pixels that differ most."""
    difference = np.abs(mine - theirs)
    out = round(LEFT_OUT * difference.shape[1])
    kept = difference <= np.partition(difference, -out - 1, axis=1)[:, -out - 1, None]
    count = kept.sum(axis=1, keepdims=True)
    mine, theirs = ((each - (each * kept).sum(axis=1, keepdims=True) / count) * kept for each in (mine, theirs))
    lengths = np.sqrt((mine**2).sum(axis=1) * (theirs**2).sum(axis=1))
    return (mine * theirs).sum(axis=1) / np.maximum(lengths, 1e-6)


def _aligned_pairs(sketches: _Sketches, alike: pd.DataFrame, found: pd.DataFrame, progress) -> pd.DataFrame:
    """The pairs not yet `found` that are similar after alignment: `likeness` and `change`."""
    changes, count = list(CHANGES.values()), len(sketches.whole)
    # One initial placement for each pair and kind of change: the one with the highest coarse likeness.
    kinds = np.array([0 if change.window else number for number, change in enumerate(changes)])
    new = alike[~np.isin(_key(alike, count), _key(found, count))]
    new = new.assign(kind=kinds[new["change"].to_numpy(int)], key=_key(new, count)).sort_values(
        ["coarse", "change"], ascending=[False, True], kind="stable"
    )
    new = new.drop_duplicates(["key", "kind"]).sort_values("change", kind="stable")
    parts = []
    for start in range(0, len(new), _ALIGNED_AT_ONCE):
        if progress:
            progress(start, len(new), "aligning pairs")
        rows = new.iloc[start : start + _ALIGNED_AT_ONCE]
        for number in rows["change"].unique():
            pairs = rows[rows["change"] == number]
            likeness, moved = _align_pairs(
                sketches, pairs["first"].to_numpy(), pairs["second"].to_numpy(), changes[number]
            )
            pairs = pairs.assign(likeness=likeness, change=list(CHANGES)[number])
            keep = likeness >= np.where(moved <= UNMOVED, IN_PLACE, ALIGNED)
            parts.append(pairs.loc[keep, ["first", "second", "likeness", "change"]])
    return pd.concat([part for part in parts if len(part)] or [_no_pairs()], ignore_index=True)


def _key(pairs: pd.DataFrame, count: int) -> np.ndarray:
    first, second = pairs["first"].to_numpy(int), pairs["second"].to_numpy(int)
    return np.minimum(first, second) * count + np.maximum(first, second)


def _align_pairs(
    sketches: _Sketches, first: np.ndarray, second: np.ndarray, change: _Change
) -> tuple[np.ndarray, np.ndarray]:
    pictures, shape = (sketches.inner, sketches.inner_shape) if change.framed else (sketches.whole, sketches.shape)
    mine, theirs = pictures[first], change.turn(pictures[second])
    if change.equalised:
        mine, theirs = equalise(mine), equalise(np.ascontiguousarray(theirs))
    theirs = 255 - theirs if change.negative else theirs
    aspects = np.exp(shape[first]), np.exp((-1 if change.aside else 1) * shape[second])
    left, right, top, bottom = change.window or (0, 0, 0, 0)
    turn = np.full(len(first), 1 / (1 - top - bottom), complex)
    shift = -turn * ((left - right) / 2 * aspects[1] + 1j * (top - bottom) / 2)
    window = np.tile([left - 0.5, top - 0.5, 0.5 - right, 0.5 - bottom], (len(first), 1))
    return align(
        np.ascontiguousarray(mine, np.float32),
        np.ascontiguousarray(theirs, np.float32),
        *aspects,
        InitialPlacement(turn, shift, window),
    )


def _no_pairs(columns: tuple[str, ...] = ("first", "second", "likeness", "change")) -> pd.DataFrame:
    return pd.DataFrame({name: [] for name in columns}).astype({"first": int, "second": int})
