"""What the bones page reads: the studies cut into slices and judged once, asked at any threshold in no time."""

import pandas as pd
import streamlit as st

from core.data import measure_store
from core.data.index import Dataset
from core.metrics.subgroups import Slices, by_thirds, by_views, slices_of
from core.models.checkpoint import Checkpoint
from core.paths import cache_folder
from core.scores.imports import Imported
from dashboard.shared import loaders
from dashboard.shared.cache import stamp
from dashboard.shared.study_tables import _key, tables


def cut(
    dataset: Dataset, source: Checkpoint | Imported, split: str, bone: str, by: str, measure: str = ""
) -> Slices | None:
    """Slices by 'bone', 'views' or the thirds of a measure of the radiographs; None where no study has that measure."""
    stamps = _measure_stamps(dataset) if by == "measure" else ()
    return _cut(*_key(dataset, source), stamps, split, bone, by, measure, dataset, source)


def measured(dataset: Dataset) -> pd.DataFrame:
    """The measures of a data set's files so far, by sha1; empty where nothing was measured or there are no files."""
    if dataset.kind == "scores" or not measure_store.available():
        return pd.DataFrame()
    return _measured(dataset.name, dataset.index_hash, _measure_stamps(dataset), dataset)


def _measure_stamps(dataset: Dataset) -> tuple:
    return tuple(stamp(file) for file in sorted(cache_folder(dataset.name).glob("measures-v*/*.parquet")))


@st.cache_resource(max_entries=2, show_spinner=False)
def _measured(name, index_hash, stamps, _dataset) -> pd.DataFrame:
    return measure_store.read_measures(_dataset)


@st.cache_resource(max_entries=8, show_spinner="Cutting into slices")
def _cut(dataset_name, index_hash, reference, stamps, measures, split, bone, by, measure, _dataset, _source):
    studies = tables(_dataset, _source, split, bone).studies
    if by == "measure":
        values = _by_study(_dataset, _source, split, measure)
        cut_up = by_thirds(studies, values, by)
        return slices_of(cut_up, by) if cut_up[by].notna().any() else None
    return slices_of(by_views(studies), by) if by == "views" else slices_of(studies, by)


def _by_study(dataset: Dataset, source, split: str, measure: str) -> pd.Series:
    """The mean of a measure over each study's radiographs."""
    views = loaders.predictions(dataset, source)
    views = views.loc[views["split"] == split, ["image_id", "study_id"]]
    files = loaders.index(dataset.name)[["image_id", "sha1"]]
    known = views.merge(files, on="image_id").assign(value=lambda rows: rows["sha1"].map(measured(dataset)[measure]))
    return known.groupby("study_id")["value"].mean()
