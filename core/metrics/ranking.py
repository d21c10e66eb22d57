"""Ranking of abnormal above normal studies: ROC and precision-recall curves, AUROC (DeLong)."""

import numpy as np
import pandas as pd
from scipy.special import expit, logit, ndtr

from core.errors import OverreadError
from core.metrics.counts import checked, counts_table
from core.metrics.intervals import FEWEST, Estimate, normal_quantile, too_few, undefined, without_interval


def roc_table(counts: pd.DataFrame) -> pd.DataFrame:
    """The corners of the ROC curve, from (0, 0) to (1, 1), without points on a straight line between two others.

    A rate whose class is missing is NaN.
    """
    tp, fp = counts["tp"].to_numpy(), counts["fp"].to_numpy()
    keep = np.ones(len(counts), dtype=bool)
    # In whole numbers the test for a straight line is exact, so the area does not change.
    keep[1:-1] = np.diff(tp)[:-1] * np.diff(fp)[1:] != np.diff(tp)[1:] * np.diff(fp)[:-1]
    with np.errstate(invalid="ignore"):
        sensitivity, false_positive_rate = tp[keep] / tp[-1], fp[keep] / fp[-1]
    return pd.DataFrame(
        {
            "threshold": counts["threshold"].to_numpy()[keep],
            "sensitivity": sensitivity,
            "false_positive_rate": false_positive_rate,
            "specificity": 1 - false_positive_rate,
        }
    )


def precision_recall_table(counts: pd.DataFrame) -> pd.DataFrame:
    """threshold, sensitivity, ppv, one row per threshold. At +infinity no study is called abnormal, so ppv is NaN."""
    tp, fp = counts["tp"].to_numpy(), counts["fp"].to_numpy()
    with np.errstate(invalid="ignore"):
        return pd.DataFrame({"threshold": counts["threshold"], "sensitivity": tp / tp[-1], "ppv": tp / (tp + fp)})


def average_precision(scores, labels) -> float:
    """The sum of ppv x (gain in sensitivity) over the thresholds; not the trapezoid. NaN with one class."""
    return average_precision_of(counts_table(scores, labels))


def average_precision_of(counts: pd.DataFrame) -> float:
    """Average precision of a COUNTS table."""
    tp, fp = counts["tp"].to_numpy(), counts["fp"].to_numpy()
    if tp[-1] == 0 or fp[-1] == 0:
        return float("nan")
    return float(np.sum(np.diff(tp) * (tp[1:] / (tp[1:] + fp[1:]))) / tp[-1])


def area(roc: pd.DataFrame) -> float:
    """The area under a ROC table, by trapezoids."""
    return float(np.trapezoid(roc["sensitivity"], roc["false_positive_rate"]))


def one_class(abnormal: int, normal: int) -> str:
    """Why figures that need both classes are not estimable; '' where both have studies."""
    if abnormal == 0 and normal == 0:
        return "not estimable: no labelled studies"
    return "" if abnormal and normal else f"not estimable: no {'abnormal' if normal else 'normal'} studies"


def placements(values: np.ndarray, against: np.ndarray) -> np.ndarray:
    """For each value, how many of `against` are lower; ties count half. Exact: whole numbers and halves."""
    ordered = np.sort(against)
    return (np.searchsorted(ordered, values, side="left") + np.searchsorted(ordered, values, side="right")) / 2


def delong(scores, labels) -> tuple[float, float]:
    """AUROC and its variance (DeLong 1988), O(N log N) by ranks (Sun and Xu 2014). Needs two studies of each class."""
    values, positive = checked(scores, labels)
    # With sorted values the search reads memory in one direction.
    abnormal, normal = np.sort(values[positive]), np.sort(values[~positive])
    m, n = len(abnormal), len(normal)
    won = placements(abnormal, normal)
    lost = placements(normal, abnormal)
    # The mean of `won` or of `lost` is the same area; an exact sum and one division round it correctly.
    value = won.sum() / (m * n)
    return float(value), float(np.var(won, ddof=1) / n**2 / m + np.var(lost, ddof=1) / m**2 / n)


def auroc(scores, labels, interval: str = "auto", fewest: int = FEWEST, level: float = 0.95) -> Estimate:
    """AUROC with DeLong's interval, which assumes independent studies.

    `interval`: 'normal' (clipped to 0..1), 'logit', or 'auto'. 'auto' is 'logit' for an area above 0.95 or below 0.05
    or with fewer than 30 studies of a class, where the coverage of the normal interval is poor. OverreadError for any
    other `interval`.
    """
    if interval not in ("auto", "normal", "logit"):
        raise OverreadError(
            f"The interval is {interval!r}; expected 'auto', 'normal' or 'logit'.", code="interval-method-unknown"
        )
    values, positive = checked(scores, labels)
    abnormal, normal = int(positive.sum()), int((~positive).sum())
    total = abnormal + normal
    if why := one_class(abnormal, normal):
        return undefined(total, why)
    if min(abnormal, normal) < max(2, fewest):
        won = placements(values[positive], values[~positive])
        return without_interval(won.sum() / (abnormal * normal), total, too_few(abnormal, normal, max(2, fewest)))
    value, variance = delong(values, positive)
    if variance == 0:
        return without_interval(value, total, "no interval: degenerate, the standard error is 0")
    use_logit = interval == "logit" or (
        interval == "auto" and (max(value, 1 - value) > 0.95 or min(abnormal, normal) < 30)
    )
    half = normal_quantile(level) * np.sqrt(variance)
    if use_logit:
        half = half / (value * (1 - value))
        low, high = expit(logit(value) - half), expit(logit(value) + half)
    else:
        low, high = max(0.0, value - half), min(1.0, value + half)
    return Estimate(value, float(low), float(high), total)


def auroc_difference(scores_a, scores_b, labels, level: float = 0.95) -> dict:
    """Paired difference of two AUROCs on the same studies (DeLong 1988).

    difference (a - b), low, high, z, p, auroc_a, auroc_b, n, why. No interval with fewer than 10 studies of a class.
    """
    a, positive = checked(scores_a, labels)
    b, _ = checked(scores_b, labels)
    abnormal, normal = int(positive.sum()), int((~positive).sum())
    names = ("difference", "low", "high", "z", "p", "auroc_a", "auroc_b")
    found = dict.fromkeys(names, float("nan")) | {"n": len(a), "why": one_class(abnormal, normal)}
    if found["why"]:
        return found
    won = [placements(scores[positive], scores[~positive]) for scores in (a, b)]
    lost = [placements(scores[~positive], scores[positive]) for scores in (a, b)]
    found["auroc_a"], found["auroc_b"] = (float(part.sum() / (abnormal * normal)) for part in won)
    # Subtract the sums before dividing, so that equal areas differ by exactly 0.
    difference = found["difference"] = float((won[0].sum() - won[1].sum()) / (abnormal * normal))
    found["why"] = too_few(abnormal, normal)
    if min(abnormal, normal) < 2:
        return found
    # The variance of the differences includes the covariance, and is exactly 0 for identical curves.
    variance = np.var(won[0] - won[1], ddof=1) / normal**2 / abnormal
    variance += np.var(lost[0] - lost[1], ddof=1) / abnormal**2 / normal
    if variance == 0:
        same = {"z": 0.0, "p": 1.0} if difference == 0 else {}
        return found | same | {"why": "no interval: degenerate, the standard error is 0"}
    z = difference / np.sqrt(variance)
    found |= {"z": float(z), "p": float(2 * ndtr(-abs(z)))}
    if not found["why"]:
        half = normal_quantile(level) * float(np.sqrt(variance))
        found |= {"low": max(-1.0, difference - half), "high": min(1.0, difference + half)}
    return found
