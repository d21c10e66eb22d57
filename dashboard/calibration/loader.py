"""What the calibration page reads: a scaling fitted on one split, and its figures on another, before and after."""

from dataclasses import dataclass

import streamlit as st

from core.data.index import Dataset
from core.metrics.calibration import Calibration, calibration_facts, fit_calibration, improvement
from core.metrics.intervals import Estimate
from core.metrics.studies import labelled
from core.models.checkpoint import Checkpoint
from core.scores.imports import Imported
from core.scores.patient_overlap import shared_patients
from dashboard.shared.study_tables import _key, tables


@dataclass(frozen=True)
class Calibrated:
    """The scaling, `calibration_facts` after it, what it gains, and how many stand in both splits (None: not known)."""

    fitted: Calibration
    after: dict
    gains: dict[str, Estimate]
    shared: int | None


def before(dataset: Dataset, source: Checkpoint | Imported, split: str, bone: str, bins: int) -> dict:
    """`calibration_facts` of the scores as they are."""
    return _before(*_key(dataset, source), split, bone, bins, dataset, source)


def calibrated(
    dataset: Dataset, source: Checkpoint | Imported, fit_split: str, method: str, split: str, bone: str, bins: int
) -> Calibrated:
    """Fitted on all bones of one split, judged on another (and one bone). OverreadError where it cannot be fitted."""
    return _calibrated(*_key(dataset, source), fit_split, method, split, bone, bins, dataset, source)


@st.cache_data(max_entries=16, show_spinner=False)
def _before(name, index_hash, reference, stamps, split, bone, bins, _dataset, _source) -> dict:
    known = labelled(tables(_dataset, _source, split, bone).studies)
    return calibration_facts(known["score"], known["label"], bins)


@st.cache_resource(max_entries=16, show_spinner="Fitting")
def _fitted(name, index_hash, reference, stamps, split, method, _dataset, _source) -> Calibration:
    known = labelled(tables(_dataset, _source, split).studies)
    return fit_calibration(known["score"], known["label"], method)


@st.cache_resource(max_entries=16, show_spinner="Reading it on the other split")
def _calibrated(name, index_hash, reference, stamps, fit_split, method, split, bone, bins, _dataset, _source):
    fitted = _fitted(name, index_hash, reference, stamps, fit_split, method, _dataset, _source)
    known = labelled(tables(_dataset, _source, split, bone).studies)
    scores, labels = known["score"].to_numpy(), known["label"].to_numpy()
    after = fitted.apply(scores)
    shared = shared_patients(tables(_dataset, _source, fit_split).studies, known)
    return Calibrated(
        fitted, calibration_facts(after, labels, bins), improvement(scores, after, labels, known["group_id"]), shared
    )
