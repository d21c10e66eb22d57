"""What the review pages read: the store, its verdicts, and the cases of a split, made once and shared, never copied.

`cache_resource`, since copies of 40,000 rows a run would cost more than all else on a page. Nobody may change what
these return.
"""

import hashlib
import os
import threading
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st
from scipy.special import expit

from core.data.index import Dataset
from core.data.measure_store import measures_folder, read_measures
from core.errors import OverreadError
from core.metrics.evaluation import outcome_table
from core.models.checkpoint import Checkpoint
from core.paths import home
from core.review.label_issues import frame_from_features, out_of_fold_frame, rank_suspects
from core.scores.embeddings import Embeddings, embeddings_files, neighbours, read_embeddings
from core.scores.imports import Imported
from dashboard.shared import loaders
from dashboard.shared.cache import stamp

if TYPE_CHECKING:
    from core.review.database import Store


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


def store() -> "Store":
    """The review database of this workspace."""
    return _store(os.environ.get("OVERREAD_DATABASE_URL", ""), str(home()))


def verdicts(dataset: str) -> pd.DataFrame:
    """The verdicts in force on a data set; once anybody has entered something, what is new is read and added."""
    opened = store()
    return _kept_entries(opened.place, str(opened.inode), dataset).in_force(opened)


def said_of(dataset: str, study: str) -> pd.DataFrame:
    """The verdicts in force on one study, without reading all others."""
    from core.review.store import entries_table, with_in_force

    found = entries_table(store(), dataset, study_id=study)
    # Most studies have none when they are opened, and an empty table takes as long to work out as a full one.
    return found if found.empty else (whole := with_in_force(found))[whole["in_force"]]


class _Entries:
    """Every entry on a data set as far as it was read, shared; reading goes on where it ended."""

    def __init__(self, dataset: str):
        self.dataset, self.lock, self.upto = dataset, threading.Lock(), 0
        self.entries = self.current = None

    def in_force(self, opened: "Store") -> pd.DataFrame:
        from core.review.store import entries_table, latest_sequence, with_in_force

        with self.lock:
            newest = latest_sequence(opened)
            if self.current is None or newest != self.upto:
                known = self.upto if self.entries is not None and newest > self.upto else 0
                more = entries_table(opened, self.dataset, after=known, upto=newest)
                self.entries = pd.concat([self.entries, more], ignore_index=True) if known else more
                table = with_in_force(self.entries)
                self.current, self.upto = table[table["in_force"]].reset_index(drop=True), newest
            return self.current


def cases(dataset: Dataset, source: Checkpoint | Imported, split: str, threshold: float) -> Cases | None:
    """The cases of a split at a threshold; None where the source has not scored the data set yet."""
    key = (dataset.name, dataset.index_hash, source.reference, loaders._score_stamps(dataset, source), split)
    try:
        views, places, studies = _views(*key, dataset, source)
    except _NotScored:
        return None
    return _cases(*key, threshold, views, places, studies)


def of_quality(dataset: Dataset, cases: Cases, name: str, holds) -> set[str]:
    """The studies with a radiograph of which `holds(measures)` is true; what was not measured does not count."""
    folder = measures_folder(dataset)
    files = sorted(folder.glob("*.parquet")) if folder.exists() else []
    measured = _measured(dataset.name, tuple(stamp(file) for file in files), dataset)
    rows = cases.views[["study_id", "sha1"]].merge(measured, left_on="sha1", right_index=True)
    return set(rows.loc[holds(rows), "study_id"]) if len(rows) else set()


def scores_of(dataset: Dataset, source: Checkpoint | Imported, split: str) -> pd.Series:
    """The score of each study by another model, by study_id; empty where it has not scored them."""
    key = (dataset.name, dataset.index_hash, source.reference, loaders._score_stamps(dataset, source), split)
    try:
        return _views(*key, dataset, source)[2].set_index("study_id")["score"]
    except (OverreadError, _NotScored):
        return pd.Series(dtype=float)


def everything(dataset: Dataset, source: Checkpoint | Imported | None, threshold: float) -> Cases:
    """Every study of the index, with its score where there is one: walkthroughs and labels reach beyond a split."""
    reference, stamps = (source.reference, loaders._score_stamps(dataset, source)) if source else ("", ())
    return _everything(dataset.name, dataset.index_hash, reference, stamps, threshold, dataset, source)


def embeddings(dataset: Dataset, source: Checkpoint | Imported) -> Embeddings | None:
    """The kept embeddings of a data set by a checkpoint; None where there are none."""
    if isinstance(source, Imported) or dataset.kind == "scores":
        return None
    vectors, rows = embeddings_files(source, dataset)
    return _embeddings(stamp(vectors), stamp(rows), source, dataset)


def alike(dataset: Dataset, source: Checkpoint | Imported, study: str) -> pd.DataFrame | None:
    """The ten most similar studies, by one radiograph each; None without embeddings."""
    found = embeddings(dataset, source)
    if found is None:
        return None
    return _alike(tuple(stamp(file) for file in embeddings_files(source, dataset)), study, found)


def suspects(dataset: Dataset, source: Checkpoint | Imported, by_features: bool, order: str) -> pd.DataFrame | None:
    """Labels that may be wrong, ranked; None without scores, or without the features that are asked for."""
    found = embeddings(dataset, source) if by_features else loaders.predictions(dataset, source)
    if found is None:
        return None
    stamps = loaders._score_stamps(dataset, source)
    if by_features:
        stamps = tuple(stamp(file) for file in embeddings_files(source, dataset))
    return rank_suspects(
        _out_of_fold(dataset.name, dataset.index_hash, source.reference, stamps, by_features, found), order
    )


@st.cache_resource(max_entries=2, show_spinner=False)
def _measured(name: str, stamps, _dataset: Dataset) -> pd.DataFrame:
    return read_measures(_dataset).drop(columns="sketch", errors="ignore").dropna()


@st.cache_resource(max_entries=4, show_spinner=False)
def _store(url: str, place: str) -> "Store":
    # Here, since the pages that only show studies need no database.
    from core.review import database

    return database.open_store(url)


@st.cache_resource(max_entries=8, show_spinner=False)
def _kept_entries(place: str, inode: str, dataset: str) -> _Entries:
    return _Entries(dataset)


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
    return rows, _places(rows), loaders.studies(_dataset, _source, split)


@st.cache_resource(max_entries=6, show_spinner=False)
def _cases(name, index_hash, reference, stamps, split: str, threshold: float, _views, _places, _studies) -> Cases:
    return Cases(
        outcome_table(_studies, threshold).set_index("study_id", drop=False).rename_axis(None), _views, _places
    )


@st.cache_resource(max_entries=4, show_spinner="Reading the index")
def _everything(name, index_hash, reference, stamps, threshold: float, _dataset, _source) -> Cases:
    rows = loaders.index(_dataset.name)
    try:
        found = loaders.predictions(_dataset, _source) if _source else None
    except OverreadError:
        found = None
    logits = pd.Series(dtype=float) if found is None else found.set_index("image_id")["logit"]
    rows["logit"] = logits.reindex(rows["image_id"]).to_numpy(float)
    rows = rows.sort_values(["study_id", "logit", "image_id"], ascending=[True, False, True]).reset_index(drop=True)
    rows["score"] = expit(rows["logit"])
    by_study = rows.groupby("study_id", sort=False)
    table = by_study[["patient_id", "group_id", "bone", "split"]].first()
    # A mean over some of a study's radiographs would not be its score.
    table["score"] = by_study["score"].mean().where(by_study["logit"].count() == by_study.size())
    low, high = by_study["label"].min(), by_study["label"].max()
    table["label"], table["n_views"] = high.where(low == high), by_study.size()
    table = outcome_table(table.reset_index(), threshold).set_index("study_id", drop=False).rename_axis(None)
    table.loc[table["score"].isna(), "outcome"] = ""
    return Cases(table, rows, _places(rows))


@st.cache_resource(max_entries=2, show_spinner=False)
def _embeddings(vectors, rows, _source, _dataset) -> Embeddings | None:
    return read_embeddings(_source, _dataset)


@st.cache_resource(max_entries=256, show_spinner=False)
def _alike(stamps, study: str, _found: Embeddings) -> pd.DataFrame:
    return neighbours(_found, study)


def _places(rows: pd.DataFrame) -> dict[str, slice]:
    """Where each study's radiographs lie in rows sorted by study."""
    ids = rows["study_id"].to_numpy()
    starts = np.flatnonzero(np.r_[True, ids[1:] != ids[:-1]]) if len(ids) else np.zeros(0, int)
    ends = np.r_[starts[1:], len(ids)]
    return {ids[start]: slice(int(start), int(end)) for start, end in zip(starts, ends)}


@st.cache_resource(max_entries=4, show_spinner="Scoring what was not learned from")
def _out_of_fold(name, index_hash, reference, stamps, by_features: bool, _found) -> pd.DataFrame:
    return frame_from_features(_found) if by_features else out_of_fold_frame(_found)
