"""Copies of a radiograph, exact and near: by what the whole picture looks like, compared pair by pair.

Perceptual hashes answer in bits and lose copies at the border of a bit. Here the broad waves of each sketch are a unit
vector, and all pairs are compared by blocks of matrix products: as they are, mirrored, turned, as a negative, with
equalised levels, and each whole against parts of the others. What is alike then is looked at closely: as it lies, and
laid on each other as a crop, a frame or a slight turn would have it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from core.audit.alignment import Start, aligned
from core.audit.sketches import COARSE_SIDE, FINE_SIDE, coarse, equalised, evened, fine, seen, spread, unframed

# Measured on real radiographs and on phantoms, which all look alike: docs/decisions.md. COARSE lets a pair be looked
# at. FINE is asked of the two as they lie, and REST of what is left without the sixteenth part of the pixels that
# differs most: a marker, a strip that was blanked. LAID is asked of the two once they are laid on each other, and
# IN_PLACE, where there is no chance to fit, if no corner had to be moved by more than UNMOVED of the height. WITHIN is
# asked of what lies within the frames of two that both have one.
COARSE, FINE, REST, LAID, IN_PLACE, WITHIN = 0.93, 0.975, 0.992, 0.987, 0.945, 0.96
UNMOVED = 0.01
LEFT_OUT = 0.06
# A copy keeps its shape; a radiograph of another shape that looks alike does not. A crop or a frame changes it a bit.
SAME_ASPECT, NEAR_ASPECT = 0.03, 0.06
_BLOCK, _PAIRS, _LAID_AT_ONCE = 1024, 8192, 512


@dataclass(frozen=True)
class _Way:
    """How a copy may lie: pictures [n, s, s] turned so; whether its shape is turned too, and its levels are negated.

    window: the shares left, right, top and bottom of the copy that the other lacks. tone: how levels are compared.
    """

    turn: Callable[[np.ndarray], np.ndarray] = lambda pictures: pictures
    aside: bool = False
    negative: bool = False
    equalised: bool = False
    framed: bool = False
    window: tuple[float, float, float, float] | None = None

    @property
    def laid(self) -> bool:
        """Whether the two do not lie as they are, and need not have quite the same shape."""
        return self.equalised or self.framed or self.window is not None

    @property
    def mutual(self) -> bool:
        """Whether it is the same for the pair the other way round."""
        return not (self.aside or self.framed or self.window)


_PARTS = {
    "less 3% a side": (0.03, 0.03, 0.03, 0.03),
    "less 6% a side": (0.06, 0.06, 0.06, 0.06),
    "less 9% a side": (0.09, 0.09, 0.09, 0.09),
    "less 5% on the left": (0.05, 0, 0, 0),
    "less 5% on the right": (0, 0.05, 0, 0),
    "less 5% above": (0, 0, 0.05, 0),
    "less 5% below": (0, 0, 0, 0.05),
}
WAYS = {
    "as it is": _Way(),
    "mirrored": _Way(lambda pictures: pictures[:, :, ::-1]),
    "upside down": _Way(lambda pictures: pictures[:, ::-1, ::-1]),
    "on its side": _Way(lambda pictures: np.rot90(pictures, axes=(1, 2)), aside=True),
    "negative": _Way(negative=True),
    **{name: _Way(window=window) for name, window in _PARTS.items()},
    "framed": _Way(framed=True),
    "equalised": _Way(equalised=True),
}


@dataclass(frozen=True)
class _Sketches:
    """All that is compared: sketches uint8 [n, s, s] and the logarithm of their shapes [n].

    inner: without their frames, where they are `framed`. usable: those with some contrast.
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
    """Pairs that are copies of one picture: `first`, `second` (rows), `likeness` (0..1), `way` (of WAYS).

    sketches: uint8 [n, SKETCH, SKETCH]; rows without contrast match nothing. aspects: width over height [n].
    """
    parts, shape = unframed(sketches), np.log(aspects)
    usable = spread(sketches) > 3
    all_of_them = _Sketches(sketches, parts.inner, shape, shape + np.log(parts.shape), parts.framed, usable)
    alike = _alike(all_of_them, progress)
    found = _as_they_lie(all_of_them, parts.filled, alike)
    found = pd.concat([found, _laid_on(all_of_them, alike, found, progress)], ignore_index=True)
    found[["first", "second"]] = np.sort(found[["first", "second"]].to_numpy(), axis=1)
    # A symmetric picture is near its mirror image as well: the plainest reading is kept.
    return found.drop_duplicates(["first", "second"]).sort_values(["first", "second"]).reset_index(drop=True)


def groups_of(count: int, pairs: pd.DataFrame) -> np.ndarray:
    """The group of each of `count` rows, int; rows linked by pairs share one, directly or through others."""
    ones = np.ones(len(pairs))
    links = coo_array((ones, (pairs["first"].to_numpy(int), pairs["second"].to_numpy(int))), shape=(count, count))
    return connected_components(links, directed=False)[1]


def _alike(sketches: _Sketches, progress) -> pd.DataFrame:
    """Pairs whose broad features are alike: `first`, `second`, `coarse`, and `way`, the number of it in WAYS."""
    whole = seen(sketches.whole, COARSE_SIDE)
    even, plain = evened(whole), coarse(whole)
    upright = coarse(even)
    found, rows = [], np.flatnonzero(sketches.usable)
    for number, way in enumerate(WAYS.values()):
        if progress:
            progress(number * len(rows), len(WAYS) * len(rows), "comparing pairs")
        theirs, part = rows, way.window
        if way.framed and not len(theirs := rows[sketches.framed[rows]]):
            continue
        if way.equalised:
            mine = other = coarse(seen(equalised(sketches.whole), COARSE_SIDE))
        elif way.window:
            mine, other = upright, coarse(evened(seen(sketches.whole, COARSE_SIDE, part)))
        elif way.framed:
            mine = other = coarse(evened(seen(sketches.inner, COARSE_SIDE)))
        elif way.negative:
            mine, other = plain, -plain
        else:
            mine, other = upright, coarse(np.ascontiguousarray(way.turn(even)))
        shape = sketches.inner_shape if way.framed else sketches.shape
        left, right, top, bottom = part or (0, 0, 0, 0)
        of_other = (-shape if way.aside else shape) + np.log((1 - left - right) / (1 - top - bottom))
        found += [pairs.assign(way=number) for pairs in _blocks(mine, other, shape, of_other, rows, theirs, way)]
    return pd.concat(found or [_none(["first", "second", "coarse", "way"])], ignore_index=True)


def _blocks(mine, other, shape, of_other, rows, theirs, way: _Way):
    """Frames of `first`, `second`, `coarse`, one a block of `rows`, against those of `theirs` that are shaped alike."""
    # In the order of their shape, so that a block meets only those that are shaped alike.
    rows, theirs = rows[np.argsort(shape[rows], kind="stable")], theirs[np.argsort(of_other[theirs], kind="stable")]
    apart, ordered = (NEAR_ASPECT if way.laid else SAME_ASPECT), of_other[theirs]
    other = other[theirs]
    for start in range(0, len(rows), _BLOCK):
        block = rows[start : start + _BLOCK]
        # A trifle more than is asked for: what is too far is left out below.
        low, high = np.searchsorted(ordered, shape[block][[0, -1]] + np.array([-apart - 1e-9, apart + 1e-9]))
        # Each pair once: a block meets itself and those after it; else either may be the turned one, or the part.
        low = start if way.mutual else low
        likeness = mine[block] @ other[low:high].T
        # The largest of each row is found several times faster than where the large ones lie.
        some = np.flatnonzero(likeness.max(axis=1, initial=-1) >= COARSE)
        first, second = np.nonzero(likeness[some] >= COARSE)
        first = some[first]
        keep = np.abs(shape[block[first]] - ordered[low + second]) <= apart
        keep &= low + second > start + first if way.mutual else theirs[low + second] != block[first]
        first, second = first[keep], second[keep]
        if len(first):
            values = likeness[first, second]
            yield pd.DataFrame({"first": block[first], "second": theirs[low + second], "coarse": values})


def _as_they_lie(sketches: _Sketches, filled: np.ndarray, alike: pd.DataFrame) -> pd.DataFrame:
    """Of these pairs, those that are alike in their fine features too, as they lie: `likeness`, `way`.

    filled: the sketches, their frames filled. Two films with the same white frame are alike in that, and no copies.
    """
    found = [_none()]
    for number, (name, way) in enumerate(WAYS.items()):
        pairs = alike[alike["way"] == number]
        if way.laid or pairs.empty:
            continue
        first, second = pairs["first"].to_numpy(), pairs["second"].to_numpy()
        likeness = np.zeros(len(first), np.float32)
        for start in range(0, len(first), _PAIRS):
            part = slice(start, start + _PAIRS)
            likeness[part] = _fine_likeness(sketches.whole, first[part], second[part], way)
        both = np.flatnonzero((likeness >= FINE) & sketches.framed[first] & sketches.framed[second])
        if len(both):
            within = _fine_likeness(filled, first[both], second[both], way)
            likeness[both[within < WITHIN]] = 0
        keep = likeness >= FINE
        found.append(
            pd.DataFrame({"first": first[keep], "second": second[keep], "likeness": likeness[keep], "way": name})
        )
    return pd.concat([part for part in found if len(part)] or found, ignore_index=True)


def _fine_likeness(sketches: np.ndarray, first: np.ndarray, second: np.ndarray, way: _Way) -> np.ndarray:
    """Correlation [n] in fine features of these rows, the second turned as `way` says."""
    mine, theirs = seen(sketches[first], FINE_SIDE), way.turn(seen(sketches[second], FINE_SIDE))
    plain = np.einsum("ij,ij->i", fine(mine), fine(theirs))
    if way.negative:
        return -plain
    even = fine(evened(mine)), fine(evened(theirs))
    found, rest = np.einsum("ij,ij->i", *even), without_the_worst(*even)
    return np.maximum(np.where((found < FINE) & (rest >= REST), rest, found), plain)


def without_the_worst(mine: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Correlation [n] of unit vectors [n, k] over the pixels that are left without LEFT_OUT of them."""
    apart = np.abs(mine - theirs)
    out = round(LEFT_OUT * apart.shape[1])
    kept = apart <= np.partition(apart, -out - 1, axis=1)[:, -out - 1, None]
    count = kept.sum(axis=1, keepdims=True)
    mine, theirs = ((each - (each * kept).sum(axis=1, keepdims=True) / count) * kept for each in (mine, theirs))
    lengths = np.sqrt((mine**2).sum(axis=1) * (theirs**2).sum(axis=1))
    return (mine * theirs).sum(axis=1) / np.maximum(lengths, 1e-6)


def _laid_on(sketches: _Sketches, alike: pd.DataFrame, found: pd.DataFrame, progress) -> pd.DataFrame:
    """Of the pairs that were not `found` yet, those that are alike once laid on each other: `likeness`, `way`."""
    ways, count = list(WAYS.values()), len(sketches.whole)
    # One start a pair and kind of change: the likeliest.
    kinds = np.array([0 if way.window else number for number, way in enumerate(ways)])
    new = alike[~np.isin(_key(alike, count), _key(found, count))]
    new = new.assign(kind=kinds[new["way"].to_numpy(int)], key=_key(new, count)).sort_values(
        ["coarse", "way"], ascending=[False, True], kind="stable"
    )
    new = new.drop_duplicates(["key", "kind"]).sort_values("way", kind="stable")
    parts = []
    for start in range(0, len(new), _LAID_AT_ONCE):
        if progress:
            progress(start, len(new), "laying pairs on each other")
        rows = new.iloc[start : start + _LAID_AT_ONCE]
        for number in rows["way"].unique():
            pairs = rows[rows["way"] == number]
            likeness, moved = _laid(sketches, pairs["first"].to_numpy(), pairs["second"].to_numpy(), ways[number])
            pairs = pairs.assign(likeness=likeness, way=list(WAYS)[number])
            keep = likeness >= np.where(moved <= UNMOVED, IN_PLACE, LAID)
            parts.append(pairs.loc[keep, ["first", "second", "likeness", "way"]])
    return pd.concat([part for part in parts if len(part)] or [_none()], ignore_index=True)


def _key(pairs: pd.DataFrame, count: int) -> np.ndarray:
    first, second = pairs["first"].to_numpy(int), pairs["second"].to_numpy(int)
    return np.minimum(first, second) * count + np.maximum(first, second)


def _laid(sketches: _Sketches, first: np.ndarray, second: np.ndarray, way: _Way) -> tuple[np.ndarray, np.ndarray]:
    pictures, shape = (sketches.inner, sketches.inner_shape) if way.framed else (sketches.whole, sketches.shape)
    mine, theirs = pictures[first], way.turn(pictures[second])
    if way.equalised:
        mine, theirs = equalised(mine), equalised(np.ascontiguousarray(theirs))
    theirs = 255 - theirs if way.negative else theirs
    aspects = np.exp(shape[first]), np.exp((-1 if way.aside else 1) * shape[second])
    left, right, top, bottom = way.window or (0, 0, 0, 0)
    turn = np.full(len(first), 1 / (1 - top - bottom), complex)
    shift = -turn * ((left - right) / 2 * aspects[1] + 1j * (top - bottom) / 2)
    window = np.tile([left - 0.5, top - 0.5, 0.5 - right, 0.5 - bottom], (len(first), 1))
    return aligned(
        np.ascontiguousarray(mine, np.float32),
        np.ascontiguousarray(theirs, np.float32),
        *aspects,
        Start(turn, shift, window),
    )


def _none(columns: tuple = ("first", "second", "likeness", "way")) -> pd.DataFrame:
    return pd.DataFrame({name: [] for name in columns}).astype({"first": int, "second": int})
