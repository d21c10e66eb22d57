"""Imported scores as pages see them: a model of the data set they were matched to, else a data set of scores only."""

import streamlit as st

from core.data.index import Dataset, list_datasets
from core.models.checkpoint import Checkpoint
from core.paths import home
from core.scores.imports import DESCRIPTION, SCORES, Imported, imported_predictions, list_imported
from core.scores.predictions import dataset_reference
from dashboard.shared.cache import looked_up_once, stamp

ONLY = " (scores only)"


@looked_up_once
def imported_sets() -> dict[str, Imported]:
    """Every imported set by name."""
    return {found.name: found for found in _imported(tuple(stamp(file) for file in _descriptions()))}


@looked_up_once
def scores_only() -> dict[str, Dataset]:
    """The imported sets without radiographs, as data sets, by the words they are chosen by.

    Also those whose data set was indexed anew since: they belong to rows that are no longer there.
    """
    there = {dataset_reference(dataset) for dataset in list_datasets()}
    return {
        f"{name}{ONLY}": _as_dataset(found) for name, found in imported_sets().items() if found.dataset not in there
    }


def sources(dataset: Dataset, checkpoints: dict[str, Checkpoint]) -> dict[str, Checkpoint | Imported]:
    """What can be judged on a data set: the checkpoints, and the imported scores that belong to it."""
    if dataset.kind == "scores":
        name = dataset.name.removesuffix(ONLY)
        return {name: imported_sets()[name]}
    here = {name: found for name, found in imported_sets().items() if found.dataset == dataset_reference(dataset)}
    return {**checkpoints, **{name: found for name, found in here.items() if name not in checkpoints}}


def predictions_of(found: Imported):
    """PREDICTIONS of an imported set; copied only where it is written to."""
    return _predictions(found.reference, score_stamp(found), found).copy(deep=False)


def score_stamp(found: Imported) -> tuple:
    """When its scores were last written."""
    return stamp(found.folder / SCORES)


def _descriptions():
    return sorted((home() / "imported").glob(f"*/{DESCRIPTION}"))


def _as_dataset(found: Imported) -> Dataset:
    return Dataset(
        name=f"{found.name}{ONLY}",
        root="",
        kind="scores",
        phantom=False,
        created=found.created,
        index_hash=found.predictions_hash,
        patients_known=found.patients,
        splits_from="the file",
    )


@st.cache_data(max_entries=1, show_spinner=False)
def _imported(stamps) -> list[Imported]:
    return list_imported()


@st.cache_resource(max_entries=4, show_spinner="Reading the scores")
def _predictions(reference: str, stamps, _imported: Imported):
    return imported_predictions(_imported)
