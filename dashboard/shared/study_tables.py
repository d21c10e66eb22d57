"""What the threshold page reads: studies, counts and the panel's candidates, made once and then shared, never copied.

`cache_resource`, since a copy of a million studies a run would cost more than all else on the page. Nobody may change
what these return.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import streamlit as st
from scipy.special import expit, logit

from core.data.index import Dataset
from core.metrics.clustered import auroc_by_patient, repeated
from core.metrics.counts import counts_table
from core.metrics.intervals import Estimate
from core.metrics.ranking import auroc, average_precision_of
from core.metrics.studies import labelled
from core.metrics.threshold_grid import ThresholdGrid, grid_counts
from core.metrics.thresholds import PerBone, Rule, band_table
from core.metrics.thresholds import per_bone as per_bone_of
from core.models.checkpoint import Checkpoint
from core.scores.imports import Imported
from dashboard.shared import loaders

BINS = 60
# Scores beyond these log-odds (a millionth) share the end bins of the panel.
FARTHEST = 13.8


@dataclass(frozen=True)
class Tables:
    """One split, and one bone if named: STUDIES, COUNTS of the labelled, the panel's grid, the areas of both curves.

    by_patient: the AUROC with the interval of resampled patients; None where no patient has a second study.
    """

    studies: pd.DataFrame
    counts: pd.DataFrame
    grid: ThresholdGrid
    area: Estimate
    precision: float
    by_patient: Estimate | None


def tables(dataset: Dataset, source: Checkpoint | Imported, split: str, bone: str = "") -> Tables | None:
    """Everything that does not change when the threshold does; None where nothing is scored."""
    return _tables(*_key(dataset, source), split, bone, dataset, source)


def bins(dataset: Dataset, source: Checkpoint | Imported, split: str, bone: str, axis: str) -> dict:
    """Bars of the score histogram: edges (scores, ascending), and abnormal and normal studies in each.

    axis 'probability': even from 0 to 1; 'log-odds': even between the log-odds of the lowest and the highest score.
    """
    return _bins(*_key(dataset, source), split, bone, axis, dataset, source)


def band(
    dataset: Dataset, source: Checkpoint | Imported, split: str, bone: str, low: float, high: float
) -> pd.DataFrame:
    """`bands.band_table` per bone."""
    return _band(*_key(dataset, source), split, bone, low, high, dataset, source)


def areas(dataset: Dataset, source: Checkpoint | Imported, split: str, bone: str) -> tuple[Estimate, Estimate | None]:
    """AUROC with DeLong's interval, and with that by patient; None where no patient has a second study."""
    return _areas(*_key(dataset, source), split, bone, dataset, source)


def per_bone(
    dataset: Dataset, source: Checkpoint | Imported, split: str, rule: Rule, bound: str, prevalence: float | None
) -> PerBone:
    """`per_bone.per_bone`: offsets, and thresholds of a bone's own."""
    return _per_bone(*_key(dataset, source), split, rule.text, bound, prevalence, dataset, source)


def histogram_bins(studies: pd.DataFrame, axis: str, bins: int = BINS) -> dict:
    """`bins` of labelled STUDIES."""
    score, abnormal = studies["score"].to_numpy(), studies["label"].to_numpy() == 1
    if axis == "probability":
        level, edges = score, np.linspace(0, 1, bins + 1)
        shown = edges
    else:
        level = np.clip(logit(score), -FARTHEST, FARTHEST)
        low, high = (level.min(), level.max()) if len(level) else (-1.0, 1.0)
        # A bar's width of room, so that the threshold above the highest score can be reached too.
        edges = np.linspace(low - 0.05 * (high - low) - 0.05, high + 0.05 * (high - low) + 0.05, bins + 1)
        shown = expit(edges)
    counted = {
        name: np.histogram(level[kind], edges)[0] for name, kind in (("abnormal", abnormal), ("normal", ~abnormal))
    }
    return {"axis": axis, "edges": shown.tolist(), **{name: found.tolist() for name, found in counted.items()}}


def _key(dataset: Dataset, source: Checkpoint | Imported) -> tuple:
    return dataset.name, dataset.index_hash, source.reference, loaders._score_stamps(dataset, source)


@st.cache_resource(max_entries=6, show_spinner="Counting")
def _tables(dataset_name, index_hash, reference, stamps, split, bone, _dataset, _source) -> Tables | None:
    rows = loaders.predictions(_dataset, _source)
    if rows is None or not ((rows["split"] == split) & (rows["bone"].eq(bone) if bone else True)).any():
        return None
    studies = loaders.studies(_dataset, _source, split, bone)
    known = labelled(studies)
    counts = counts_table(known["score"], known["label"])
    area, by_patient = _areas(dataset_name, index_hash, reference, stamps, split, bone, _dataset, _source)
    return Tables(
        studies,
        counts,
        grid_counts(studies),
        area,
        average_precision_of(counts),
        by_patient,
    )


@st.cache_data(max_entries=64, show_spinner=False)
def _areas(dataset_name, index_hash, reference, stamps, split, bone, _dataset, _source):
    known = labelled(loaders.studies(_dataset, _source, split, bone))
    return auroc(known["score"], known["label"]), auroc_by_patient(known) if repeated(known) else None


@st.cache_data(max_entries=24, show_spinner=False)
def _bins(dataset_name, index_hash, reference, stamps, split, bone, axis, _dataset, _source) -> dict:
    studies = _tables(dataset_name, index_hash, reference, stamps, split, bone, _dataset, _source).studies
    return histogram_bins(labelled(studies), axis)


@st.cache_data(max_entries=24, show_spinner=False)
def _band(dataset_name, index_hash, reference, stamps, split, bone, low, high, _dataset, _source) -> pd.DataFrame:
    studies = _tables(dataset_name, index_hash, reference, stamps, split, bone, _dataset, _source).studies
    return band_table(studies[["bone", "score", "label"]], low, high, by="bone")


@st.cache_resource(max_entries=24, show_spinner="Fitting the bones")
def _per_bone(
    dataset_name, index_hash, reference, stamps, split, rule: str, bound, prevalence, _dataset, _source
) -> PerBone:
    studies = _tables(dataset_name, index_hash, reference, stamps, split, "", _dataset, _source).studies
    return per_bone_of(studies, rule, bound, prevalence)
