"""The one primitive: what is right and wrong at every threshold. Every curve and every rate is read from it."""

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
        raise OverreadError(f"Scores and labels must be numbers: {error}. Drop unlabelled studies first.") from error
    if values.ndim != 1 or marks.shape != values.shape:
        raise OverreadError(
            f"Scores have shape {values.shape} and labels {marks.shape}; "
            "expected two lists of one length, one score and one label a study."
        )
    if not np.isfinite(values).all():
        bad = np.flatnonzero(~np.isfinite(values))
        raise OverreadError(
            f"Score {values[bad[0]]} at place {bad[0]} ({len(bad)} in all); expected finite numbers. Predict again."
        )
    wrong = np.flatnonzero((marks != 0) & (marks != 1))
    if len(wrong):
        raise OverreadError(
            f"Label {marks[wrong[0]]} at place {wrong[0]} ({len(wrong)} in all); expected 0 or 1. "
            "Drop studies without a label first."
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
    """For each threshold, the place in `counts` of the row that holds its counts."""
    wanted = np.asarray(thresholds, dtype=np.float64)
    _check_threshold(wanted)
    ascending = counts["threshold"].to_numpy()[::-1]
    # The lowest score that is >= the threshold: the scores between the two do not exist, so the counts are the same.
    return len(ascending) - 1 - np.searchsorted(ascending, wanted, side="left")


def counts_at(counts: pd.DataFrame, threshold: float) -> dict[str, int]:
    """tp, fp, tn, fn at any threshold, exact. Positive iff score >= threshold, as in scikit-learn."""
    row = int(rows_at(counts, threshold))
    return {name: int(counts[name].to_numpy()[row]) for name in COUNTS[1:]}


@dataclass(frozen=True)
class GroupCounts:
    """COUNTS of several groups made once, to be asked at many thresholds: about two microseconds a group and threshold,
    however many scores there are.

    names: of the groups. scores: ascending distinct scores of each; below: how many abnormal and how many normal
    studies lie below each of them, int [2, distinct + 1].
    """

    names: tuple
    scores: tuple[np.ndarray, ...]
    below: tuple[np.ndarray, ...]

    def at(self, threshold: float) -> np.ndarray:
        """tp, fp, tn, fn, int [groups, 4]: exactly `counts_at` of each group."""
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
    """`GroupCounts` of all studies ('all'), then of each group in the order of their names."""
    values, positive = checked(scores, labels)
    codes, names = pd.factorize(np.asarray(groups), sort=True)
    order = np.argsort(values, kind="stable")
    # Sorted once; each group takes its part of that order.
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
    """How many abnormal and how many normal studies were counted."""
    first = counts_at(counts, np.inf)
    return first["fn"], first["tn"]


def _check_threshold(threshold) -> None:
    if np.isnan(threshold).any():
        raise OverreadError("The threshold is NaN; expected a number. Choose a threshold first.", code="threshold-nan")
