"""Exact counts at up to about a thousand candidate thresholds, however many scores there are, for the live panel."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import logit

from core.errors import OverreadError
from core.metrics.counts import checked
from core.plural import count_text
from core.schema import bone_order

POINTS = 1001  # four ways to place candidates take 250 each
GROUPS = 12  # rows of the panel; with more groups, the smallest are added together as OTHER
OTHER = "other"


@dataclass(frozen=True)
class ThresholdGrid:
    """Exact counts at K candidate thresholds, each a score that occurs.

    thresholds: float64 [K], descending, +infinity first. tp, fp: int64 [groups, K], studies of each group with score >=
    threshold. complete: whether every distinct score is a candidate. between: the largest numbers of abnormal and of
    normal studies with a score strictly between two neighbouring candidates.
    """

    thresholds: np.ndarray
    groups: tuple[str, ...]
    tp: np.ndarray
    fp: np.ndarray
    complete: bool
    between: tuple[int, int]


def grid_counts(studies: pd.DataFrame, points: int = POINTS, by: str = "bone", groups: int = GROUPS) -> ThresholdGrid:
    """Counts of the labelled STUDIES at up to `points` candidates, for each value of `by`, at most `groups` of them.

    With fewer distinct scores than points, every score is a candidate. Otherwise a quarter each is placed at the
    quantiles of the abnormal scores, at those of the normal scores, evenly over the scores, and evenly over their
    log-odds. So between two neighbouring candidates are at most ceil(4 n / points) of the n abnormal studies, and the
    same share of the normal ones, apart from ties (with 1,001 points 0.4% of sensitivity and of specificity).
    """
    if points < 9:
        raise OverreadError(f"The grid has {count_text(points, 'point')}; expected 9 or more.", code="grid-points")
    known = studies[studies["label"].notna()]
    values, positive = checked(known["score"], known["label"])
    distinct, place = np.unique(values, return_inverse=True)
    complete = len(distinct) < points
    chosen = distinct if complete else distinct[_spread(distinct, place, positive, points)]
    # The highest candidate that is <= the score: this candidate and all lower ones call the study abnormal.
    row = np.searchsorted(chosen, values, side="right") - 1
    names, code = _grouped(studies, known, by, groups)
    width = len(chosen)
    cells = np.bincount((code * 2 + positive) * width + row, minlength=2 * len(names) * width)
    at = cells.reshape(len(names), 2, width)[:, :, ::-1].cumsum(axis=2)
    at = np.concatenate([np.zeros((len(names), 2, 1), dtype=np.int64), at], axis=2)
    return ThresholdGrid(
        np.concatenate([[np.inf], chosen[::-1]]),
        names,
        at[:, 1],
        at[:, 0],
        complete,
        _between(chosen, values, row, positive),
    )


def grid_at(
    grid: ThresholdGrid, studies: pd.DataFrame, threshold: float, by: str = "bone"
) -> tuple[np.ndarray, np.ndarray]:
    """tp and fp of each group at any threshold, exact: those of the next higher candidate plus the studies between.

    OverreadError for NaN.
    """
    if np.isnan(threshold):
        raise OverreadError("The threshold is NaN; expected a number. Choose a threshold first.", code="threshold-nan")
    ascending = grid.thresholds[::-1]
    place = len(ascending) - 1 - int(np.searchsorted(ascending, threshold, side="left"))
    tp, fp = grid.tp[:, place].copy(), grid.fp[:, place].copy()
    score = studies["score"].to_numpy()
    between = studies[(score >= threshold) & (score < grid.thresholds[place]) & studies["label"].notna().to_numpy()]
    code = pd.Index(grid.groups).get_indexer(between[by])
    code = np.where(code < 0, len(grid.groups) - 1 if OTHER not in grid.groups else grid.groups.index(OTHER), code)
    for found, label in ((tp, 1), (fp, 0)):
        found += np.bincount(code[between["label"].to_numpy() == label], minlength=len(found))
    return tp, fp


def _spread(distinct: np.ndarray, place: np.ndarray, positive: np.ndarray, points: int) -> np.ndarray:
    """Positions in `distinct` of fewer than `points` candidates, ascending, with the lowest and the highest score."""
    each = (points - 1) // 4 - 1
    found = [np.array([0, len(distinct) - 1])]
    for kind in (positive, ~positive):
        ordered = np.sort(place[kind])
        if len(ordered):
            ranks = np.unique(np.linspace(0, len(ordered) - 1, each + 1)[1:].round().astype(np.int64))
            found.append(ordered[ranks])
    for scale in (distinct, logit(np.clip(distinct, 1e-9, 1 - 1e-9))):
        wanted = np.linspace(scale[0], scale[-1], each + 1)
        found.append(np.minimum(np.searchsorted(scale, wanted), len(distinct) - 1))
    return np.unique(np.concatenate(found))


def _grouped(studies: pd.DataFrame, known: pd.DataFrame, by: str, most: int) -> tuple[tuple[str, ...], np.ndarray]:
    """The names of the groups in order, with empty groups, and the group number of each labelled study."""
    there = studies[by].dropna().unique()
    names = list(bone_order(there) if by == "bone" else sorted(there))
    if len(names) > most:
        largest = known[by].value_counts().index[: most - 1]
        names = [name for name in names if name in set(largest) and name != OTHER] + [OTHER]
    code = pd.Index(names).get_indexer(known[by])
    if (code < 0).any() and OTHER not in names:
        names.append(OTHER)
    return tuple(names), np.where(code < 0, names.index(OTHER) if OTHER in names else -1, code)


def _between(chosen: np.ndarray, values: np.ndarray, row: np.ndarray, positive: np.ndarray) -> tuple[int, int]:
    if not len(values):
        return 0, 0
    apart = values != chosen[row]
    most = [int(np.bincount(row[apart & kind], minlength=1).max()) for kind in (positive, ~positive)]
    return most[0], most[1]
