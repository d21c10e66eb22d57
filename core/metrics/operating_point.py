"""Choosing the threshold to screen with. The candidates are the scores themselves; infeasible is a result."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import bdtr

from core.errors import OverreadError
from core.metrics import agreement
from core.metrics.counts import checked, class_sizes, counts_at, rows_at
from core.metrics.decision import predictive_values
from core.metrics.intervals import Estimate, bounds, proportion, study_word, undefined
from core.metrics.ranking import one_class


@dataclass(frozen=True)
class Choice:
    """A threshold and how it came about. Infeasible: the threshold is NaN and `reason` says what is lacking."""

    threshold: float
    feasible: bool
    reason: str
    rule: str


def infeasible(reason: str, rule: str) -> Choice:
    """A rule that no threshold meets."""
    return Choice(float("nan"), False, reason, rule)


def rates_at(
    counts: pd.DataFrame, threshold: float, prevalence: float | None = None, method: str = "wilson"
) -> dict[str, Estimate]:
    """Every rate at a threshold, with intervals.

    sensitivity, specificity, ppv, npv, accuracy, balanced_accuracy, f1, kappa, mcc, likelihood_ratio_positive,
    likelihood_ratio_negative, alerts_per_100, number_needed_to_review. A stated prevalence changes ppv, npv, alerts
    and number needed to review; the others stay as in the data.
    """
    at = counts_at(counts, threshold)
    positive, negative = agreement.likelihood_ratios(**at)
    clinic = predictive_values(**at, prevalence=prevalence)
    return {
        "sensitivity": agreement.sensitivity(at["tp"], at["fn"], method),
        "specificity": agreement.specificity(at["tn"], at["fp"], method),
        "ppv": clinic["ppv"],
        "npv": clinic["npv"],
        "accuracy": agreement.accuracy(**at, method=method),
        "balanced_accuracy": agreement.balanced_accuracy(**at),
        "f1": agreement.f1(**at),
        "kappa": agreement.kappa(**at),
        "mcc": agreement.mcc(**at),
        "likelihood_ratio_positive": positive,
        "likelihood_ratio_negative": negative,
        "alerts_per_100": clinic["alerts_per_100"],
        "number_needed_to_review": clinic["number_needed_to_review"],
    }


def positives_needed(sensitivity_low: float, method: str = "wilson") -> int:
    """The fewest abnormal studies that can show this sensitivity when none is missed; 95% needs 73 by Wilson."""
    _check_share(sensitivity_low, "target for sensitivity")
    needed = 1
    while bounds(needed, needed, method)[0] < sensitivity_low:
        needed *= 2
    tried = np.arange(needed // 2 + 1, needed + 1)
    return int(tried[np.argmax(bounds(tried, tried, method)[0] >= sensitivity_low)])


def misses_allowed(abnormal: int, sensitivity_low: float, method: str = "wilson") -> int | None:
    """The most misses whose lower bound on sensitivity still meets the target; None if even no miss does not."""
    _check_share(sensitivity_low, "target for sensitivity")
    found = np.arange(abnormal + 1)
    fit = found[bounds(found, abnormal, method)[0] >= sensitivity_low] if abnormal else found[:0]
    return int(abnormal - fit[0]) if len(fit) else None


def highest_threshold(counts: pd.DataFrame, sensitivity_low: float = 0.95, method: str = "wilson") -> Choice:
    """The highest threshold whose lower 95% bound on sensitivity meets the target: the default rule for screening."""
    rule = f"highest threshold with the lower bound of sensitivity at {_percent(sensitivity_low)} or more ({method})"
    abnormal, normal = class_sizes(counts)
    if abnormal == 0:
        return infeasible("no abnormal studies, so no sensitivity can be shown", rule)
    allowed = misses_allowed(abnormal, sensitivity_low, method)
    if allowed is None:
        needed = positives_needed(sensitivity_low, method)
        return infeasible(
            f"{abnormal} abnormal {study_word(abnormal)} cannot show {_percent(sensitivity_low)}: {needed} are needed",
            rule,
        )
    row = int(np.argmax(counts["tp"].to_numpy() >= abnormal - allowed))
    threshold = float(counts["threshold"].to_numpy()[row])
    missed, alarms = int(counts["fn"].to_numpy()[row]), int(counts["fp"].to_numpy()[row])
    low = float(bounds(abnormal - missed, abnormal, method)[0])
    found = f"misses {missed} of {abnormal} abnormal studies (lower bound of sensitivity {low:.1%})"
    reason = f"{found} and calls {alarms} of {normal} normal ones abnormal"
    return Choice(threshold, True, reason, rule)


def youden(counts: pd.DataFrame) -> Choice:
    """The threshold with the largest sensitivity + specificity - 1; ties go to the lower threshold."""
    rule = "largest sensitivity + specificity - 1"
    abnormal, normal = class_sizes(counts)
    if why := one_class(abnormal, normal):
        return infeasible(why, rule)
    # Whole numbers, so that ties are exact.
    index = counts["tp"].to_numpy() * normal - counts["fp"].to_numpy() * abnormal
    best = len(index) - 1 - int(np.argmax(index[::-1]))
    threshold = float(counts["threshold"].to_numpy()[best])
    return Choice(threshold, True, f"index {index[best] / (abnormal * normal):.3f}", rule)


def cheapest(counts: pd.DataFrame, cost_fn: float, cost_fp: float) -> Choice:
    """The threshold with the lowest cost over these studies; ties go to the lower threshold, which misses less."""
    rule = f"lowest cost with a missed abnormality at {cost_fn:g} and a false alarm at {cost_fp:g}"
    if not (np.isfinite([cost_fn, cost_fp]).all() and min(cost_fn, cost_fp) >= 0 and max(cost_fn, cost_fp) > 0):
        raise OverreadError(f"Costs {cost_fn} and {cost_fp}; expected numbers of 0 or more, one of them above 0.")
    if why := one_class(*class_sizes(counts)):
        return infeasible(why, rule)
    cost = counts["fn"].to_numpy() * cost_fn + counts["fp"].to_numpy() * cost_fp
    # Costs like .1 are not exact in binary: a difference in the last digits is still a tie.
    best = np.flatnonzero(cost <= cost.min() + 1e-12 * cost.max())[-1]
    return Choice(float(counts["threshold"].to_numpy()[best]), True, f"cost {cost[best]:g}", rule)


def bayes_threshold(cost_fn: float, cost_fp: float) -> float:
    """The cheapest threshold of a calibrated score, 1 / (1 + FN cost : FP cost); no data needed."""
    return 1 / (1 + cost_fn / cost_fp)


def conformal(scores, labels, alpha: float, delta: float | None = None) -> Choice:
    """The threshold that misses an abnormal study with probability <= alpha (conformal, Angelopoulos 2022).

    Holds on average over the held-out sets, if new studies are exchangeable with them. With `delta` it holds for all
    but a share delta of held-out sets.
    """
    values, positive = checked(scores, labels)
    ascending = np.sort(values[positive])
    n1 = len(ascending)
    _check_share(alpha, "share of misses")
    rule = f"at most {_percent(alpha)} of abnormal studies missed" + (f", delta {delta:g}" if delta is not None else "")
    if delta is None:
        # .29 x 100 is 28.999... in binary; the guard keeps whole products whole.
        k = int(np.floor(alpha * (n1 + 1) + 1e-9))
    else:
        _check_share(delta, "delta")
        k = int(np.count_nonzero(bdtr(np.arange(n1, dtype=np.float64), n1, alpha) <= delta)) if n1 else 0
    if k < 1:
        return infeasible(f"{n1} abnormal {study_word(n1)} cannot promise {_percent(alpha)} at any threshold", rule)
    k = min(k, n1)
    promise = f"{k / (n1 + 1):.3f}" if delta is None else f"{alpha:g} with probability {1 - delta:g}"
    reason = f"P(miss) <= {promise}, from {n1} abnormal {study_word(n1)}, if new ones are exchangeable with them"
    return Choice(float(ascending[k - 1]), True, reason, rule)


def two_thresholds(counts: pd.DataFrame, low: float, high: float) -> dict[str, Estimate]:
    """Below `low` ruled out, from `high` ruled in, referred between.

    missed_when_ruled_out and right_when_ruled_in are the abnormal shares of those two; referred is the share of all.
    """
    tp, fp, _, _, rows = _band(counts, low, high)
    abnormal, normal = class_sizes(counts)
    out, missed = abnormal - tp[rows[0]] + normal - fp[rows[0]], abnormal - tp[rows[0]]
    into = tp[rows[1]] + fp[rows[1]]
    total = abnormal + normal
    return {
        "missed_when_ruled_out": _of(missed, out, "no study is ruled out"),
        "right_when_ruled_in": _of(tp[rows[1]], into, "no study is ruled in"),
        "referred": _of(total - out - into, total, "no labelled studies"),
    }


def band(counts: pd.DataFrame, low: float, high: float) -> dict[str, float]:
    """What lies in low <= score < high: `abnormal` (found by going down to low), `normal` (the false alarms it costs),
    `exchange` (normal per abnormal; NaN where no abnormal study lies there)."""
    _, _, abnormal, normal, _ = _band(counts, low, high)
    return {"abnormal": abnormal, "normal": normal, "exchange": normal / abnormal if abnormal else float("nan")}


def _band(counts: pd.DataFrame, low: float, high: float):
    if not low <= high:
        raise OverreadError(f"The lower threshold {low} lies above the upper one {high}; expected low <= high.")
    tp, fp = counts["tp"].to_numpy(), counts["fp"].to_numpy()
    rows = rows_at(counts, [low, high])
    return tp, fp, int(tp[rows[0]] - tp[rows[1]]), int(fp[rows[0]] - fp[rows[1]]), rows


def _of(k, n, empty: str) -> Estimate:
    return proportion(int(k), int(n)) if n else undefined(0, f"not estimable: {empty}")


def _percent(share: float) -> str:
    return f"{100 * share:g}%"


def _check_share(share: float, name: str) -> None:
    if not 0 < share < 1:
        raise OverreadError(f"The {name} is {share}; expected a number above 0 and below 1, such as 0.95.")
