"""Figures of several ways to train or to score, each minus that of a reference on the same patients.

A figure is a mean over seeds. Its interval and that of the difference are from resamples of whole patients, so they
hold for other patients and not for other trainings; `spread` is the standard deviation over seeds.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.among import among
from core.errors import OverreadError
from core.metrics.intervals import Statistic, auroc_statistic, draws_within, patient_bootstrap, rate_statistic
from core.metrics.radiographs import driving_views, found_threshold, mixed_studies
from core.metrics.studies import labelled, study_table
from core.metrics.subgroups import holm
from core.metrics.thresholds import choose

RULE = "sensitivity>=0.9"


@dataclass(frozen=True)
class Scored:
    """One set of scores. radiographs: PREDICTIONS with `truth` (NaN where unknown), by image_id; studies: STUDIES, by
    study_id, with `choose`, whether each is of the half that chooses a threshold."""

    radiographs: pd.DataFrame
    studies: pd.DataFrame


@dataclass(frozen=True)
class Figure:
    """One figure. unit: 'studies' or 'radiographs'. statistic: from a Scored to a function of the weights of its units;
    None where the scores do not give it. lower: whether lower values are better."""

    name: str
    words: str
    unit: str
    statistic: Callable[[Scored], Statistic | None]
    lower: bool = False


FIGURES: dict[str, Figure] = {}


def register(name: str, words: str, unit: str, lower: bool = False) -> Callable:
    """Register a function from a Scored to a Statistic as a Figure."""

    def add(statistic: Callable[[Scored], Statistic | None]) -> Callable:
        FIGURES[name] = Figure(name, words, unit, statistic, lower)
        return statistic

    return add


@register("study_auroc", "AUROC of studies", "studies")
def study_auroc(scored: Scored) -> Statistic:
    """The AUROC of study scores against study labels."""
    return auroc_statistic(scored.studies["score"], scored.studies["label"])


@register("radiograph_auroc", "AUROC of radiographs by their truth", "radiographs")
def radiograph_auroc(scored: Scored) -> Statistic | None:
    """The AUROC of logits against the truth of each radiograph; None unless both kinds are known."""
    known = scored.radiographs["truth"].notna()
    if scored.radiographs["truth"].nunique() < 2:
        return None
    return auroc_statistic(scored.radiographs["logit"], scored.radiographs["truth"].fillna(0), known)


@register("brier", "Brier score of studies", "studies", lower=True)
def brier(scored: Scored) -> Statistic:
    """The mean squared difference between study score and label."""
    squared = (scored.studies["score"] - scored.studies["label"]).to_numpy() ** 2
    return lambda weights: (squared @ weights) / weights.sum(0)


@register("false_alarms", "normal radiographs of abnormal studies called abnormal", "radiographs", lower=True)
def false_alarms(scored: Scored) -> Statistic | None:
    """At the threshold that finds 90% of the abnormal radiographs."""
    frame = scored.radiographs
    truth, logits = frame["truth"].to_numpy(), frame["logit"].to_numpy()
    among = (truth == 0) & (frame["label"] == 1).to_numpy()
    return rate_statistic(logits >= found_threshold(logits, truth), among) if among.any() else None


@register("driver", "view that drives the score is abnormal, in studies with normal and abnormal views", "radiographs")
def driver(scored: Scored) -> Statistic | None:
    """The share of studies with normal and abnormal views whose driving view is abnormal; None without such studies."""
    truth = scored.radiographs["truth"].to_numpy()
    drives = np.zeros(len(truth), bool)
    drives[driving_views(scored.radiographs)] = True
    among = drives & mixed_studies(scored.radiographs, truth)
    return rate_statistic(truth == 1, among) if among.any() else None


def _verified(wanted: float) -> Callable[[Scored], Statistic | None]:
    """Sensitivity (wanted 1) or specificity (0) in one half, at the threshold that RULE chooses on the other."""

    def statistic(scored: Scored) -> Statistic | None:
        studies = scored.studies
        chosen = choose(studies[studies["choose"]], RULE)
        if not chosen.feasible:
            return None
        called = (studies["score"] >= chosen.threshold).to_numpy()
        among = (~studies["choose"] & (studies["label"] == wanted)).to_numpy()
        return rate_statistic(called == bool(wanted), among) if among.any() else None

    return statistic


register("specificity", "specificity at a threshold chosen for 90% sensitivity on the other half", "studies")(
    _verified(0)
)
register("sensitivity", "sensitivity at that threshold", "studies")(_verified(1))


def scored_of(predictions: pd.DataFrame, aggregation: str, choosing: np.ndarray, truth: pd.Series | None) -> Scored:
    """The Scored of PREDICTIONS. choosing: whether each radiograph is of the half that chooses, bool [n]. truth: that
    of each radiograph by image_id, or None."""
    known = predictions["image_id"].map(truth) if truth is not None else np.nan
    frame = predictions.assign(truth=known, choose=choosing).astype({"truth": float})
    studies = labelled(study_table(frame, aggregation))
    half = frame.groupby("study_id")["choose"].first()
    studies = studies.assign(choose=studies["study_id"].map(half).to_numpy(bool))
    frame = frame[among(frame["study_id"], studies["study_id"])]
    return Scored(
        frame.sort_values("image_id").reset_index(drop=True), studies.sort_values("study_id").reset_index(drop=True)
    )


def figure_table(
    scores: Mapping[str, Sequence[Scored]], reference: str, names: Sequence[str], draws: int | None = None
) -> pd.DataFrame:
    """One row for each figure and variant: `figure`, `variant`, `seeds`, `n`, `value`, `low`, `high`, `spread`,
    `difference` (from the reference), `difference_low`, `difference_high`, `p` and `p_holm` (over a figure's variants).

    scores: a Scored for each seed of each variant. Figures that no variant gives are left out. OverreadError where the
    variants did not score the same radiographs.
    """
    first = scores[reference][0]
    for variant, found in scores.items():
        if any(list(one.radiographs["image_id"]) != list(first.radiographs["image_id"]) for one in found):
            raise OverreadError(
                f"{variant} and {reference} scored different radiographs; expected the same ones. Score both on one "
                "data set and split.",
                code="radiographs-differ",
            )
    rows = []
    for figure in (FIGURES[name] for name in names):
        units = getattr(first, figure.unit)
        groups = units["group_id"].to_numpy()
        parts = {variant: [figure.statistic(one) for one in found] for variant, found in scores.items()}
        usable = {variant: found for variant, found in parts.items() if all(part is not None for part in found)}
        count = draws or draws_within(len(units))
        table = [
            _row(figure, variant, found, usable.get(reference), groups, count) for variant, found in usable.items()
        ]
        known = [row for row in table if row["p"] == row["p"]]
        for row, adjusted in zip(known, holm(np.array([row["p"] for row in known])) if known else ()):
            row["p_holm"] = float(adjusted)
        rows += table
    return pd.DataFrame(rows)


def _row(figure: Figure, variant: str, parts: list, reference: list | None, groups: np.ndarray, draws: int) -> dict:
    alone = patient_bootstrap(groups, _mean(parts), draws)
    each = [float(part(np.ones((len(groups), 1)))[0]) for part in parts]
    row = {
        "figure": figure.name, "variant": variant, "seeds": len(parts), "n": len(groups), "value": alone.value,
        "low": alone.low, "high": alone.high, "spread": float(np.std(each, ddof=1)) if len(each) > 1 else np.nan,
    }  # fmt: skip
    empty = dict.fromkeys(("difference", "difference_low", "difference_high", "p", "p_holm"), np.nan)
    if reference is None or reference is parts:
        return row | empty
    difference, p = paired_difference_of(_mean(parts), _mean(reference), groups, draws)
    found = {"difference": difference.value, "difference_low": difference.low, "difference_high": difference.high}
    return row | empty | found | {"p": p}


def _mean(parts: list[Statistic]) -> Statistic:
    return lambda weights: np.mean([part(weights) for part in parts], axis=0)


def paired_difference_of(one: Statistic, other: Statistic, groups: np.ndarray, draws: int):
    """One statistic minus another on the same patients with its interval, and the two-sided p of no difference."""
    found = []

    def difference(weights: np.ndarray) -> np.ndarray:
        found.append(one(weights) - other(weights))
        return found[-1]

    estimate = patient_bootstrap(groups, difference, draws)
    resampled = np.concatenate(found[1:]) if len(found) > 1 else np.array([np.nan])
    resampled = resampled[~np.isnan(resampled)]
    if not len(resampled) or np.isnan(estimate.low):
        return estimate, np.nan
    # Never 0: the smallest p that n resamples can show is 1 / n.
    tail = min((resampled <= 0).mean(), (resampled >= 0).mean())
    return estimate, float(min(1.0, 2 * max(tail, 1 / len(resampled))))
