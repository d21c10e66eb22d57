"""Rates from the four counts (tp, fp, tn, fn). Each is an Estimate over studies; core.metrics.rates lists them all."""

import numpy as np

from core.metrics.intervals import (
    FEWEST,
    Estimate,
    normal_quantile,
    proportion,
    too_few,
    undefined,
    weighted_sum,
    without_interval,
)
from core.metrics.ranking import one_class


def rate(k: int, n: int, name: str, method: str = "wilson", fewest: int = FEWEST) -> Estimate:
    """The share k / n of the `name` studies (a class); with fewer than `fewest` of them it has no interval."""
    if n == 0:
        return undefined(0, f"not estimable: no {name} studies")
    found = proportion(k, n, method)
    return found if n >= fewest else without_interval(found.value, n, f"no interval: {n} {name}, {fewest} are needed")


def sensitivity(tp: int, fn: int, method: str = "wilson", fewest: int = FEWEST) -> Estimate:
    """The share of abnormal studies that are called abnormal."""
    return rate(tp, tp + fn, "abnormal", method, fewest)


def specificity(tn: int, fp: int, method: str = "wilson", fewest: int = FEWEST) -> Estimate:
    """The share of normal studies that are called normal."""
    return rate(tn, tn + fp, "normal", method, fewest)


def accuracy(tp: int, fp: int, tn: int, fn: int, method: str = "wilson") -> Estimate:
    """The share of all studies that are classified correctly."""
    total = tp + fp + tn + fn
    if total == 0:
        return undefined(0, "not estimable: no labelled studies")
    return _guarded(proportion(tp + tn, total, method), tp + fn, tn + fp)


def balanced_accuracy(tp: int, fp: int, tn: int, fn: int) -> Estimate:
    """The mean of sensitivity and specificity; interval from their two Wilson intervals (Zou and Donner 2008)."""
    if why := one_class(tp + fn, tn + fp):
        return undefined(tp + fp + tn + fn, why)
    both = weighted_sum(proportion(tp, tp + fn), proportion(tn, tn + fp), 0.5, 0.5)
    return _guarded(both, tp + fn, tn + fp)


def f1(tp: int, fp: int, tn: int, fn: int) -> Estimate:
    """2 TP / (2 TP + FP + FN). Its interval is that of the proportion J = TP / (TP + FP + FN), as F1 = 2J / (1 + J)."""
    total, counted = tp + fp + tn + fn, tp + fp + fn
    if counted == 0:
        return undefined(total, "not estimable: no study is abnormal or called abnormal")
    shared = proportion(tp, counted)
    value, low, high = (2 * part / (1 + part) for part in (shared.value, shared.low, shared.high))
    return _guarded(Estimate(value, low, high, total), tp + fn, tn + fp)


def kappa(tp: int, fp: int, tn: int, fn: int) -> Estimate:
    """Cohen's kappa with the standard error of Fleiss, Cohen and Everitt (1969). NaN with one class."""
    total = tp + fp + tn + fn
    if why := one_class(tp + fn, tn + fp):
        return undefined(total, why)
    # Rows are the label, columns the call; abnormal first.
    share = np.array([[tp, fn], [fp, tn]]) / total
    label, call = share.sum(axis=1), share.sum(axis=0)
    expected = label @ call
    value = (np.trace(share) - expected) / (1 - expected)
    cross = label[None, :] + call[:, None]  # cross[i, j] = label j + call i, as the off-diagonal term needs
    agree = (np.diag(share) * (1 - np.diag(cross) * (1 - value)) ** 2).sum()
    differ = (1 - value) ** 2 * (share[0, 1] * cross[0, 1] ** 2 + share[1, 0] * cross[1, 0] ** 2)
    variance = (agree + differ - (value - expected * (1 - value)) ** 2) / (total * (1 - expected) ** 2)
    return _guarded(_normal(value, variance, total), tp + fn, tn + fp)


def mcc(tp: int, fp: int, tn: int, fn: int) -> Estimate:
    """Matthews correlation (phi), with the delta-method interval of a multinomial sample.

    NaN with one class, and where every study gets the same call (scikit-learn returns 0 there).
    """
    total = tp + fp + tn + fn
    if why := one_class(tp + fn, tn + fp):
        return undefined(total, why)
    if tp + fp == 0 or tn + fn == 0:
        return undefined(total, "not estimable: every study gets the same call")
    share = np.array([[tp, fn], [fp, tn]]) / total
    label, call = share.sum(axis=1), share.sum(axis=0)
    scale = np.sqrt(label.prod() * call.prod())
    value = (share[0, 0] * share[1, 1] - share[0, 1] * share[1, 0]) / scale
    other = np.array([[tn, -fp], [-fn, tp]]) / total  # derivative of the numerator in each cell
    slope = other / scale - value / 2 * (1 / label[:, None] + 1 / call[None, :])
    variance = ((share * slope**2).sum() - (share * slope).sum() ** 2) / total
    return _guarded(_normal(value, variance, total), tp + fn, tn + fp)


def likelihood_ratio_positive(tp: int, fp: int, tn: int, fn: int) -> Estimate:
    """LR+ = sensitivity / (1 - specificity); interval on the logarithm (Simel 1991)."""
    return _ratio(tp, tp + fn, fp, tn + fp, "no false positive, so LR+ has no bound")


def likelihood_ratio_negative(tp: int, fp: int, tn: int, fn: int) -> Estimate:
    """LR- = (1 - sensitivity) / specificity; interval on the logarithm (Simel 1991)."""
    return _ratio(fn, tp + fn, tn, tn + fp, "no true negative, so LR- has no bound")


def _ratio(a: int, m: int, b: int, n: int, unbounded: str) -> Estimate:
    if why := one_class(m, n):
        return undefined(m + n, why)
    if b == 0:
        return undefined(m + n, f"not estimable: {unbounded}")
    if a == 0:
        return without_interval(0.0, m + n, "no interval: a count is 0")
    low, high = ratio_interval(a, m, b, n)
    return _guarded(Estimate((a / m) / (b / n), low, high, m + n), m, n)


def ratio_interval(a: float, m: float, b: float, n: float) -> tuple[float, float]:
    """Interval of (a / m) / (b / n), computed on the logarithm; a and b must be above 0."""
    half = normal_quantile() * np.sqrt(1 / a - 1 / m + 1 / b - 1 / n)
    ratio = (a / m) / (b / n)
    return float(ratio * np.exp(-half)), float(ratio * np.exp(half))


def _normal(value: float, variance: float, n: int) -> Estimate:
    # In perfect agreement every term cancels, and rounding leaves about 1e-18 instead of 0.
    if variance < 1e-15:
        return without_interval(value, n, "no interval: degenerate, the standard error is 0")
    half = normal_quantile() * np.sqrt(variance)
    return Estimate(float(value), float(max(-1.0, value - half)), float(min(1.0, value + half)), int(n))


def _guarded(found: Estimate, abnormal: int, normal: int) -> Estimate:
    """The estimate, without its interval where a class has too few studies."""
    why = too_few(abnormal, normal)
    return without_interval(found.value, found.n, why) if why else found
