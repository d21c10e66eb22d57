"""Counts of correct and wrong calls at every threshold. Every curve and every rate is computed from them."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.errors import OverreadError

COUNTS = ("threshold", "tp", "fp", "tn", "fn")


def checked(scores, labels) -> tuple[np.ndarray, np.ndarray]:
    """Scores as float64 [N] and labels as bool [N].

    OverreadError for unequal lengths, a score that is not finite, or a label other than 0 and 1.
    """
    try:
        values = np.asarray(scores, dtype=np.float64)
        marks = np.asarray(labels, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise OverreadError(
            f"Scores and labels must be numbers: {error}. Drop studies without a label first.",
            code="scores-not-numbers",
        ) from error
    if values.ndim != 1 or marks.shape != values.shape:
        raise OverreadError(
            f"Scores have shape {values.shape} and labels {marks.shape}; "
            "expected two lists of the same length, one score and one label per study.",
            code="scores-shape",
        )
    if not np.isfinite(values).all():
        bad = np.flatnonzero(~np.isfinite(values))
        raise OverreadError(
            f"Score {values[bad[0]]} at position {bad[0]} ({len(bad)} in all); expected finite numbers. Predict again.",
            code="score-not-finite",
        )
    wrong = np.flatnonzero((marks != 0) & (marks != 1))
    if len(wrong):
        raise OverreadError(
            f"Label {marks[wrong[0]]} at position {wrong[0]} ({len(wrong)} in all); expected 0 or 1. "
            "Drop studies without a label first.",
            code="label-not-binary",
        )
    return values, marks == 1


def counts_table(scores, labels) -> pd.DataFrame:
    """COUNTS: one row per distinct score, descending, after a row at +infinity where nothing is positive."""
    values, positive = checked(scores, labels)
    order = np.argsort(-values, kind="stable")
    values, positive = values[order], positive[order]
    # The last place of each run of equal scores: a threshold takes all of them or none.
    last = np.flatnonzero(np.append(values[1:] != values[:-1], True)) if len(values) else np.zeros(0, dtype=np.int64)
    tp = np.concatenate([[0], np.cumsum(positive, dtype=np.int64)[last]])
    fp = np.concatenate([[0], last + 1]) - tp
    threshold = np.concatenate([[np.inf], values[last]])
    return pd.DataFrame({"threshold": threshold, "tp": tp, "fp": fp, "tn": fp[-1] - fp, "fn": tp[-1] - tp})


def counts_of(studies: pd.DataFrame) -> pd.DataFrame:
    """COUNTS of the labelled studies of a STUDIES table."""
    known = studies[studies["label"].notna()]
    return counts_table(known["score"], known["label"])


def rows_at(counts: pd.DataFrame, thresholds) -> np.ndarray:
    """For each threshold, the position of its row in `counts`."""
    wanted = np.asarray(thresholds, dtype=np.float64)
    _check_threshold(wanted)
    ascending = counts["threshold"].to_numpy()[::-1]
    # The lowest score that is >= the threshold has the same counts, because no score is between the two.
    return len(ascending) - 1 - np.searchsorted(ascending, wanted, side="left")


def counts_at(counts: pd.DataFrame, threshold: float) -> dict[str, int]:
    """tp, fp, tn, fn at any threshold, exact. Positive iff score >= threshold, as in scikit-learn."""
    row = int(rows_at(counts, threshold))
    return {name: int(counts[name].to_numpy()[row]) for name in COUNTS[1:]}


@dataclass(frozen=True)
class GroupCounts:
    """Counts of several groups, prepared once and read at many thresholds: about two microseconds per group and
    threshold, however many scores there are.

    scores: the distinct scores of each group, ascending. below: how many abnormal and how many normal studies have a
    lower score, int [2, distinct + 1].
    """

    names: tuple
    scores: tuple[np.ndarray, ...]
    below: tuple[np.ndarray, ...]

    def at(self, threshold: float) -> np.ndarray:
        """tp, fp, tn, fn of each group, int [groups, 4]; equal to `counts_at` of the group."""
        if np.isnan(threshold):
            raise OverreadError(
                "The threshold is NaN; expected a number. Choose a threshold first.", code="threshold-nan"
            )
        found = np.empty((len(self.scores), 4), dtype=np.int64)
        for group, (scores, below) in enumerate(zip(self.scores, self.below)):
            place = scores.searchsorted(threshold, side="left")
            found[group, 3], found[group, 2] = below[0, place], below[1, place]
            found[group, 0], found[group, 1] = below[0, -1], below[1, -1]
        found[:, 0] -= found[:, 3]
        found[:, 1] -= found[:, 2]
        return found


def group_counts(scores, labels, groups) -> GroupCounts:
    """`GroupCounts` of all studies ('all'), then of each group in alphabetical order."""
    values, positive = checked(scores, labels)
    codes, names = pd.factorize(np.asarray(groups), sort=True)
    order = np.argsort(values, kind="stable")
    # One sort for all groups: a stable sort by group keeps the order of the scores.
    of_group = order[np.argsort(codes[order], kind="stable")]
    ends = np.cumsum(np.bincount(codes, minlength=len(names)))
    parts = [order, *np.split(of_group, ends[:-1])] if len(names) else [order]
    made = [_below(values[part], positive[part]) for part in parts]
    return GroupCounts(("all", *names), tuple(one for one, _ in made), tuple(two for _, two in made))


def _below(values: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    first = np.flatnonzero(np.append(True, values[1:] != values[:-1])) if len(values) else np.zeros(0, np.int64)
    abnormal = np.append(0, np.cumsum(positive))[np.append(first, len(values))]
    return values[first], np.stack([abnormal, np.append(first, len(values)) - abnormal])


def class_sizes(counts: pd.DataFrame) -> tuple[int, int]:
    """The number of abnormal and of normal studies in COUNTS."""
    first = counts_at(counts, np.inf)
    return first["fn"], first["tn"]


def _check_threshold(threshold) -> None:
    if np.isnan(threshold).any():
        raise OverreadError("The threshold is NaN; expected a number. Choose a threshold first.", code="threshold-nan")
