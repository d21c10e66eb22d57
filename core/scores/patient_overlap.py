"""Whether the split that something was chosen on and the split it is read on are of different patients. No torch."""

import pandas as pd

from core.data.index import read_dataset, read_index
from core.errors import OverreadError
from core.scores.imports import imported_predictions
from core.scores.predictions import dataset_reference, effective_splits
from core.scores.source import Source


def split_rows(scored: Source, dataset: str, split: str) -> pd.DataFrame | None:
    """patient_id and group_id of a split's radiographs; None where that data set (`name@hash8`) is gone."""
    if scored.kind == "imported":
        rows = imported_predictions(scored.model)
        rows = rows[rows["split"] == split]
    else:
        try:
            described = read_dataset(dataset.rsplit("@", 1)[0])
        except OverreadError:
            return None
        if dataset_reference(described) != dataset:
            return None
        index = read_index(described.name)
        rows = index[effective_splits(index, scored.model) == split]
    return rows[["patient_id", "group_id"]] if len(rows) else None


def shared_patients(chosen: pd.DataFrame | None, read: pd.DataFrame) -> int | None:
    """How many of the patients (groups, where they are not named) stand in both; None where it cannot be known."""
    if chosen is None:
        return None
    both = pd.Index(chosen["group_id"].unique()).intersection(pd.Index(read["group_id"].unique()))
    # Without names every row is a group of its own, and no overlap says nothing.
    named = chosen["patient_id"].notna().all() and read["patient_id"].notna().all()
    return len(both) if len(both) or named else None


def shared_sentence(shared: int | None, total: int, chosen: str, read: str) -> str:
    """What is to be said of it; '' where nobody stands in both."""
    if shared is None:
        return f"whether patients of the split {read} also stand in {chosen} is not known, since not all are named here"
    if not shared:
        return ""
    verb = "stands" if shared == 1 else "stand"
    return (
        f"{shared:,} of {total:,} patients of the split {read} also {verb} in {chosen}, where it was chosen: the "
        "figures may be too good"
    )
