"""Agreement between readers: raw agreement, Cohen's kappa and Fleiss' kappa, each with its interval.

Counts are [studies, categories]: the number of readers who put each study into each category. Studies with a single
read are left out, because they show nothing about agreement.
"""

import numpy as np

from core.metrics.intervals import FEWEST, Estimate, normal_quantile, undefined, without_interval

DRAWS = 2_000


def cohen(table: np.ndarray) -> Estimate:
    """Cohen's kappa of two readers from their square table (standard error: Fleiss, Cohen and Everitt 1969)."""
    total = int(table.sum())
    if total == 0:
        return undefined(0, "not estimable: no study was read by both")
    share = np.asarray(table, float) / total
    first, second = share.sum(axis=1), share.sum(axis=0)
    expected = float(first @ second)
    if expected >= 1 - 1e-12:
        return undefined(total, "not estimable: every read is the same")
    value = float((np.trace(share) - expected) / (1 - expected))
    cross = second[:, None] + first[None, :]  # cross[i, j] = the second's share of i + the first's share of j
    agree = float((np.diag(share) * (1 - (first + second) * (1 - value)) ** 2).sum())
    off = share * (1 - np.eye(len(share)))
    differ = float((1 - value) ** 2 * (off * cross**2).sum())
    variance = (agree + differ - (value - expected * (1 - value)) ** 2) / (total * (1 - expected) ** 2)
    return _interval(value, variance, total)


def fleiss(counts: np.ndarray, groups: np.ndarray | None = None, draws: int = DRAWS, seed: int = 0) -> Estimate:
    """Fleiss' kappa (1971) with a percentile bootstrap; the number of readers may differ between studies.

    groups: the patient of each study, so that the studies of a patient are drawn together; by default each study is
    drawn by itself.
    """
    counts, groups = _read_twice(counts, groups)
    if len(counts) == 0:
        return undefined(0, "not estimable: no study was read twice")
    value = float(_kappa(counts, np.ones((1, len(counts))))[0])
    if np.isnan(value):
        return undefined(len(counts), "not estimable: every read is the same")
    return _bootstrap(value, counts, groups, _kappa, draws, seed)


def raw_agreement(counts: np.ndarray, groups: np.ndarray | None = None, draws: int = DRAWS, seed: int = 0) -> Estimate:
    """The share of reader pairs that agree, averaged over studies, with a percentile bootstrap."""
    counts, groups = _read_twice(counts, groups)
    if len(counts) == 0:
        return undefined(0, "not estimable: no study was read twice")
    value = float(_raw(counts, np.ones((1, len(counts))))[0])
    return _bootstrap(value, counts, groups, _raw, draws, seed)


def _read_twice(counts: np.ndarray, groups: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    counts = np.asarray(counts, float)
    twice = counts.sum(axis=1) >= 2 if counts.size else np.zeros(len(counts), bool)
    groups = np.arange(len(counts)) if groups is None else np.unique(groups, return_inverse=True)[1]
    return counts[twice], groups[twice]


def _pairs(counts: np.ndarray) -> np.ndarray:
    """The share of reader pairs that agree, of each study."""
    readers = counts.sum(axis=1)
    return (counts * (counts - 1)).sum(axis=1) / (readers * (readers - 1))


def _raw(counts: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return weights @ _pairs(counts) / weights.sum(axis=1)


def _kappa(counts: np.ndarray, weights: np.ndarray) -> np.ndarray:
    observed, spread = _raw(counts, weights), weights @ counts
    expected = ((spread / spread.sum(axis=1, keepdims=True)) ** 2).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(expected < 1 - 1e-12, (observed - expected) / (1 - expected), np.nan)


def _bootstrap(value: float, counts: np.ndarray, groups: np.ndarray, figure, draws: int, seed: int) -> Estimate:
    clusters, place = np.unique(groups, return_inverse=True)
    if len(clusters) < FEWEST:
        return without_interval(value, len(counts), f"no interval: {len(clusters)} read twice, {FEWEST} are needed")
    random = np.random.default_rng(seed)
    drawn = random.multinomial(len(clusters), np.full(len(clusters), 1 / len(clusters)), draws)
    found = figure(counts, drawn[:, place].astype(float))
    if np.isnan(found).mean() > 0.05:
        return without_interval(value, len(counts), "no interval: too many draws have one category only")
    low, high = np.nanpercentile(found, [2.5, 97.5])
    return Estimate(value, float(low), float(high), len(counts))


def _interval(value: float, variance: float, n: int) -> Estimate:
    if n < FEWEST:
        return without_interval(value, n, f"no interval: {n} read by both, {FEWEST} are needed")
    if variance < 1e-15:
        return without_interval(value, n, "no interval: degenerate, the standard error is 0")
    half = normal_quantile() * np.sqrt(variance)
    return Estimate(value, float(max(-1.0, value - half)), float(min(1.0, value + half)), n)
