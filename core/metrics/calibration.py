"""Calibration: whether a score of 30% means 30%. Brier score, log-loss, calibration line, reliability, scaling."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.special import expit, log_expit, logit

from core.errors import OverreadError
from core.metrics.counts import checked
from core.metrics.intervals import (
    Estimate,
    draws_within,
    normal_quantile,
    patient_means,
    too_few,
    undefined,
    wilson,
    without_interval,
)
from core.metrics.ranking import one_class
from core.plural import count_text

_EDGE = np.finfo(np.float64).eps  # a probability of exactly 0 or 1 has no logit

CALIBRATIONS = ("temperature", "platt")


def _probabilities(scores, labels) -> tuple[np.ndarray, np.ndarray]:
    values, positive = checked(scores, labels)
    if len(values) and not (values.min() >= 0 and values.max() <= 1):
        raise OverreadError(
            f"The scores are from {values.min():g} to {values.max():g}; expected probabilities, 0 to 1.",
            code="scores-not-probabilities",
        )
    return values, positive


def brier(scores, labels) -> float:
    """Mean squared difference of probability and label (Brier 1950). NaN without studies."""
    values, positive = _probabilities(scores, labels)
    return float(np.mean((values - positive) ** 2)) if len(values) else float("nan")


def brier_skill(scores, labels) -> float:
    """1 - Brier / the Brier score of the prevalence as prediction: 0 is no better, 1 is perfect. NaN with one class."""
    values, positive = _probabilities(scores, labels)
    if one_class(int(positive.sum()), int((~positive).sum())):
        return float("nan")
    share = positive.mean()
    return float(1 - np.mean((values - positive) ** 2) / (share * (1 - share)))


def log_loss(scores, labels) -> float:
    """Mean negative log-likelihood in nats; scores are clipped to 2.2e-16 from 0 and 1, as in scikit-learn. NaN without
    studies."""
    values, positive = _probabilities(scores, labels)
    if not len(values):
        return float("nan")
    return float(np.mean(_log_losses(values, positive)))


def calibration_line(scores, labels) -> dict[str, Estimate]:
    """Cox's slope and intercept (1958), with Wald intervals: logit P(abnormal) = a + slope x logit(score).

    slope: 1 is correct; below 1 the scores are too extreme. intercept: a with the slope fixed at 1; 0 is correct; above
    0 the scores are too low. NaN with one class, where all scores are equal, and where the scores separate the classes
    (the slope has no bound).
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


def _fit(design: np.ndarray, offset: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Maximum likelihood by Newton's method; the coefficients and their standard errors."""

    def likelihood(candidate: np.ndarray) -> float:
        line = offset + design @ candidate
        return float(np.sum(log_expit(np.where(y == 1, line, -line))))

    beta = np.zeros(design.shape[1])
    for _ in range(100):
        fitted = expit(offset + design @ beta)
        weight = np.maximum(fitted * (1 - fitted), 1e-12)
        information = (design * weight[:, None]).T @ design
        step = np.linalg.solve(information, design.T @ (y - fitted))
        # A full step can overshoot far from the maximum, so it is halved until the likelihood does not fall.
        while likelihood(beta + step) < likelihood(beta) - 1e-12 and np.abs(step).max() > 1e-12:
            step = step / 2
        beta = beta + step
        if np.abs(step).max() < 1e-11:
            break
    return beta, np.sqrt(np.diag(np.linalg.inv(information)))


def _wald(beta: np.ndarray, errors: np.ndarray, n: int, few: str) -> Estimate:
    """The last coefficient with its Wald interval."""
    value, half = float(beta[-1]), float(normal_quantile() * errors[-1])
    return without_interval(value, n, few) if few else Estimate(value, value - half, value + half, n)


@dataclass(frozen=True)
class Calibration:
    """logit P(abnormal) = intercept + slope x logit(score), fitted on n studies. The slope is above 0, so ranks stay.

    method: 'temperature' fits the slope, 1 / temperature, with an intercept of 0 (Guo 2017); 'platt' fits both (Platt
    1999).
    """

    method: str
    slope: Estimate
    intercept: Estimate
    n: int
    n_abnormal: int

    @property
    def temperature(self) -> Estimate:
        """The divisor of the logit; above 1 the scores were too extreme. NaN for Platt scaling."""
        if self.method != "temperature":
            return undefined(self.n, "not estimable: Platt scaling has a slope and an intercept")
        high = 1 / self.slope.low if self.slope.low > 0 else np.inf
        return replace(self.slope, value=1 / self.slope.value, low=1 / self.slope.high, high=high)

    def apply(self, scores) -> np.ndarray:
        """Calibrated probabilities, float64 [N]."""
        x = logit(np.clip(np.asarray(scores, dtype=np.float64), _EDGE, 1 - _EDGE))
        return expit(self.intercept.value + self.slope.value * x)


def fit_calibration(scores, labels, method: str = "temperature") -> Calibration:
    """Fit by maximum likelihood. Evaluate the result on other studies.

    OverreadError with fewer than 10 studies of a class, for scores that separate the classes or are all equal (the
    likelihood has no maximum), and for scores that are lower for abnormal studies.
    """
    if method not in CALIBRATIONS:
        raise OverreadError(
            f"The calibration method is {method!r}; expected {' or '.join(CALIBRATIONS)}.",
            code="calibration-method-unknown",
        )
    values, positive = _probabilities(scores, labels)
    abnormal, normal = int(positive.sum()), int((~positive).sum())
    if few := one_class(abnormal, normal) or too_few(abnormal, normal):
        raise OverreadError(
            f"A calibration cannot be fitted ({few.split(': ', 1)[1]}); choose a larger split.",
            code="calibration-too-few",
        )
    x, y = logit(np.clip(values, _EDGE, 1 - _EDGE)), positive.astype(np.float64)
    _check_maximum(x, positive, method)
    design = x[:, None] if method == "temperature" else np.column_stack([np.ones(len(x)), x])
    beta, errors = _fit(design, np.zeros(len(x)), y)
    if beta[-1] <= 0:
        raise OverreadError(
            f"Abnormal studies have lower scores than normal ones (slope {beta[-1]:.3g}, expected above 0). Check "
            "whether the labels or the scores are reversed.",
            code="calibration-reversed",
        )
    half = normal_quantile() * errors
    zero = Estimate(0.0, 0.0, 0.0, len(x))
    found = [Estimate(float(b), float(b - h), float(b + h), len(x)) for b, h in zip(beta, half)]
    return Calibration(method, found[-1], found[0] if method == "platt" else zero, len(x), abnormal)


def _check_maximum(x: np.ndarray, positive: np.ndarray, method: str) -> None:
    """OverreadError where the likelihood has no maximum."""
    if x.min() == x.max() or not x.any():
        raise OverreadError(
            f"All scores are the same ({count_text(len(x), 'study')}), so no calibration can be fitted; choose others.",
            code="calibration-scores-equal",
        )
    up, down = x[positive], x[~positive]
    # Temperature scaling keeps a score of one half fixed; Platt scaling can move every score.
    sides = np.where(positive, x, -x)
    whole = sides.min() >= 0 or sides.max() <= 0
    if whole if method == "temperature" else up.min() >= down.max() or up.max() <= down.min():
        raise OverreadError(
            f"The scores separate the {len(up):,} abnormal from the {count_text(len(down), 'normal study')}, so no "
            "fit exists; "
            "fit on more studies.",
            code="calibration-separated",
        )


def calibration_facts(scores, labels, bins: int = 10) -> dict:
    """Every calibration figure as one record: n, n_abnormal, brier, brier_skill, log_loss, ece, mce, bins, slope and
    intercept with intervals, `why`, and `reliability` (the rows of `reliability_table`)."""
    values, positive = _probabilities(scores, labels)
    line = calibration_line(values, positive)
    facts: dict = {"n": len(values), "n_abnormal": int(positive.sum()), "bins": bins}
    for name, figure in (("brier", brier), ("brier_skill", brier_skill), ("log_loss", log_loss)):
        facts[name] = figure(values, positive)
    facts |= {"ece": ece(values, positive, bins), "mce": mce(values, positive, bins)}
    for name, estimate in line.items():
        facts |= {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
    facts["why"] = "; ".join(f"{name}: {estimate.why}" for name, estimate in line.items() if estimate.why)
    return facts | {"reliability": reliability_table(values, positive, bins).to_dict("records")}


def improvement(before, after, labels, groups, draws: int | None = None, seed: int = 0) -> dict[str, Estimate]:
    """The decrease of log-loss and Brier score by calibration (above 0 is better), with intervals by patient."""
    before, after, positive = np.asarray(before, float), np.asarray(after, float), np.asarray(labels) == 1
    gains = {
        "log_loss": _log_losses(before, positive) - _log_losses(after, positive),
        "brier": (before - positive) ** 2 - (after - positive) ** 2,
    }
    draws = draws_within(len(before)) if draws is None else draws
    return dict(zip(gains, patient_means(list(gains.values()), groups, draws, seed)))


def _log_losses(values: np.ndarray, positive: np.ndarray) -> np.ndarray:
    values = np.clip(values, _EDGE, 1 - _EDGE)
    return -np.where(positive, np.log(values), np.log1p(-values))


def reliability_table(scores, labels, bins: int = 10) -> pd.DataFrame:
    """The calibration curve in bins of equal width, [a, b), the last one closed. Empty bins have NaN.

    lower, upper, n, n_abnormal, mean_score, share_abnormal, and low, high (Wilson) of that share. OverreadError for
    less than one bin.
    """
    values, positive = _probabilities(scores, labels)
    if bins < 1:
        raise OverreadError(f"The number of bins is {bins}; expected 1 or more.", code="bins-range")
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
    """Maximum calibration error: the largest gap of a bin with at least one study."""
    table = reliability_table(scores, labels, bins).query("n > 0")
    return float((table["share_abnormal"] - table["mean_score"]).abs().max()) if len(table) else float("nan")
