"""AUROC with an interval by patient. Studies of one patient are not independent, so whole patients are drawn."""

import numpy as np
import pandas as pd

from core.metrics.intervals import (
    Estimate,
    auroc_statistic,
    draws_within,
    normal_quantile,
    patient_bootstrap,
    too_few,
    undefined,
    without_interval,
)
from core.metrics.ranking import one_class, placements

RESAMPLED = 50_000  # up to here 2,000 resamples take under a second; with more studies the closed form gives the same


def auroc_by_patient(known: pd.DataFrame, draws: int | None = None) -> Estimate:
    """AUROC of labelled STUDIES with an interval by patient, from `draws` resamples; 0 means the closed form.

    The default is 2,000 resamples, and the closed form with more than RESAMPLED studies.
    """
    scores, labels = known["score"].to_numpy(), known["label"].to_numpy(dtype=np.float64)
    abnormal, normal = int((labels == 1).sum()), int((labels == 0).sum())
    if why := one_class(abnormal, normal):
        return undefined(len(known), why)
    if why := too_few(abnormal, normal):
        return without_interval(auroc_shares(scores, labels)[0], len(known), why)
    draws = draws_of(len(known)) if draws is None else draws
    if draws:
        return patient_bootstrap(known["group_id"], auroc_statistic(scores, labels), draws)
    value, shares = auroc_shares(scores, labels)
    return clustered(value, shares, known["group_id"])[0]


def draws_of(n: int) -> int:
    """The default number of resamples for n studies; 0 means the closed form."""
    return draws_within(n) if n <= RESAMPLED else 0


def auroc_shares(scores: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
    """AUROC, and the contribution of each study minus the mean (DeLong's components over its class); they sum to 0."""
    positive = labels == 1
    abnormal, normal = scores[positive], scores[~positive]
    won = placements(abnormal, normal) / len(normal)
    lost = 1 - placements(normal, abnormal) / len(abnormal)
    value, found = float(won.mean()), np.empty(len(scores))
    found[positive], found[~positive] = (won - value) / len(abnormal), (lost - value) / len(normal)
    return value, found


def clustered(value: float, shares: np.ndarray, groups, n: int | None = None) -> tuple[Estimate, float]:
    """The estimate and its standard error. shares: the contribution of each study, as from `auroc_shares`.

    The variance is that of the sums over patients (Obuchowski 1997). The interval is clipped to -1 .. 1.
    """
    codes, patients = pd.factorize(groups)
    variance = (np.bincount(codes, weights=shares) ** 2).sum() * len(patients) / max(len(patients) - 1, 1)
    n = len(shares) if n is None else n
    if variance <= 0:
        return without_interval(value, n, "no interval: degenerate, the standard error is 0"), float("nan")
    error = float(np.sqrt(variance))
    half = normal_quantile() * error
    return Estimate(value, max(-1.0, value - half), min(1.0, value + half), n), error


def repeated(known: pd.DataFrame) -> bool:
    """Whether any patient has more than one study."""
    return not known["group_id"].is_unique
