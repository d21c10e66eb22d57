"""Whether a score of 30% means 30%: scores of the whole set, the calibration line, and the curve with its intervals."""

import numpy as np
import pandas as pd
from scipy.special import expit, log_expit, logit

from core.errors import OverreadError
from core.metrics.counts import checked
from core.metrics.intervals import Estimate, normal_quantile, too_few, undefined, wilson, without_interval
from core.metrics.ranking import one_class

_EDGE = np.finfo(np.float64).eps  # a probability of exactly 0 or 1 has no logit


def _probabilities(scores, labels) -> tuple[np.ndarray, np.ndarray]:
    values, positive = checked(scores, labels)
    if len(values) and not (values.min() >= 0 and values.max() <= 1):
        raise OverreadError(f"Scores from {values.min():g} to {values.max():g}; expected probabilities, 0 to 1.")
    return values, positive


def brier(scores, labels) -> float:
    """Mean squared distance of probability and label (Brier 1950). NaN without studies."""
    values, positive = _probabilities(scores, labels)
    return float(np.mean((values - positive) ** 2)) if len(values) else float("nan")


def brier_skill(scores, labels) -> float:
    """1 - Brier / that of always saying the prevalence: 0 is no better, 1 perfect. NaN with one class."""
    values, positive = _probabilities(scores, labels)
    if one_class(int(positive.sum()), int((~positive).sum())):
        return float("nan")
    share = positive.mean()
    return float(1 - np.mean((values - positive) ** 2) / (share * (1 - share)))


def log_loss(scores, labels) -> float:
    """Mean negative log-likelihood in nats; 0 and 1 move in by 2.2e-16, as in scikit-learn. NaN without studies."""
    values, positive = _probabilities(scores, labels)
    if not len(values):
        return float("nan")
    values = np.clip(values, _EDGE, 1 - _EDGE)
    return float(-np.mean(np.where(positive, np.log(values), np.log1p(-values))))


def calibration_line(scores, labels) -> dict[str, Estimate]:
    """Cox's slope and intercept (1958), with Wald intervals: logit P(abnormal) = a + slope x logit(score).

    slope: 1 is right, below 1 too extreme. intercept: a with the slope held at 1; 0 is right, above 0 the scores are
    too low. NaN with one class, and where the scores separate the classes (the slope has no bound) or are all the same.
    """
    values, positive = _probabilities(scores, labels)
    abnormal, normal = int(positive.sum()), int((~positive).sum())
    if why := one_class(abnormal, normal):
        return dict.fromkeys(("slope", "intercept"), undefined(len(values), why))
    x = logit(np.clip(values, _EDGE, 1 - _EDGE))
    y = positive.astype(np.float64)
    ones = np.ones((len(x), 1))
    few = too_few(abnormal, normal)
    intercept = _wald(*_fit(ones, x, y), len(x), few)
    up, down = x[positive], x[~positive]
    if x.min() == x.max():
        slope = undefined(len(x), "not estimable: every study has the same score")
    elif up.min() >= down.max() or up.max() <= down.min():
        slope = undefined(len(x), "not estimable: the scores separate the classes")
    else:
        slope = _wald(*_fit(np.column_stack([ones, x]), np.zeros(len(x)), y), len(x), few)
    return {"slope": slope, "intercept": intercept}


def _fit(design: np.ndarray, offset: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Maximum likelihood by Newton's method; the last coefficient and its standard error."""

    def likelihood(candidate: np.ndarray) -> float:
        line = offset + design @ candidate
        return float(np.sum(log_expit(np.where(y == 1, line, -line))))

    beta = np.zeros(design.shape[1])
    for _ in range(100):
        fitted = expit(offset + design @ beta)
        weight = np.maximum(fitted * (1 - fitted), 1e-12)
        information = (design * weight[:, None]).T @ design
        step = np.linalg.solve(information, design.T @ (y - fitted))
        # Halved until the likelihood does not fall: a full step can overshoot far from the maximum.
        while likelihood(beta + step) < likelihood(beta) - 1e-12 and np.abs(step).max() > 1e-12:
            step = step / 2
        beta = beta + step
        if np.abs(step).max() < 1e-11:
            break
    return float(beta[-1]), float(np.sqrt(np.linalg.inv(information)[-1, -1]))


def _wald(value: float, error: float, n: int, few: str) -> Estimate:
    half = normal_quantile() * error
    return without_interval(value, n, few) if few else Estimate(value, value - half, value + half, n)


def reliability_table(scores, labels, bins: int = 10) -> pd.DataFrame:
    """The calibration curve: equal-width bins [a, b), the last one closed; empty bins are kept, with NaN.

    lower, upper, n, n_abnormal, mean_score, share_abnormal, and low, high (Wilson) of that share.
    """
    values, positive = _probabilities(scores, labels)
    if bins < 1:
        raise OverreadError(f"{bins} bins; expected 1 or more.")
    edges = np.arange(bins + 1) / bins
    place = np.minimum(np.searchsorted(edges, values, side="right") - 1, bins - 1)
    n = np.bincount(place, minlength=bins)
    abnormal = np.bincount(place, weights=positive, minlength=bins).astype(np.int64)
    low, high = wilson(abnormal, n)
    with np.errstate(invalid="ignore"):
        mean, share = np.bincount(place, weights=values, minlength=bins) / n, abnormal / n
    return pd.DataFrame(
        {
            "lower": edges[:-1], "upper": edges[1:], "n": n, "n_abnormal": abnormal,
            "mean_score": mean, "share_abnormal": share, "low": low, "high": high,
        }
    )  # fmt: skip


def ece(scores, labels, bins: int = 10) -> float:
    """Expected calibration error over the bins of `reliability_table`: the mean gap, weighted by studies."""
    table = reliability_table(scores, labels, bins).query("n > 0")
    gap = (table["share_abnormal"] - table["mean_score"]).abs()
    return float((gap * table["n"]).sum() / table["n"].sum()) if len(table) else float("nan")


def mce(scores, labels, bins: int = 10) -> float:
    """The largest gap of any bin that holds a study."""
    table = reliability_table(scores, labels, bins).query("n > 0")
    return float((table["share_abnormal"] - table["mean_score"]).abs().max()) if len(table) else float("nan")
