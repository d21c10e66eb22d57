"""Slices of a test set: each against the rest, with the price of looking at many."""

import numpy as np
import pandas as pd

from core.errors import OverreadError
from core.metrics.evaluation import study_group_table
from core.metrics.intervals import (
    Estimate,
    Statistic,
    auroc_statistic,
    bootstrap_draws,
    percentile_interval,
    too_few,
    undefined,
    without_interval,
)
from core.metrics.ranking import one_class
from core.metrics.studies import labelled


def holm(p_values) -> np.ndarray:
    """p-values adjusted for their number (Holm 1979), in the order given. NaN stays NaN and is not counted."""
    given = np.asarray(p_values, dtype=np.float64)
    known = ~np.isnan(given)
    if not ((given[known] >= 0) & (given[known] <= 1)).all():
        raise OverreadError("Holm's adjustment needs p-values from 0 to 1.")
    values = given[known]
    order = np.argsort(values, kind="stable")
    stepped = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    adjusted = np.full(given.shape, np.nan)
    adjusted[np.flatnonzero(known)[order]] = np.minimum(stepped, 1.0)
    return adjusted


def by_views(studies: pd.DataFrame, most: int = 4) -> pd.DataFrame:
    """STUDIES with `views`: '1', '2', '3', '4 or more'. Maximum and noisy-or scores grow with the number of views."""
    many = f"{most} or more"
    return studies.assign(views=np.where(studies["n_views"] >= most, many, studies["n_views"].astype(str)))


def _gap_statistic(scores: np.ndarray, labels: np.ndarray, inside: np.ndarray) -> Statistic:
    one, rest = auroc_statistic(scores, labels, inside), auroc_statistic(scores, labels, ~inside)
    return lambda weights: one(weights) - rest(weights)


def auroc_gap(studies: pd.DataFrame, inside: np.ndarray, draws: int = 2000, seed: int = 0) -> tuple[Estimate, float]:
    """AUROC of the studies in `inside` (bool [N]) less that of the rest, and a two-sided p-value.

    Both come from one bootstrap by patient, so a patient on both sides stays paired. The p-value is at least
    2 / (draws + 1). Every study needs a label.
    """
    inside = np.asarray(inside, dtype=bool)
    labels = studies["label"].to_numpy(dtype=np.float64)
    for part in (inside, ~inside):
        if why := one_class(int((labels[part] == 1).sum()), int((labels[part] == 0).sum())):
            return undefined(int(inside.sum()), why), float("nan")
    statistic = _gap_statistic(studies["score"].to_numpy(), labels, inside)
    value = float(statistic(np.ones((len(studies), 1)))[0])
    small = [too_few(int((labels[part] == 1).sum()), int((labels[part] == 0).sum())) for part in (inside, ~inside)]
    if why := small[0] or small[1]:
        return without_interval(value, int(inside.sum()), why), float("nan")
    found = bootstrap_draws(studies["group_id"], statistic, draws, seed)
    spread = percentile_interval(found)
    kept = found[~np.isnan(found)]
    beyond = min(np.count_nonzero(kept <= 0), np.count_nonzero(kept >= 0))
    p = float("nan") if spread.why else float(min(1.0, 2 * (beyond + 1) / (len(kept) + 1)))
    return Estimate(value, spread.low, spread.high, int(inside.sum()), spread.why), p


def slice_table(
    studies: pd.DataFrame, threshold: float, by: str = "bone", draws: int = 2000, seed: int = 0
) -> pd.DataFrame:
    """The figures of each group at one threshold, and how its AUROC differs from the rest.

    Adds gap, gap_low, gap_high, gap_p, gap_p_holm (adjusted over the groups) and gap_why.
    """
    table = study_group_table(studies, threshold, by)
    known = labelled(studies)
    found = [auroc_gap(known, (known[by] == name).to_numpy(), draws, seed) for name in table[by]]
    table["gap"] = [gap.value for gap, _ in found]
    table["gap_low"] = [gap.low for gap, _ in found]
    table["gap_high"] = [gap.high for gap, _ in found]
    table["gap_p"] = [p for _, p in found]
    table["gap_p_holm"] = holm(table["gap_p"].to_numpy(dtype=np.float64))
    table["gap_why"] = [gap.why for gap, _ in found]
    return table
