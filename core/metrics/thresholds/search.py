"""Choosing the threshold to screen with: the rate at every threshold, and the one that a rule picks."""

import pandas as pd

from core.errors import OverreadError
from core.metrics import agreement
from core.metrics.counts import class_sizes, counts_at, counts_table, rows_at
from core.metrics.decision import check_prevalence, predictive_values
from core.metrics.intervals import METHODS, Estimate, proportion, undefined
from core.metrics.thresholds.constraints import (
    NONE,
    Choice,
    at_most_alerts,
    bayes_threshold,
    cheapest,
    conformal,
    conformal_of,
    fixed,
    highest_threshold,
    infeasible,
    lowest_threshold,
    misses_allowed,
    positives_needed,
    youden,
)
from core.metrics.thresholds.rule import Rule, parse_rule

# What a threshold is chosen by, of core.metrics.thresholds.constraints, and what is built on it here.
__all__ = [
    "NONE", "Choice", "at_most_alerts", "band", "bayes_threshold", "cheapest", "check_bound", "choose", "conformal",
    "conformal_of", "counts_of", "figures_at", "fixed", "highest_threshold", "infeasible", "lowest_threshold",
    "misses_allowed", "positives_needed", "rates_at", "two_thresholds", "youden",
]  # fmt: skip


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


def choose(
    studies: pd.DataFrame, rule: str | Rule, bound: str = "wilson", prevalence: float | None = None, name: str = ""
) -> Choice:
    """The threshold that a rule picks on these studies (STUDIES; those without a label are left out) or COUNTS.

    rule: `core.metrics.thresholds.rule`.
    bound: 'wilson', 'clopper-pearson' or 'none', for rules that constrain sensitivity or
    specificity. prevalence: of the clinic, for alerts and costs. name: of a bone, for the reasons.
    """
    rule, bound = parse_rule(rule), check_bound(bound)
    if prevalence is not None:
        check_prevalence(prevalence)
    counts = studies if "tp" in studies else counts_of(studies)
    if rule.kind == "two":
        return _two(counts, rule, bound, prevalence, name)
    if rule.kind == "sensitivity":
        return highest_threshold(counts, rule.value, bound, name)
    if rule.kind == "specificity":
        return lowest_threshold(counts, rule.value, bound, name)
    if rule.kind == "alerts":
        return at_most_alerts(counts, rule.value, prevalence)
    if rule.kind == "miss":
        return conformal_of(counts, rule.value, rule.second, name)
    if rule.kind == "cost":
        return cheapest(counts, rule.value, 1.0 if rule.second is None else rule.second, prevalence)
    return youden(counts) if rule.kind == "youden" else fixed(counts, rule.value)


def counts_of(studies: pd.DataFrame) -> pd.DataFrame:
    """COUNTS of the labelled among STUDIES."""
    known = studies[studies["label"].notna()]
    return counts_table(known["score"], known["label"])


def check_bound(bound: str) -> str:
    """The bound's name as `intervals` knows it. OverreadError lists the three."""
    plain = str(bound).strip().lower().replace("-", "_")
    if plain not in (*METHODS, NONE):
        raise OverreadError(f"The bound {bound!r}; expected wilson, clopper-pearson or none.")
    return plain


def _two(counts: pd.DataFrame, rule: Rule, bound: str, prevalence: float | None, name: str) -> Choice:
    out, into = (choose(counts, part, bound, prevalence, name) for part in (rule.out, rule.into))
    words = f"rule out below the {out.rule}; rule in from the {into.rule}"
    used = next((part.bound for part in (out, into) if part.bound != NONE), NONE)
    if failed := [
        f"{side}: {part.reason}" for side, part in (("rule out", out), ("rule in", into)) if not part.feasible
    ]:
        return infeasible("; ".join(failed), words, used)
    if out.threshold > into.threshold:
        # Any threshold between the two keeps both promises; the lower one misses less.
        same = f"both hold from {into.threshold:g} to {out.threshold:g}, so no study needs to be referred"
        return Choice(into.threshold, True, same, words, used, into.threshold)
    shares = two_thresholds(counts, out.threshold, into.threshold)
    missed, right, referred = (shares[key] for key in ("missed_when_ruled_out", "right_when_ruled_in", "referred"))
    said = [
        f"{_counted(missed)} ruled out are abnormal",
        f"{_counted(right)} ruled in are abnormal",
        f"{_counted(referred)} are referred",
    ]
    return Choice(out.threshold, True, ", ".join(said), words, used, into.threshold)


def _counted(share: Estimate) -> str:
    return f"{round(share.value * share.n) if share.n else 0} of {share.n}"


def figures_at(
    counts: pd.DataFrame, threshold: float, prevalence: float | None = None, bound: str = "wilson"
) -> dict[str, float | int | str]:
    """Counts and every rate at a threshold as one flat row: n, n_abnormal, tp, fp, tn, fn, and name, name_low,
    name_high of each of `rates_at`; `why` says why a figure is NaN. `bound` 'none' shows Wilson's interval."""
    at = counts_at(counts, threshold)
    rates = rates_at(counts, threshold, prevalence, "wilson" if bound == NONE else check_bound(bound))
    row = {"n": sum(at.values()), "n_abnormal": at["tp"] + at["fn"], "threshold": float(threshold), **at}
    for name, figure in rates.items():
        row |= {name: figure.value, f"{name}_low": figure.low, f"{name}_high": figure.high}
    return row | {"why": "; ".join(f"{name}: {figure.why}" for name, figure in rates.items() if figure.why)}


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
