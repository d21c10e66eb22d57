"""Figures of a threshold in clinical use: predictive values at a stated prevalence, and net benefit."""

import numpy as np
import pandas as pd

from core.errors import OverreadError
from core.metrics.confusion import ratio_interval
from core.metrics.counts import rows_at
from core.metrics.intervals import Estimate, proportion, too_few, undefined, weighted_sum, without_interval
from core.metrics.ranking import one_class


def at_prevalence(sensitivity: float, specificity: float, prevalence: float) -> dict[str, float]:
    """ppv, npv, alerts_per_100 (studies) and number_needed_to_review (alerts per abnormality found). 0/0 is NaN."""
    check_prevalence(prevalence)
    found, false_alarm = sensitivity * prevalence, (1 - specificity) * (1 - prevalence)
    missed, cleared = (1 - sensitivity) * prevalence, specificity * (1 - prevalence)
    ppv = found / (found + false_alarm) if found + false_alarm > 0 else np.nan
    npv = cleared / (cleared + missed) if cleared + missed > 0 else np.nan
    return {
        "ppv": float(ppv),
        "npv": float(npv),
        "alerts_per_100": float(100 * (found + false_alarm)),
        "number_needed_to_review": float(1 / ppv) if ppv > 0 else np.nan,
    }


def predictive_values(tp: int, fp: int, tn: int, fn: int, prevalence: float | None = None) -> dict[str, Estimate]:
    """The figures of `at_prevalence` with intervals. Without a stated prevalence they are those of the data (Wilson).

    At a stated prevalence the odds of PPV are the prior odds times LR+, so its interval follows from that of LR+
    (Mercaldo 2007). The interval of the alerts combines those of sensitivity and specificity (Zou and Donner 2008).
    """
    abnormal, normal, total = tp + fn, tn + fp, tp + fp + tn + fn
    if prevalence is None:
        found = {
            "ppv": _share(tp, tp + fp, "no study is called abnormal"),
            "npv": _share(tn, tn + fn, "no study is called normal"),
            "alerts_per_100": _times(_share(tp + fp, total, "no labelled studies"), 100),
        }
    else:
        found = _at_stated(tp, fp, tn, fn, prevalence)
    found["number_needed_to_review"] = _inverse(found["ppv"])
    why = too_few(abnormal, normal)
    return {
        name: without_interval(figure.value, figure.n, figure.why or why) if why else figure
        for name, figure in found.items()
    }


def _at_stated(tp: int, fp: int, tn: int, fn: int, prevalence: float) -> dict[str, Estimate]:
    check_prevalence(prevalence)
    abnormal, normal = tp + fn, tn + fp
    if why := one_class(abnormal, normal):
        return dict.fromkeys(("ppv", "npv", "alerts_per_100"), undefined(abnormal + normal, why))
    values = at_prevalence(tp / abnormal, tn / normal, prevalence)
    odds = prevalence / (1 - prevalence)
    ppv = _from_ratio(values["ppv"], odds, (tp, abnormal, fp, normal), "no study is called abnormal")
    npv = _from_ratio(values["npv"], 1 / odds, (tn, normal, fn, abnormal), "no study is called normal")
    alerts = weighted_sum(proportion(tp, abnormal), proportion(fp, normal), prevalence, 1 - prevalence)
    return {"ppv": ppv, "npv": npv, "alerts_per_100": _times(alerts, 100)}


def _from_ratio(value: float, odds: float, cells: tuple[int, int, int, int], empty: str) -> Estimate:
    a, m, b, n = cells
    if np.isnan(value):
        return undefined(m + n, f"not estimable: {empty}")
    # 0 has no logarithm, so half a study is added to both counts, for the interval only.
    low, high = ratio_interval(a, m, b, n) if a and b else ratio_interval(a + 0.5, m + 1, b + 0.5, n + 1)
    low, high = (odds * ratio / (1 + odds * ratio) for ratio in (low, high))
    return Estimate(value, min(low, value), max(high, value), m + n)


def _share(k: int, n: int, empty: str) -> Estimate:
    return proportion(k, n) if n else undefined(0, f"not estimable: {empty}")


def _times(figure: Estimate, factor: float) -> Estimate:
    return Estimate(figure.value * factor, figure.low * factor, figure.high * factor, figure.n, figure.why)


def _inverse(ppv: Estimate) -> Estimate:
    if not ppv.value > 0:
        return undefined(ppv.n, ppv.why or "not estimable: no alert is right")
    return Estimate(1 / ppv.value, 1 / ppv.high, 1 / ppv.low if ppv.low > 0 else np.nan, ppv.n, ppv.why)


def net_benefit_table(counts: pd.DataFrame, thresholds=None, prevalence: float | None = None) -> pd.DataFrame:
    """threshold, net_benefit, treat_all, treat_none (Vickers and Elkin 2006). NaN with one class.

    Net benefit is true positives per study minus false positives per study times t / (1 - t), for threshold t. Scores
    must be calibrated probabilities. `thresholds` must be above 0 and below 1; the default is 0.01 to 0.99. At a
    stated prevalence, sensitivity and false positive rate are weighted by it. OverreadError for other thresholds.
    """
    wanted = np.arange(1, 100) / 100 if thresholds is None else np.atleast_1d(np.asarray(thresholds, dtype=np.float64))
    if not ((wanted > 0) & (wanted < 1)).all():
        wrong = wanted[~((wanted > 0) & (wanted < 1))][0]
        raise OverreadError(
            f"Net benefit has no value at the threshold {wrong:g}; "
            "expected thresholds above 0 and below 1, because it reads them as probabilities.",
            code="threshold-range",
        )
    rows = rows_at(counts, wanted)
    tp, fp = counts["tp"].to_numpy(), counts["fp"].to_numpy()
    abnormal, normal = int(tp[-1]), int(fp[-1])
    if abnormal and normal:
        share = abnormal / (abnormal + normal) if prevalence is None else prevalence
        check_prevalence(share)
        sensitivity, false_positive_rate = tp[rows] / abnormal, fp[rows] / normal
    else:
        share = sensitivity = false_positive_rate = np.nan
    odds = wanted / (1 - wanted)
    return pd.DataFrame(
        {
            "threshold": wanted,
            "net_benefit": share * sensitivity - (1 - share) * false_positive_rate * odds,
            "treat_all": share - (1 - share) * odds,
            "treat_none": 0.0,
        }
    )


def check_prevalence(prevalence: float) -> None:
    """OverreadError unless the prevalence is above 0 and below 1."""
    if not 0 < prevalence < 1:
        raise OverreadError(
            f"The prevalence is {prevalence}; expected a share above 0 and below 1, such as 0.05.",
            code="prevalence-range",
        )
