"""Whether the split for choosing and the split for verifying share patients. No torch."""

import pandas as pd

from core.data.index import read_dataset
from core.data.references import may_share_studies, name_in, same_content
from core.errors import OverreadError
from core.plural import count_text
from core.scores.halves import DataSplit, in_split
from core.scores.imports import imported_predictions
from core.scores.source import Source, source_of
from core.scores.stored_scores import splits_for


def rows_of_split(source: Source, on: DataSplit) -> pd.DataFrame | None:
    """patient_id and group_id of a split's radiographs; None if that data set no longer exists."""
    if source.kind == "imported":
        rows = imported_predictions(source.imported)
        rows = rows[in_split(rows, on.split)]
    else:
        try:
            described = read_dataset(name_in(on.dataset))
        except OverreadError:
            return None
        if described.reference != on.dataset:
            return None
        index = splits_for(source_of(source.checkpoint, described))
        rows = index[in_split(index, on.split)]
    return rows[["patient_id", "group_id"]] if len(rows) else None


def shared_patients(chosen: pd.DataFrame | None, read: pd.DataFrame) -> int | None:
    """The number of patients (groups, where patients are not named) in both; None where that is not known."""
    if chosen is None:
        return None
    both = pd.Index(chosen["group_id"].unique()).intersection(pd.Index(read["group_id"].unique()))
    # Without names each row is a group of its own, so finding no overlap means nothing.
    named = chosen["patient_id"].notna().all() and read["patient_id"].notna().all()
    return len(both) if len(both) or named else None


def shared_sentence(shared: int | None, total: int, chosen: DataSplit, read: DataSplit) -> str:
    """The overlap in words; '' if no patient is in both. total: patients of the split that is read."""
    if shared is None:
        if not may_share_studies(chosen.dataset, read.dataset):
            why = f"{name_in(chosen.dataset)} is another data set"
        elif not same_content(chosen.dataset, read.dataset):
            why = f"the index has changed from {chosen.dataset} to {read.dataset} since the threshold was chosen"
        else:
            why = "not all patients are named"
        return f"it is not known whether patients of the split {read.split} are also in {chosen.split}: {why}"
    if not shared:
        return ""
    verb = "is" if shared == 1 else "are"
    return (
        f"{shared:,} of {count_text(total, 'patient')} of the split {read.split} {verb} also in {chosen.split}, on "
        "which the threshold was chosen: the figures may be too good"
    )
