"""Slow, obvious implementations that tests compare with the fast ones. They use loops on purpose."""

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit
from scipy.stats import binom


def counts_by_loop(scores, labels, threshold) -> dict:
    found = {"tp": 0, "fp": 0, "tn": 0, "fn": 0}
    for score, label in zip(scores, labels, strict=True):
        called = score >= threshold
        found[("t" if called == (label == 1) else "f") + ("p" if called else "n")] += 1
    return found


def pair_wins(scores, labels) -> np.ndarray:
    """[abnormal, normal]: 1 where the abnormal study scores higher, 1/2 for a tie."""
    scores, labels = np.asarray(scores, dtype=float), np.asarray(labels)
    abnormal, normal = scores[labels == 1], scores[labels == 0]
    return np.array([[1.0 if x > y else 0.5 if x == y else 0.0 for y in normal] for x in abnormal])


def delong_by_pairs(scores_a, scores_b, labels) -> tuple[np.ndarray, np.ndarray]:
    """The two areas and their covariance matrix from the matrix of all pairs, as in DeLong 1988."""
    wins = [pair_wins(scores, labels) for scores in (scores_a, scores_b)]
    m, n = wins[0].shape
    by_abnormal = np.cov([win.mean(axis=1) for win in wins])
    by_normal = np.cov([win.mean(axis=0) for win in wins])
    return np.array([win.mean() for win in wins]), by_abnormal / m + by_normal / n


def average_precision_by_loop(scores, labels) -> float:
    labels = np.asarray(labels)
    total, before = 0.0, 0.0
    for threshold in sorted(set(scores), reverse=True):
        at = counts_by_loop(scores, labels, threshold)
        recall = at["tp"] / (labels == 1).sum()
        total += (recall - before) * at["tp"] / (at["tp"] + at["fp"])
        before = recall
    return total


def wilson_by_root(k, n, z=1.959963984540054) -> tuple[float, float]:
    """The two proportions at which the score test has p = 0.05."""

    def distance(share):
        return (k / n - share) ** 2 - z**2 * share * (1 - share) / n

    # At 0 and 1 the variance and the distance are 0, so the other root is the bound.
    low = 0.0 if k == 0 else brentq(distance, 0, k / n - 1e-9, xtol=1e-14)
    high = 1.0 if k == n else brentq(distance, k / n + 1e-9, 1, xtol=1e-14)
    return low, high


def clopper_pearson_by_root(k, n) -> tuple[float, float]:
    """The two proportions at which the binomial tail is exactly 2.5%."""
    low = 0.0 if k == 0 else brentq(lambda share: binom.sf(k - 1, n, share) - 0.025, 0, 1, xtol=1e-14)
    high = 1.0 if k == n else brentq(lambda share: binom.cdf(k, n, share) - 0.025, 0, 1, xtol=1e-14)
    return low, high


def bootstrap_by_loop(groups, rows_to_value, draws, seed) -> np.ndarray:
    """Draw patients one resample at a time and copy all their rows; `rows_to_value` gets the row numbers."""
    groups = np.asarray(groups)
    names = sorted(set(groups.tolist()))
    rows = [np.flatnonzero(groups == name) for name in names]
    random = np.random.default_rng(seed)
    found = []
    for _ in range(draws):
        drawn = random.integers(len(names), size=len(names))
        found.append(rows_to_value(np.concatenate([rows[place] for place in drawn])))
    return np.array(found)


def study_score_by_loop(logits, rule, attention=()) -> float:
    """The score of one study from its logits and their attention before the softmax."""
    if rule == "attention":
        weights = [np.exp(value) for value in attention]
        return float(expit(sum(weight * value for weight, value in zip(weights, logits)) / sum(weights)))
    shares = sorted(float(expit(value)) for value in logits)
    if rule == "mean":
        return sum(shares) / len(shares)
    if rule == "max":
        return shares[-1]
    if rule == "top2":
        return sum(shares[-2:]) / len(shares[-2:])
    if rule == "noisy_or":
        clear = 1.0
        for share in shares:
            clear *= 1 - share
        return 1 - clear
    if rule == "logit_mean":
        return float(expit(sum(logits) / len(logits)))
    if rule == "lse":
        return float(np.log(sum(np.exp(5 * share) for share in shares) / len(shares)) / 5)
    raise KeyError(rule)


def holm_by_loop(p_values) -> list[float]:
    """The k-th smallest p-value times (m - k), at least the one before, at most 1."""
    found, running = [0.0] * len(p_values), 0.0
    for step, place in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        running = max(running, min(1.0, p_values[place] * (len(p_values) - step)))
        found[place] = running
    return found
