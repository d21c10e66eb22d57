"""Slices of a test set: the difference of each from the other studies, with p-values adjusted for their number."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import ndtr

from core.errors import OverreadError
from core.metrics.clustered import auroc_shares, clustered
from core.metrics.evaluation import Evaluation, evaluate_studies, figure_names, study_groups
from core.metrics.intervals import (
    FEWEST,
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
from core.plural import count_text

RESAMPLED = 5_000  # a gap is resampled up to here; above, its closed form agrees to the third digit
WIDE = 0.2  # an interval wider than this shows little


def holm(p_values) -> np.ndarray:
    """p-values adjusted for their number (Holm 1979), in the same order. NaN stays NaN and is not counted.

    OverreadError outside 0 to 1.
    """
    unadjusted = np.asarray(p_values, dtype=np.float64)
    known = ~np.isnan(unadjusted)
    values = unadjusted[known]
    if not ((values >= 0) & (values <= 1)).all():
        wrong = values[(values < 0) | (values > 1)][0]
        raise OverreadError(f"A p-value is {wrong:g}; expected numbers from 0 to 1.", code="p-value-range")
    order = np.argsort(values, kind="stable")
    stepped = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    adjusted = np.full(unadjusted.shape, np.nan)
    adjusted[np.flatnonzero(known)[order]] = np.minimum(stepped, 1.0)
    return adjusted


def by_views(studies: pd.DataFrame, most: int = 4) -> pd.DataFrame:
    """STUDIES with `views`: '1', '2', '3' or '4 or more'. With max and noisy_or, more views raise scores."""
    many = f"{most} or more"
    return studies.assign(views=np.where(studies["n_views"] >= most, many, studies["n_views"].astype(str)))


def by_thirds(studies: pd.DataFrame, values: pd.Series, column: str) -> pd.DataFrame:
    """STUDIES with `column`: which third of `values` (one number per study, by study_id) a study is in, in words.

    Where most studies have the lowest value, the groups are that value and everything above it. Studies without a value
    are in no group.
    """
    value = studies["study_id"].map(values).to_numpy(dtype=np.float64)
    known = value[~np.isnan(value)]
    names = np.full(len(value), None, dtype=object)
    if len(known):
        low, high = np.quantile(known, [1 / 3, 2 / 3])
        if low == known.min() and (known == low).mean() > 0.5:
            cuts = [(f"1: {low:.3g}", value <= low), (f"2: above {low:.3g}", value > low)]
        else:
            cuts = [
                (f"1: up to {low:.3g}", value <= low),
                (f"2: {low:.3g} to {high:.3g}", (value > low) & (value <= high)),
                (f"3: above {high:.3g}", value > high),
            ]
        for name, inside in cuts:
            names[inside] = name
    return studies.assign(**{column: names})


def slice_words(row, name: str) -> str:
    """Why a row of `slice_table` shows little, in one sentence; '' where it has enough studies."""
    abnormal, normal = int(row["n_abnormal"]), int(row["n"] - row["n_abnormal"])
    if abnormal + normal == 0:
        return f"{name}: no labelled study."
    for count, word in ((abnormal, "abnormal"), (normal, "normal")):
        if count < FEWEST:
            found = count_text(count, f"{word} study") if count else f"no {word} studies"
            return f"{name}: {found}, too few for an interval ({FEWEST} are needed)."
    wide = [
        f"with {count:,} {word} studies {key} may be anywhere from {row[f'{key}_low']:.1%} to {row[f'{key}_high']:.1%}"
        for key, count, word in (("sensitivity", abnormal, "abnormal"), ("specificity", normal, "normal"))
        if row[f"{key}_high"] - row[f"{key}_low"] > WIDE
    ]
    return f"{name}: {', and '.join(wide)}: an interval this wide shows little." if wide else ""


def _closed_gap(studies: pd.DataFrame, inside: np.ndarray) -> tuple[Estimate, float]:
    """The gap and its p-value in closed form; the variance is summed over patients (Obuchowski 1997)."""
    scores, labels = studies["score"].to_numpy(), studies["label"].to_numpy(dtype=np.float64)
    parts = [auroc_shares(scores[side], labels[side]) for side in (inside, ~inside)]
    share = np.empty(len(scores))
    share[inside], share[~inside] = parts[0][1], -parts[1][1]
    found, error = clustered(parts[0][0] - parts[1][0], share, studies["group_id"], int(inside.sum()))
    return found, float(2 * ndtr(-abs(found.value / error)))


def _gap_statistic(scores: np.ndarray, labels: np.ndarray, inside: np.ndarray) -> Statistic:
    one, rest = auroc_statistic(scores, labels, inside), auroc_statistic(scores, labels, ~inside)
    return lambda weights: one(weights) - rest(weights)


def auroc_gap(
    studies: pd.DataFrame, inside: np.ndarray, draws: int | None = None, seed: int = 0
) -> tuple[Estimate, float]:
    """AUROC of the studies in `inside` (bool [N]) minus that of the other studies, and its two-sided p-value.

    Both come from one bootstrap by patient, which draws all studies of a patient together, inside or not. The p-value
    is at least 2 / (draws + 1). With draws = 0, and by default above 5,000 studies, both are in closed form, from the
    components of both areas summed over patients. Every study needs a label.
    """
    draws = (2000 if len(studies) <= RESAMPLED else 0) if draws is None else draws
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
    if not draws:
        return _closed_gap(studies, inside)
    found = bootstrap_draws(studies["group_id"], statistic, draws, seed)
    spread = percentile_interval(found)
    kept = found[~np.isnan(found)]
    beyond = min(np.count_nonzero(kept <= 0), np.count_nonzero(kept >= 0))
    p = float("nan") if spread.why else float(min(1.0, 2 * (beyond + 1) / (len(kept) + 1)))
    return Estimate(value, spread.low, spread.high, int(inside.sum()), spread.why), p


@dataclass(frozen=True)
class Slices:
    """STUDIES grouped by a column and evaluated once, for the table at any threshold. gaps: one row per slice."""

    by: str
    whole: Evaluation
    parts: dict[str, Evaluation]
    gaps: pd.DataFrame

    def at(self, threshold: float) -> pd.DataFrame:
        """One row per slice: its figures at a threshold, and the difference of its AUROC from the other studies."""
        rows = [{self.by: name} | part.at(threshold) for name, part in self.parts.items()]
        return pd.concat([pd.DataFrame(rows, columns=[self.by, *figure_names()]), self.gaps], axis=1)


def slices_of(studies: pd.DataFrame, by: str = "bone", draws: int | None = None, seed: int = 0) -> Slices:
    """`Slices` of STUDIES by a column. gaps: gap, gap_low, gap_high, gap_p, gap_p_holm (over the slices), gap_why."""
    named, known = study_groups(studies, by), labelled(studies)
    codes = pd.Index([name for name, _ in named]).get_indexer(known[by].astype(object))
    found = [auroc_gap(known, codes == place, draws, seed) for place in range(len(named))]
    gaps = pd.DataFrame(
        {
            "gap": [gap.value for gap, _ in found],
            "gap_low": [gap.low for gap, _ in found],
            "gap_high": [gap.high for gap, _ in found],
            "gap_p": np.array([p for _, p in found], dtype=np.float64),
        }
    )
    gaps["gap_p_holm"] = holm(gaps["gap_p"])
    gaps["gap_why"] = [gap.why for gap, _ in found]
    return Slices(by, evaluate_studies(studies), {name: evaluate_studies(part) for name, part in named}, gaps)


def slice_table(
    studies: pd.DataFrame, threshold: float, by: str = "bone", draws: int | None = None, seed: int = 0
) -> pd.DataFrame:
    """`slices_of` at one threshold."""
    return slices_of(studies, by, draws, seed).at(threshold)
