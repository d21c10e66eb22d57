"""Whether the split for choosing and the split for verifying share patients. No torch."""

import pandas as pd

from core.data.index import read_dataset
from core.errors import OverreadError
from core.plural import count_text
from core.scores.halves import in_split
from core.scores.imports import imported_predictions
from core.scores.source import Source, source_of
from core.scores.stored_scores import splits_for


def split_rows(source: Source, dataset: str, split: str) -> pd.DataFrame | None:
    """patient_id and group_id of a split's radiographs; None if that data set (`name@hash8`) no longer exists."""
    if source.kind == "imported":
        rows = imported_predictions(source.imported)
        rows = rows[in_split(rows, split)]
    else:
        try:
            described = read_dataset(dataset.rsplit("@", 1)[0])
        except OverreadError:
            return None
        if described.reference != dataset:
            return None
        index = splits_for(source_of(source.checkpoint, described))
        rows = index[in_split(index, split)]
    return rows[["patient_id", "group_id"]] if len(rows) else None


def shared_patients(chosen: pd.DataFrame | None, read: pd.DataFrame) -> int | None:
    """The number of patients (groups, where patients are not named) in both; None where that is not known."""
    if chosen is None:
        return None
    both = pd.Index(chosen["group_id"].unique()).intersection(pd.Index(read["group_id"].unique()))
    # Without names each row is a group of its own, so finding no overlap means nothing.
    named = chosen["patient_id"].notna().all() and read["patient_id"].notna().all()
    return len(both) if len(both) or named else None


def shared_sentence(shared: int | None, total: int, chosen: str, read: str) -> str:
    """The overlap in words; '' if no patient is in both."""
    if shared is None:
        return f"it is not known whether patients of the split {read} are also in {chosen}: not all patients are named"
    if not shared:
        return ""
    verb = "is" if shared == 1 else "are"
    return (
        f"{shared:,} of {count_text(total, 'patient')} of the split {read} {verb} also in {chosen}, on which "
        "the threshold was chosen: the figures may be too good"
    )
