"""Intervals: closed forms for proportions and their differences, and the bootstrap by patient for any statistic."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.special import bdtr, betaincinv, betaln, ndtri

from core.errors import OverreadError
from core.metrics.counts import checked
from core.plural import count_text, share_clause

FEWEST = 10  # with fewer studies of a class, a figure has no interval
LOST = 0.05  # with a larger share of draws that lack a class, the bootstrap gives no interval
_WEIGHTS_AT_ONCE = 2**16  # so many fit into the processor's cache; the number changes no figure


@dataclass(frozen=True)
class Estimate:
    """A figure, its 95% interval, and the number of studies behind it. NaN where undefined; `why` gives the reason."""

    value: float
    low: float
    high: float
    n: int
    why: str = ""


def undefined(n: int, why: str) -> Estimate:
    """The Estimate of a figure that cannot be estimated."""
    return Estimate(np.nan, np.nan, np.nan, int(n), why)


def without_interval(value: float, n: int, why: str) -> Estimate:
    """An Estimate with a value and no interval."""
    return Estimate(float(value), np.nan, np.nan, int(n), why)


def too_few(abnormal: int, normal: int, fewest: int = FEWEST) -> str:
    """Why classes of these sizes give no interval; '' if they do."""
    name, count = min(("abnormal", abnormal), ("normal", normal), key=lambda pair: pair[1])
    return f"no interval: {count_text(count, f'{name} study')}, {fewest} are needed" if count < fewest else ""


def study_word(count: int) -> str:
    """`study` or `studies`, for a count that is written apart from it."""
    return "study" if count == 1 else "studies"


def normal_quantile(level: float = 0.95) -> float:
    """The normal quantile of a two-sided interval: 1.96 for 95%."""
    return float(ndtri(0.5 + level / 2))


def _shares(k, n) -> tuple[np.ndarray, np.ndarray]:
    hits, total = np.broadcast_arrays(np.asarray(k, dtype=np.float64), np.asarray(n, dtype=np.float64))
    if not ((hits >= 0) & (hits <= total)).all():
        raise OverreadError(
            f"A proportion of {k} out of {n}; expected a count from 0 to the total.", code="proportion-range"
        )
    return hits, total


def wilson(k, n, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Score interval for a proportion, low and high (Wilson 1927). Vectorised; NaN where n is 0."""
    hits, total = _shares(k, n)
    z2 = normal_quantile(level) ** 2
    with np.errstate(invalid="ignore", divide="ignore"):
        share = hits / total
        centre = (hits + z2 / 2) / (total + z2)
        half = np.sqrt(z2) / (total + z2) * np.sqrt(total * share * (1 - share) + z2 / 4)
    # Set exactly, because rounding would leave 1e-17 for 0 of n.
    low = np.where(hits == 0, 0.0, centre - half)
    high = np.where(hits == total, 1.0, centre + half)
    return np.where(total > 0, low, np.nan)[()], np.where(total > 0, high, np.nan)[()]


def clopper_pearson(k, n, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Exact interval for a proportion, low and high (Clopper and Pearson 1934). Vectorised; NaN where n is 0."""
    hits, total = _shares(k, n)
    tail = (1 - level) / 2
    with np.errstate(invalid="ignore"):
        # The quantile is undefined at 0 and n: the inner maximum avoids an error, and np.where sets the ends.
        low = np.where(hits == 0, 0.0, betaincinv(np.maximum(hits, 1), total - hits + 1, tail))
        high = np.where(hits == total, 1.0, betaincinv(hits + 1, np.maximum(total - hits, 1), 1 - tail))
    return np.where(total > 0, low, np.nan)[()], np.where(total > 0, high, np.nan)[()]


METHODS = {"wilson": wilson, "clopper_pearson": clopper_pearson}


def bounds(k, n, method: str = "wilson", level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Low and high of k / n by the named method. OverreadError for an unknown method."""
    if method not in METHODS:
        raise OverreadError(
            f"The interval method is {method!r}; expected one of {', '.join(METHODS)}.", code="interval-method-unknown"
        )
    return METHODS[method](k, n, level)


def proportion(k: int, n: int, method: str = "wilson", level: float = 0.95) -> Estimate:
    """k / n with its interval; undefined where n is 0."""
    low, high = bounds(k, n, method, level)
    if n == 0:
        return undefined(0, "0 of 0")
    return Estimate(k / n, float(low), float(high), int(n))


def newcombe(k1: int, n1: int, k2: int, n2: int, level: float = 0.95) -> Estimate:
    """Difference k1/n1 - k2/n2 of two independent proportions (Newcombe 1998, method 10)."""
    one, two = proportion(k1, n1, level=level), proportion(k2, n2, level=level)
    return weighted_sum(one, two, 1.0, -1.0)


def weighted_sum(one: Estimate, two: Estimate, weight_one: float, weight_two: float) -> Estimate:
    """Weighted sum of two independent estimates; its interval is computed from theirs (Zou and Donner 2008)."""
    value = weight_one * one.value + weight_two * two.value
    pairs = [(one, weight_one), (two, weight_two)]
    # With a negative weight, the upper end of an interval limits the sum from below.
    down = [weight * (part.value - (part.low if weight >= 0 else part.high)) for part, weight in pairs]
    up = [weight * ((part.high if weight >= 0 else part.low) - part.value) for part, weight in pairs]
    why = one.why or two.why
    return Estimate(float(value), float(value - np.hypot(*down)), float(value + np.hypot(*up)), one.n + two.n, why)


def mcnemar(b: int, c: int) -> float:
    """McNemar's exact two-sided p-value. b, c: the studies that only one of two models classifies correctly."""
    if min(b, c) < 0:
        raise OverreadError(f"Discordant pairs {b} and {c}; expected counts of 0 or more.", code="counts-negative")
    return float(min(1.0, 2 * bdtr(min(b, c), b + c, 0.5)))


def mcnemar_mid(b: int, c: int) -> float:
    """McNemar's mid-p value, which counts the observed table half: less conservative than `mcnemar`."""
    few, total = min(b, c), b + c
    if not total:
        return 1.0
    observed = np.exp(-np.log1p(total) - betaln(total - few + 1, few + 1) - total * np.log(2))
    return float(1 - observed / 2) if b == c else float(mcnemar(b, c) - observed)


def paired_difference(both: int, only_one: int, only_two: int, neither: int, level: float = 0.95) -> Estimate:
    """Difference of two proportions on the same n, the first minus the second (Newcombe 1998, paired, method 10).

    The arguments count the studies that both, only the first, only the second, and neither classify correctly.
    """
    n = both + only_one + only_two + neither
    if min(both, only_one, only_two, neither) < 0:
        raise OverreadError(
            f"The counts are {both}, {only_one}, {only_two}, {neither}; expected none below 0.", code="counts-negative"
        )
    if n == 0:
        return undefined(0, "0 of 0")
    one, two = proportion(both + only_one, n, level=level), proportion(both + only_two, n, level=level)
    margins = float(both + only_one) * (only_two + neither) * (both + only_two) * (only_one + neither)
    cross = both * neither - only_one * only_two
    # Newcombe's continuity correction applies only to a positive correlation.
    phi = (max(cross - n / 2, 0.0) if cross > 0 else cross) / np.sqrt(margins) if margins else 0.0
    down = (one.value - one.low, two.high - two.value)
    up = (one.high - one.value, two.value - two.low)
    low, high = (np.sqrt(max(x * x - 2 * phi * x * y + y * y, 0.0)) for x, y in (down, up))
    difference = (only_one - only_two) / n
    return Estimate(difference, max(-1.0, difference - float(low)), min(1.0, difference + float(high)), n)


Statistic = Callable[[np.ndarray], np.ndarray]


def auroc_statistic(scores, labels, among=None) -> Statistic:
    """AUROC as a function of study weights [N, draws]. Ties count half; NaN where a draw has one class only.

    among: bool [N], the studies to include; all by default. The scores are sorted once, not in every draw.
    """
    values, positive = checked(scores, labels)
    among = np.ones(len(values), dtype=bool) if among is None else np.asarray(among, dtype=bool)
    # Both classes in ascending order, so that each draw reads memory in one direction.
    order = np.argsort(values, kind="stable")
    abnormal, normal = order[(positive & among)[order]], order[(~positive & among)[order]]
    below = np.searchsorted(values[normal], values[abnormal], side="left")
    upto = np.searchsorted(values[normal], values[abnormal], side="right")
    tied = not np.array_equal(below, upto)

    def statistic(weights: np.ndarray) -> np.ndarray:
        by_draw = np.asarray(weights).T
        of_abnormal = by_draw.take(abnormal, axis=1)
        lower = np.zeros((len(by_draw), len(normal) + 1))
        np.cumsum(by_draw.take(normal, axis=1), axis=1, out=lower[:, 1:])
        won = lower.take(below, axis=1)
        won += lower.take(upto, axis=1) if tied else won
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.einsum("ij,ij->i", of_abnormal, won) / (2 * of_abnormal.sum(axis=1) * lower[:, -1])

    return statistic


def rate_statistic(hit, among) -> Statistic:
    """The share of `hit` among `among` (bool [N]) as a function of study weights, such as sensitivity."""
    among = np.asarray(among, dtype=bool)
    both = (np.asarray(hit, dtype=bool) & among).astype(np.float64)
    among = among.astype(np.float64)

    def statistic(weights: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore", divide="ignore"):
            return (both @ weights) / (among @ weights)

    return statistic


def draws_within(n: int) -> int:
    """The number of resamples for n studies: 2,000; fewer above 50,000 studies, to take seconds; at least 200."""
    return int(min(2000, max(200, 1e8 // max(n, 1))))


def bootstrap_draws(groups, statistic: Statistic, draws: int = 2000, seed: int = 0) -> np.ndarray:
    """The statistic on `draws` resamples of whole patients; NaN where undefined. The draws depend on the seed and not
    on the order of the rows."""
    codes, names = pd.factorize(np.asarray(groups), sort=True)
    alone = len(codes) == len(names) and bool((codes == np.arange(len(codes))).all())
    random = np.random.default_rng(seed)
    found = []
    width = min(max(_WEIGHTS_AT_ONCE // max(len(codes), 1), 1), 250)
    for start in range(0, draws, width):
        # One row per draw: how often each patient was drawn. All studies of a patient have that weight.
        drawn = np.empty((min(width, draws - start), len(names)))
        for row in drawn:
            row[:] = np.bincount(random.integers(len(names), size=len(names)), minlength=len(names))
        found.append(statistic((drawn if alone else drawn.take(codes, axis=1)).T))
    return np.concatenate(found) if found else np.zeros(0)


def patient_bootstrap(
    groups, statistic: Statistic, draws: int = 2000, seed: int = 0, level: float = 0.95, fewest: int = FEWEST
) -> Estimate:
    """Percentile interval of a statistic, from resamples of whole patients.

    `n` is the number of studies. There is no interval with fewer than `fewest` patients, or where more than 5% of the
    draws lack a class.
    """
    groups = np.asarray(groups)
    (found,) = _bootstrap(groups, lambda weights: statistic(weights)[np.newaxis], draws, seed, level, fewest)
    return replace(found, n=len(groups))


def patient_means(values: Sequence, groups, draws: int = 2000, seed: int = 0) -> list[Estimate]:
    """The mean of one number per study, with the interval of `patient_bootstrap`: for each of `values`, [n] each.

    All are computed on the same draws, each as it would be alone.
    """
    codes, names = pd.factorize(np.asarray(groups), sort=True)
    if not len(codes):
        return [undefined(0, "no studies") for _ in values]
    sums = np.stack([np.bincount(codes, weights=np.asarray(one, np.float64)) for one in values])
    sizes = np.bincount(codes).astype(np.float64)
    found = _bootstrap(np.arange(len(names)), lambda drawn: (sums @ drawn) / (sizes @ drawn), draws, seed)
    return [replace(one, n=len(codes)) for one in found]


def _bootstrap(
    groups: np.ndarray, statistics: Statistic, draws: int, seed: int, level: float = 0.95, fewest: int = FEWEST
) -> list[Estimate]:
    """`patient_bootstrap` of several statistics on the same draws. statistics: weights [n, B] to values [K, B]."""
    patients = len(pd.unique(groups))
    values = statistics(np.ones((len(groups), 1)))[:, 0] if patients else [np.nan]
    drawn = None
    found = []
    for place, value in enumerate(map(float, values)):
        if patients == 0:
            found.append(undefined(0, "no studies"))
        elif np.isnan(value):
            found.append(undefined(len(groups), "not estimable on these studies"))
        elif patients < fewest:
            why = f"no interval: {count_text(patients, 'patient')}, {fewest} are needed"
            found.append(without_interval(value, len(groups), why))
        else:
            if drawn is None:
                drawn = bootstrap_draws(groups, lambda weights: statistics(weights).T, draws, seed)
            found.append(replace(percentile_interval(drawn[:, place], level), value=value))
    return found


def percentile_interval(found: np.ndarray, level: float = 0.95) -> Estimate:
    """The central `level` of the draws. `value` is their median, `n` the number of draws that are not NaN."""
    kept = found[~np.isnan(found)]
    lost = len(found) - len(kept)
    middle = float(np.median(kept)) if len(kept) else np.nan
    if lost > LOST * len(found) or not len(kept):
        return without_interval(
            middle, len(kept), f"no interval: {share_clause(lost, len(found), 'draw', 'lack')} a class"
        )
    low, high = np.quantile(kept, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(middle, float(low), float(high), len(kept))
