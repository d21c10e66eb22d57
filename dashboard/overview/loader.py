"""What the overview says of a set, counted once: a million rows take seconds."""

import streamlit as st

from core.data.index import Dataset
from core.models.checkpoint import Checkpoint
from core.scores.imports import Imported
from dashboard.shared import loaders
from dashboard.shared.cache import stamp


def set_facts(dataset: Dataset, source: Checkpoint | Imported | None) -> dict:
    """radiographs, bones, studies, labelled, abnormal (a share of the labelled), patients, unnamed (radiographs without
    one), splits (groups in each, by name), crossing (groups in two splits)."""
    if dataset.kind == "scores":
        return _facts(dataset.name, loaders._score_stamps(dataset, source), dataset, source)
    return _facts(dataset.name, stamp(dataset.folder / "index.parquet"), dataset, None)


@st.cache_data(max_entries=16, show_spinner="Counting")
def _facts(name, stamps, _dataset: Dataset, _source) -> dict:
    rows = loaders.predictions(_dataset, _source) if _source else loaders.index(_dataset.name)
    studies = rows.groupby("study_id", sort=False)["label"].max()
    pairs = rows[["group_id", "split"]].drop_duplicates()
    splits = pairs["split"].value_counts().sort_index()
    return {
        "radiographs": len(rows),
        "bones": rows["bone"].nunique(),
        "studies": len(studies),
        "labelled": int(studies.notna().sum()),
        "abnormal": float(studies.mean()),
        "patients": rows["patient_id"].nunique(),
        "unnamed": int(rows["patient_id"].isna().sum()),
        "splits": {str(split): int(count) for split, count in splits.items()},
        "crossing": int((pairs["group_id"].value_counts() > 1).sum()),
    }
