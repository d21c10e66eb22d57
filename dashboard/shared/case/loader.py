"""What the review pages read: the store, its verdicts, and the cases of a split, made once and shared, never copied.

Copies of 40,000 rows a run would cost more than everything else on a page. Nobody may change these objects.
"""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.special import expit

from core.data.index import Dataset
from core.data.measure_store import measures_folder, read_measures
from core.errors import OverreadError
from core.metrics.evaluation import outcome_table
from core.paths import home
from core.review.label_issues import frame_from_features, out_of_fold_frame, rank_suspects
from core.scores.embeddings import Embeddings, embeddings_files, neighbours, read_embeddings
from core.scores.source import Source
from core.scores.view import View
from dashboard.shared import loaders
from dashboard.shared.cache import FileStamp, cached_resource, stamp

if TYPE_CHECKING:
    from core.review.database import Store
    from core.review.verdict_log import VerdictLog


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
        """Studies by their neutral names, which stand in where the study's own name could give the label away."""
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
    """The verdicts in force on a data set; only entries that are new since the last call are read."""
    opened = store()
    return _verdict_log(opened.place, str(opened.inode), dataset).in_force(opened)


def verdicts_on(dataset: str, study: str) -> pd.DataFrame:
    """The verdicts in force on one study, without reading all others."""
    from core.review.store import entries_table, with_in_force

    found = entries_table(store(), dataset, study_id=study)
    # Most studies have none when they are opened, and an empty table takes as long to work out as a full one.
    return found if found.empty else (whole := with_in_force(found))[whole["in_force"]]


def cases(view: View) -> Cases | None:
    """The cases of a split, of all bones, at a threshold; None where the source has not scored the data set yet."""
    try:
        return _cases(view.every_bone)
    except _NotScored:
        return None


def studies_of_quality(dataset: Dataset, cases: Cases, holds: Callable[[pd.DataFrame], pd.Series]) -> set[str]:
    """The studies with a radiograph for which `holds(measures)` is true; files without measures do not count."""
    folder = measures_folder(dataset)
    files = sorted(folder.glob("*.parquet")) if folder.exists() else []
    measured = _measured(dataset, tuple(stamp(file) for file in files))
    rows = cases.views[["study_id", "sha1"]].merge(measured, left_on="sha1", right_index=True)
    return set(rows.loc[holds(rows), "study_id"]) if len(rows) else set()


def scores_of(view: View) -> pd.Series:
    """The score of each study of a split, by study_id; empty where the source has not scored them."""
    try:
        return _views(view.cohort.every_bone)[2].set_index("study_id")["score"]
    except (OverreadError, _NotScored):
        return pd.Series(dtype=float)


def all_studies(view: View) -> Cases:
    """Every study of the index, with its score where there is one: walkthroughs and labels reach beyond a split."""
    return _all_studies(replace(view.every_bone, split=""))


def embeddings(source: Source) -> Embeddings | None:
    """The stored embeddings of a data set by a checkpoint; None where there are none."""
    files = _embedding_stamps(source)
    return _embeddings(source, files) if files else None


def similar_studies(source: Source, study: str) -> pd.DataFrame | None:
    """The ten most similar studies, by one radiograph each; None without embeddings."""
    files = _embedding_stamps(source)
    return _similar(source, files, study) if files and embeddings(source) is not None else None


def suspects(source: Source, by_features: bool, order: str) -> pd.DataFrame | None:
    """Labels that may be wrong, ranked; None without scores, or without the features that are asked for."""
    if by_features:
        if embeddings(source) is None:
            return None
        found = _issues_by_features(source, _embedding_stamps(source))
    else:
        if loaders.predictions(source) is None:
            return None
        found = _issues_by_scores(source)
    return rank_suspects(found, order)


def _embedding_stamps(source: Source) -> tuple[FileStamp, ...]:
    if source.kind != "checkpoint" or source.dataset.kind == "scores":
        return ()
    return tuple(stamp(file) for file in embeddings_files(source.model, source.dataset))


@cached_resource(max_entries=2)
def _measured(dataset: Dataset, files: tuple[FileStamp, ...]) -> pd.DataFrame:
    return read_measures(dataset).drop(columns="sketch", errors="ignore").dropna()


@cached_resource(max_entries=4)
def _store(url: str, workspace: str) -> "Store":
    # Here, since the pages that only show studies need no database.
    from core.review import database

    return database.open_store(url)


@cached_resource(max_entries=8)
def _verdict_log(place: str, inode: str, dataset: str) -> "VerdictLog":
    from core.review.verdict_log import VerdictLog

    return VerdictLog(dataset)


class _NotScored(Exception):
    """Raised inside a cached function, so that the absence is not cached."""


@cached_resource(max_entries=6, show_spinner="Reading the scores")
def _views(cohort: View) -> tuple[pd.DataFrame, dict[str, slice], pd.DataFrame]:
    found = loaders.predictions(cohort.source)
    if found is None:
        raise _NotScored
    rows = found[found["split"] == cohort.split]
    files = loaders.index(cohort.dataset)[["image_id", "sha1", "width", "height"]]
    rows = rows.merge(files, on="image_id").sort_values(
        ["study_id", "logit", "image_id"], ascending=[True, False, True]
    )
    rows = rows.reset_index(drop=True)
    return rows, _places(rows), loaders.studies(cohort)


@cached_resource(max_entries=6)
def _cases(view: View) -> Cases:
    views, places, studies = _views(view.cohort)
    return Cases(
        outcome_table(studies, view.threshold).set_index("study_id", drop=False).rename_axis(None), views, places
    )


@cached_resource(max_entries=4, show_spinner="Reading the index")
def _all_studies(view: View) -> Cases:
    rows = loaders.index(view.dataset)
    try:
        found = loaders.predictions(view.source)
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
    table = outcome_table(table.reset_index(), view.threshold).set_index("study_id", drop=False).rename_axis(None)
    table.loc[table["score"].isna(), "outcome"] = ""
    return Cases(table, rows, _places(rows))


@cached_resource(max_entries=2)
def _embeddings(source: Source, files: tuple[FileStamp, ...]) -> Embeddings | None:
    return read_embeddings(source.model, source.dataset)


@cached_resource(max_entries=256)
def _similar(source: Source, files: tuple[FileStamp, ...], study: str) -> pd.DataFrame:
    return neighbours(_embeddings(source, files), study)


@cached_resource(max_entries=4, show_spinner="Ranking the labels by scores")
def _issues_by_scores(source: Source) -> pd.DataFrame:
    return out_of_fold_frame(loaders.predictions(source))


@cached_resource(max_entries=4, show_spinner="Ranking the labels by features")
def _issues_by_features(source: Source, files: tuple[FileStamp, ...]) -> pd.DataFrame:
    return frame_from_features(_embeddings(source, files))


def _places(rows: pd.DataFrame) -> dict[str, slice]:
    """The rows of each study in a table sorted by study."""
    ids = rows["study_id"].to_numpy()
    starts = np.flatnonzero(np.r_[True, ids[1:] != ids[:-1]]) if len(ids) else np.zeros(0, int)
    ends = np.r_[starts[1:], len(ids)]
    return {ids[start]: slice(int(start), int(end)) for start, end in zip(starts, ends)}
