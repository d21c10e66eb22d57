"""What the review pages read: the store, its verdicts, and the cases of a split, made once and shared, never copied.

`cache_resource`, since copies of 40,000 rows a run would cost more than all else on a page. Nobody may change what
these return.
"""

import hashlib
import os
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import streamlit as st

from core.data.index import Dataset, read_dataset
from core.errors import OverreadError
from core.inference.embeddings import Embeddings, embeddings_files, neighbours, read_embeddings
from core.inference.imported import Imported
from core.metrics.evaluation import outcome_table
from core.models.checkpoint import Checkpoint
from core.paths import home
from core.review.database import Store, open_store
from core.review.store import latest_sequence, verdicts_table
from dashboard import loaders
from dashboard.loaders.files import stamp


@dataclass(frozen=True)
class Cases:
    """The scored studies of a split. table: STUDIES with outcome and margin, by study_id; views: its radiographs."""

    table: pd.DataFrame
    views: pd.DataFrame  # PREDICTIONS with sha1, width and height, the radiographs of a study together
    places: dict[str, slice]

    def views_of(self, study: str) -> pd.DataFrame:
        """The radiographs of a study, the highest score first."""
        return self.views.iloc[self.places.get(study, slice(0, 0))]

    @cached_property
    def by_token(self) -> dict[str, str]:
        """Studies by the name they carry where their own could give the label away."""
        return {token(study): study for study in self.table.index}

    @cached_property
    def by_patient(self) -> dict[str, list[str]]:
        """The studies of each known patient."""
        known = self.table.dropna(subset="patient_id")
        return known.groupby("patient_id")["study_id"].agg(list).to_dict()


def token(study: str) -> str:
    """A study's name in blind mode: paths and ids may hold the label."""
    return f"case-{hashlib.sha256(study.encode(errors='surrogatepass')).hexdigest()[:12]}"


def store() -> Store:
    """The review database of this workspace."""
    return _store(os.environ.get("OVERREAD_DATABASE_URL", ""), str(home()))


def verdicts(dataset: str) -> pd.DataFrame:
    """The verdicts in force on a data set; read again once anybody has entered something."""
    opened = store()
    return _verdicts(opened.place, dataset, latest_sequence(opened), opened)


def cases(dataset: Dataset, source: Checkpoint | Imported, split: str, threshold: float) -> Cases | None:
    """The cases of a split at a threshold; None where the source has not scored the data set yet."""
    key = (dataset.name, dataset.index_hash, source.reference, loaders._score_stamps(dataset, source), split)
    try:
        views, places, studies = _views(*key, dataset, source)
    except _NotScored:
        return None
    return _cases(*key, threshold, views, places, studies)


def scores_of(dataset: Dataset, source: Checkpoint | Imported, split: str) -> pd.Series:
    """The score of each study by another model, by study_id; empty where it has not scored them."""
    key = (dataset.name, dataset.index_hash, source.reference, loaders._score_stamps(dataset, source), split)
    try:
        return _views(*key, dataset, source)[2].set_index("study_id")["score"]
    except (OverreadError, _NotScored):
        return pd.Series(dtype=float)


def embeddings(dataset: Dataset, source: Checkpoint | Imported) -> Embeddings | None:
    """The kept embeddings of a data set by a checkpoint; None where there are none."""
    if isinstance(source, Imported) or dataset.kind == "scores":
        return None
    vectors, rows = embeddings_files(source, dataset)
    return _embeddings(stamp(vectors), stamp(rows), source, dataset)


def alike(dataset: Dataset, source: Checkpoint | Imported, study: str) -> pd.DataFrame | None:
    """The ten most similar studies, with path and sha1 of one radiograph each; None without embeddings."""
    found = embeddings(dataset, source)
    if found is None:
        return None
    return _alike(tuple(stamp(file) for file in embeddings_files(source, dataset)), study, found, dataset)


@st.cache_resource(max_entries=4, show_spinner=False)
def _store(url: str, place: str) -> Store:
    return open_store(url)


@st.cache_resource(max_entries=8, show_spinner=False)
def _verdicts(place: str, dataset: str, sequence: int, _store: Store) -> pd.DataFrame:
    return verdicts_table(_store, dataset)


class _NotScored(Exception):
    """Raised inside a cached function, so that the absence is not kept."""


@st.cache_resource(max_entries=6, show_spinner="Reading the scores")
def _views(name: str, index_hash: str, reference: str, stamps, split: str, _dataset: Dataset, _source):
    found = loaders.predictions(_dataset, _source)
    if found is None:
        raise _NotScored
    rows = found[found["split"] == split]
    files = loaders.index(_dataset.name)[["image_id", "sha1", "width", "height"]]
    rows = rows.merge(files, on="image_id").sort_values(
        ["study_id", "logit", "image_id"], ascending=[True, False, True]
    )
    rows = rows.reset_index(drop=True)
    ids = rows["study_id"].to_numpy()
    starts = np.flatnonzero(np.r_[True, ids[1:] != ids[:-1]]) if len(ids) else np.zeros(0, int)
    ends = np.r_[starts[1:], len(ids)]
    places = {ids[start]: slice(int(start), int(end)) for start, end in zip(starts, ends)}
    return rows, places, loaders.studies(_dataset, _source, split)


@st.cache_resource(max_entries=6, show_spinner=False)
def _cases(name, index_hash, reference, stamps, split: str, threshold: float, _views, _places, _studies) -> Cases:
    return Cases(
        outcome_table(_studies, threshold).set_index("study_id", drop=False).rename_axis(None), _views, _places
    )


@st.cache_resource(max_entries=2, show_spinner=False)
def _embeddings(vectors, rows, _source, _dataset) -> Embeddings | None:
    return read_embeddings(_source, _dataset)


@st.cache_data(max_entries=256, show_spinner=False)
def _alike(stamps, study: str, _found: Embeddings, _dataset: Dataset) -> pd.DataFrame:
    files = loaders.index(read_dataset(_dataset.name).name)[["image_id", "path", "sha1"]]
    return neighbours(_found, study).merge(files, on="image_id", how="left")
