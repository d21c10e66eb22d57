"""Studies, counts and candidate thresholds of a view, made once and shared, never copied.

A copy of a million studies per run would cost more than everything else on the page. Nobody may change these objects.
"""

from dataclasses import dataclass

import pandas as pd

from core.metrics.clustered import auroc_by_patient, repeated
from core.metrics.counts import counts_table
from core.metrics.histogram import score_histogram
from core.metrics.intervals import Estimate
from core.metrics.ranking import auroc, average_precision_of
from core.metrics.studies import labelled
from core.metrics.threshold_grid import ThresholdGrid, grid_counts
from core.metrics.thresholds import PerBone, Rule, band_table
from core.metrics.thresholds import per_bone as per_bone_of
from core.scores.halves import in_split
from core.scores.view import View
from dashboard.shared import loaders
from dashboard.shared.cache import cached_data, cached_resource


@dataclass(frozen=True)
class Tables:
    """One view: STUDIES, COUNTS of the labelled, the panel's grid, the areas under both curves.

    by_patient: the AUROC with the interval of resampled patients; None where no patient has a second study.
    """

    studies: pd.DataFrame
    counts: pd.DataFrame
    grid: ThresholdGrid
    area: Estimate
    precision: float
    by_patient: Estimate | None


def tables(view: View) -> Tables | None:
    """Everything that does not change when the threshold does; None where nothing is scored."""
    return _tables(view.cohort)


def bins(view: View, axis: str) -> dict:
    """`histogram.score_histogram` of a view on the axis 'probability' or 'log-odds'."""
    return _bins(view.cohort, axis)


def band(view: View, low: float, high: float) -> pd.DataFrame:
    """`bands.band_table` per bone."""
    return _band(view.cohort, low, high)


def areas(view: View) -> tuple[Estimate, Estimate | None]:
    """AUROC with DeLong's interval, and with that by patient; None where no patient has a second study."""
    return _areas(view.cohort)


def per_bone(view: View, rule: Rule, bound: str, prevalence: float | None) -> PerBone:
    """`per_bone.per_bone` of all bones: offsets, and the thresholds of single bones."""
    return _per_bone(view.cohort.every_bone, rule, bound, prevalence)


@cached_resource(max_entries=6, show_spinner="Counting")
def _tables(cohort: View) -> Tables | None:
    rows = loaders.predictions(cohort.source, cohort.split, loaders.OF_STUDIES)
    if rows is None:
        return None
    if not (in_split(rows, cohort.split) & (rows["bone"].eq(cohort.bone) if cohort.bone else True)).any():
        return None
    studies = loaders.studies(cohort)
    known = labelled(studies)
    counts = counts_table(known["score"], known["label"])
    area, by_patient = _areas(cohort)
    return Tables(studies, counts, grid_counts(studies), area, average_precision_of(counts), by_patient)


@cached_data(max_entries=64)
def _areas(cohort: View) -> tuple[Estimate, Estimate | None]:
    known = labelled(loaders.studies(cohort))
    return auroc(known["score"], known["label"]), auroc_by_patient(known) if repeated(known) else None


@cached_data(max_entries=24)
def _bins(cohort: View, axis: str) -> dict:
    return score_histogram(labelled(_tables(cohort).studies), axis)


@cached_data(max_entries=24)
def _band(cohort: View, low: float, high: float) -> pd.DataFrame:
    return band_table(_tables(cohort).studies[["bone", "score", "label"]], low, high, by="bone")


@cached_resource(max_entries=24, show_spinner="Fitting the bones")
def _per_bone(cohort: View, rule: Rule, bound: str, prevalence: float | None) -> PerBone:
    return per_bone_of(_tables(cohort).studies, rule.text, bound, prevalence)
