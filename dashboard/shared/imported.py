"""Imported scores as pages see them: a model of the data set they were matched to, else a data set of scores only."""

import pandas as pd

from core.data.index import Dataset, list_datasets
from core.paths import home
from core.scores.imports import DESCRIPTION, ImportedScores, imported_predictions, list_imported
from core.scores.source import Source
from dashboard.shared.cache import FileStamp, cached_data, cached_resource, looked_up_once, stamp

ONLY = " (scores only)"


@looked_up_once
def imported_sets() -> dict[str, ImportedScores]:
    """Every imported set by name."""
    return {found.name: found for found in _imported(tuple(stamp(file) for file in _descriptions()))}


@looked_up_once
def scores_only() -> dict[str, Dataset]:
    """The imported sets without radiographs, as data sets, by the name that the selector shows.

    They include sets whose data set was indexed again since: the rows they were matched to are gone.
    """
    indexed = {dataset.reference for dataset in list_datasets()}
    return {
        f"{name}{ONLY}": _as_dataset(found) for name, found in imported_sets().items() if found.dataset not in indexed
    }


def imported_models(dataset: Dataset) -> dict[str, ImportedScores]:
    """The imported sets that belong to a data set, by name."""
    if dataset.kind == "scores":
        name = dataset.name.removesuffix(ONLY)
        return {name: imported_sets()[name]}
    return {name: found for name, found in imported_sets().items() if found.dataset == dataset.reference}


@cached_resource(max_entries=4, show_spinner="Reading the scores")
def imported_scores(source: Source) -> pd.DataFrame:
    """PREDICTIONS of an imported set. Shared: nobody may change it."""
    return imported_predictions(source.imported)


def _descriptions():
    return sorted((home() / "imported").glob(f"*/{DESCRIPTION}"))


def _as_dataset(found: ImportedScores) -> Dataset:
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


@cached_data(max_entries=1)
def _imported(descriptions: tuple[FileStamp, ...]) -> list[ImportedScores]:
    return list_imported()
