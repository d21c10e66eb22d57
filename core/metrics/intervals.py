"""Figures with their intervals: proportions in closed form, anything else by resampling patients."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.special import bdtr, betaincinv, betaln, ndtri

from core.errors import OverreadError
from core.metrics.counts import checked

FEWEST = 10  # with fewer studies of a class than this, a figure is shown without an interval
LOST = 0.05  # with a larger share of draws lost to one class, the bootstrap gives no interval
_HELD = 2**16  # weights held at once, so that they stay in the processor's cache: changes no figure


@dataclass(frozen=True)
class Estimate:
    """A figure, its 95% interval, and how many studies it stands on. NaN where undefined; then `why` says why."""

    value: float
    low: float
    high: float
    n: int
    why: str = ""


def undefined(n: int, why: str) -> Estimate:
    """The estimate of something that cannot be estimated."""
    return Estimate(np.nan, np.nan, np.nan, int(n), why)


def without_interval(value: float, n: int, why: str) -> Estimate:
    """A value whose interval cannot be given."""
    return Estimate(float(value), np.nan, np.nan, int(n), why)


def too_few(abnormal: int, normal: int, fewest: int = FEWEST) -> str:
    """Why these class sizes carry no interval; '' if they do."""
    name, count = min(("abnormal", abnormal), ("normal", normal), key=lambda pair: pair[1])
    return f"no interval: {count} {name} {study_word(count)}, {fewest} are needed" if count < fewest else ""


def study_word(count: int) -> str:
    return "study" if count == 1 else "studies"


def normal_quantile(level: float = 0.95) -> float:
    """1.96 for 95%."""
    return float(ndtri(0.5 + level / 2))


def _shares(k, n) -> tuple[np.ndarray, np.ndarray]:
    hits, total = np.broadcast_arrays(np.asarray(k, dtype=np.float64), np.asarray(n, dtype=np.float64))
    if not ((hits >= 0) & (hits <= total)).all():
        raise OverreadError(f"A proportion of {k} out of {n}; expected a count from 0 to the total.")
    return hits, total


def wilson(k, n, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Score interval for a proportion, low and high (Wilson 1927). Vectorised; NaN where n is 0."""
    hits, total = _shares(k, n)
    z2 = normal_quantile(level) ** 2
    with np.errstate(invalid="ignore", divide="ignore"):
        share = hits / total
        centre = (hits + z2 / 2) / (total + z2)
        half = np.sqrt(z2) / (total + z2) * np.sqrt(total * share * (1 - share) + z2 / 4)
    # The ends are exact: rounding must not leave 1e-17 for none of n.
    low = np.where(hits == 0, 0.0, centre - half)
    high = np.where(hits == total, 1.0, centre + half)
    return np.where(total > 0, low, np.nan)[()], np.where(total > 0, high, np.nan)[()]


def clopper_pearson(k, n, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Exact interval for a proportion, low and high (Clopper and Pearson 1934). Vectorised; NaN where n is 0."""
    hits, total = _shares(k, n)
    tail = (1 - level) / 2
    with np.errstate(invalid="ignore"):
        # The inner maximum keeps the quantile defined at the ends, which are then set exactly.
        low = np.where(hits == 0, 0.0, betaincinv(np.maximum(hits, 1), total - hits + 1, tail))
        high = np.where(hits == total, 1.0, betaincinv(hits + 1, np.maximum(total - hits, 1), 1 - tail))
    return np.where(total > 0, low, np.nan)[()], np.where(total > 0, high, np.nan)[()]


METHODS = {"wilson": wilson, "clopper_pearson": clopper_pearson}


def bounds(k, n, method: str = "wilson", level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Low and high by the named method."""
    if method not in METHODS:
        raise OverreadError(f"Interval method {method!r}; expected one of {', '.join(METHODS)}.")
    return METHODS[method](k, n, level)


def proportion(k: int, n: int, method: str = "wilson", level: float = 0.95) -> Estimate:
    """k of n with its interval; undefined when n is 0."""
    low, high = bounds(k, n, method, level)
    if n == 0:
        return undefined(0, "0 of 0")
    return Estimate(k / n, float(low), float(high), int(n))


def newcombe(k1: int, n1: int, k2: int, n2: int, level: float = 0.95) -> Estimate:
    """Difference k1/n1 - k2/n2 of two independent proportions, by their Wilson intervals (Newcombe 1998, 10)."""
    one, two = proportion(k1, n1, level=level), proportion(k2, n2, level=level)
    return weighted_sum(one, two, 1.0, -1.0)


def weighted_sum(one: Estimate, two: Estimate, weight_one: float, weight_two: float) -> Estimate:
    """Interval of a weighted sum of two independent estimates, recovered from theirs (Zou and Donner 2008)."""
    value = weight_one * one.value + weight_two * two.value
    pairs = [(one, weight_one), (two, weight_two)]
    # A negative weight turns an interval round: its upper end bounds the sum from below.
    down = [weight * (part.value - (part.low if weight >= 0 else part.high)) for part, weight in pairs]
    up = [weight * ((part.high if weight >= 0 else part.low) - part.value) for part, weight in pairs]
    why = one.why or two.why
    return Estimate(float(value), float(value - np.hypot(*down)), float(value + np.hypot(*up)), one.n + two.n, why)


def mcnemar(b: int, c: int) -> float:
    """Exact two-sided p-value for paired classifiers; b and c count the studies that only one of them gets right."""
    if min(b, c) < 0:
        raise OverreadError(f"Discordant pairs {b} and {c}; expected counts.")
    return float(min(1.0, 2 * bdtr(min(b, c), b + c, 0.5)))


def mcnemar_mid(b: int, c: int) -> float:
    """The same with half the weight of what was seen (mid-p): closer to 5% where the exact one is too careful."""
    few, total = min(b, c), b + c
    if not total:
        return 1.0
    seen = np.exp(-np.log1p(total) - betaln(total - few + 1, few + 1) - total * np.log(2))
    return float(1 - seen / 2) if b == c else float(mcnemar(b, c) - seen)


def paired_difference(both: int, only_one: int, only_two: int, neither: int, level: float = 0.95) -> Estimate:
    """Difference of two proportions on the same n, the first less the second (Newcombe 1998, paired, method 10).

    The counts are those that both, only the first, only the second, and neither have.
    """
    n = both + only_one + only_two + neither
    if min(both, only_one, only_two, neither) < 0:
        raise OverreadError(f"Counts {both}, {only_one}, {only_two}, {neither}; expected none below 0.")
    if n == 0:
        return undefined(0, "0 of 0")
    one, two = proportion(both + only_one, n, level=level), proportion(both + only_two, n, level=level)
    margins = float(both + only_one) * (only_two + neither) * (both + only_two) * (only_one + neither)
    cross = both * neither - only_one * only_two
    # Continuity correction, only where the two agree more than by chance.
    phi = (max(cross - n / 2, 0.0) if cross > 0 else cross) / np.sqrt(margins) if margins else 0.0
    down = (one.value - one.low, two.high - two.value)
    up = (one.high - one.value, two.value - two.low)
    low, high = (np.sqrt(max(x * x - 2 * phi * x * y + y * y, 0.0)) for x, y in (down, up))
    difference = (only_one - only_two) / n
    return Estimate(difference, max(-1.0, difference - float(low)), min(1.0, difference + float(high)), n)


Statistic = Callable[[np.ndarray], np.ndarray]


def auroc_statistic(scores, labels, among=None) -> Statistic:
    """AUROC under study weights [N, draws]: ties count half, NaN where a draw holds one class. Sorted once, here.

    among: bool [N], the studies that count; all of them by default.
    """
    values, positive = checked(scores, labels)
    among = np.ones(len(values), dtype=bool) if among is None else np.asarray(among, dtype=bool)
    # Both classes in ascending order, so that each draw runs through memory in one direction.
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
    """The weighted share of `hit` among `among`, both bool [N]: `score >= t` among `label == 1` is sensitivity."""
    among = np.asarray(among, dtype=bool)
    both = (np.asarray(hit, dtype=bool) & among).astype(np.float64)
    among = among.astype(np.float64)

    def statistic(weights: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore", divide="ignore"):
            return (both @ weights) / (among @ weights)

    return statistic


def draws_within(n: int) -> int:
    """How many resamples of n studies to draw: 2,000, fewer beyond 50,000 studies (seconds), never under 200."""
    return int(min(2000, max(200, 1e8 // max(n, 1))))


def bootstrap_draws(groups, statistic: Statistic, draws: int = 2000, seed: int = 0) -> np.ndarray:
    """The statistic on `draws` resamples of whole patients; NaN where undefined. The same seed gives the same draws,
    whatever the order of the rows."""
    codes, names = pd.factorize(np.asarray(groups), sort=True)
    random = np.random.default_rng(seed)
    found = []
    width = min(max(_HELD // max(len(codes), 1), 1), 250)
    for start in range(0, draws, width):
        # How often each patient was drawn, a row a draw; their studies share that weight.
        drawn = np.empty((min(width, draws - start), len(names)))
        for row in drawn:
            row[:] = np.bincount(random.integers(len(names), size=len(names)), minlength=len(names))
        found.append(statistic(drawn.take(codes, axis=1).T))
    return np.concatenate(found) if found else np.zeros(0)


def patient_bootstrap(
    groups, statistic: Statistic, draws: int = 2000, seed: int = 0, level: float = 0.95, fewest: int = FEWEST
) -> Estimate:
    """Percentile interval of a statistic by resampling patients, all studies of a patient together.

    `n` is the number of studies. No interval with fewer than `fewest` patients, or when more than 5% of the draws
    lose a class.
    """
    groups = np.asarray(groups)
    patients = len(pd.unique(groups))
    if patients == 0:
        return undefined(0, "no studies")
    value = float(statistic(np.ones((len(groups), 1)))[0])
    if np.isnan(value):
        return undefined(len(groups), "not estimable on these studies")
    if patients < fewest:
        return without_interval(value, len(groups), f"no interval: {patients} patients, {fewest} are needed")
    found = bootstrap_draws(groups, statistic, draws, seed)
    return replace(percentile_interval(found, level), value=value, n=len(groups))


def patient_mean(values, groups, draws: int = 2000, seed: int = 0) -> Estimate:
    """The mean of a number a study, with `patient_bootstrap`'s interval; drawn over the sums of each patient."""
    values = np.asarray(values, dtype=np.float64)
    codes, names = pd.factorize(np.asarray(groups), sort=True)
    sums, sizes = np.bincount(codes, weights=values), np.bincount(codes).astype(np.float64)
    found = patient_bootstrap(np.arange(len(names)), lambda drawn: (sums @ drawn) / (sizes @ drawn), draws, seed)
    return replace(found, n=len(values))


def percentile_interval(found: np.ndarray, level: float = 0.95) -> Estimate:
    """The middle `level` of the draws; `value` is their median, `n` how many could be used."""
    kept = found[~np.isnan(found)]
    lost = len(found) - len(kept)
    middle = float(np.median(kept)) if len(kept) else np.nan
    if lost > LOST * len(found) or not len(kept):
        return without_interval(middle, len(kept), f"no interval: {lost} of {len(found)} draws lack a class")
    low, high = np.quantile(kept, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(middle, float(low), float(high), len(kept))
