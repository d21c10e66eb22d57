"""Cached data of the review pages: the review database, its verdicts, and the cases of a view.

All callers share one object, since copies of 40,000 rows per run would cost more than the rest of a page. Nobody may
change these objects.
"""

import os
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd

from core.data.index import Dataset
from core.data.measure_store import measures_folder, read_measures
from core.errors import OverreadError
from core.paths import home
from core.review.cases import Cases, case_table, indexed_cases, sort_views, studies_by_quality, study_slices
from core.review.label_issues import frame_from_features, out_of_fold_frame, rank_suspects
from core.scores.embeddings import Embeddings, embeddings_files, neighbours, read_embeddings
from core.scores.halves import in_split
from core.scores.source import Source
from core.scores.view import View
from dashboard.shared import loaders
from dashboard.shared.cache import FileStamp, cached_data, cached_resource, stamp

if TYPE_CHECKING:
    from core.review.chain import ChainReport
    from core.review.database import Store
    from core.review.verdict_log import VerdictLog


def store() -> "Store":
    """The review database of this workspace."""
    return _store(os.environ.get("OVERREAD_DATABASE_URL", ""), str(home()))


def verdicts(dataset: str) -> pd.DataFrame:
    """The verdicts in force on a data set. Reads only the entries that are newer than the last call."""
    opened = store()
    return _verdict_log(opened.place, str(opened.inode), dataset).in_force(opened)


def decided(dataset: str, rule: str) -> pd.DataFrame:
    """`decided_labels` of the verdicts in force on a data set; computed again after each write to the database."""
    from core.review.store import latest_sequence

    opened = store()
    return _decided(dataset, rule, opened.place, str(opened.inode), latest_sequence(opened))


@cached_data(max_entries=20)
def _decided(dataset: str, rule: str, place: str, inode: str, sequence: int) -> pd.DataFrame:
    from core.review.label_revisions import decided_labels

    return decided_labels(verdicts(dataset), rule)


def chain_report() -> "ChainReport":
    """Whether the review database is as it was written; checked again after each write to its file."""
    from core.review.store import latest_sequence

    opened = store()
    files = [opened.file, opened.file.with_name(f"{opened.file.name}-wal")] if opened.file else []
    return _chain_report(opened.place, latest_sequence(opened), tuple(stamp(file) for file in files))


def verdicts_on(dataset: str, study: str) -> pd.DataFrame:
    """The verdicts in force on one study, read without those on other studies."""
    from core.review.in_force import with_in_force
    from core.review.store import entries_table

    entries = entries_table(store(), dataset, study_id=study)
    # Most studies have none, and `with_in_force` takes as long on an empty table as on a full one.
    return entries if entries.empty else (table := with_in_force(entries))[table["in_force"]]


def cases(view: View) -> Cases | None:
    """The cases of a split, of all bones, at a threshold; None where the source has not scored the data set yet."""
    try:
        return _cases(view.every_bone)
    except _NotScored:
        return None


def quality_studies(dataset: Dataset, cases: Cases, passes: Callable[[pd.DataFrame], pd.Series]) -> set[str]:
    """`studies_by_quality` of the cases, by the measures that are stored."""
    folder = measures_folder(dataset)
    files = sorted(folder.glob("*.parquet")) if folder.exists() else []
    return studies_by_quality(cases.views, _measures(dataset, tuple(stamp(file) for file in files)), passes)


def study_scores(view: View) -> pd.Series:
    """The score of each study of a split, by study_id; empty where the source has not scored them."""
    try:
        return _scored_views(view.cohort.every_bone)[2].set_index("study_id")["score"]
    except (OverreadError, _NotScored):
        return pd.Series(dtype=float)


def all_studies(view: View) -> Cases:
    """The cases of every split: walkthroughs and label revisions are not limited to one."""
    return _all_studies(replace(view.every_bone, split=""))


@cached_resource(max_entries=4)
def _all_studies(view: View) -> Cases:
    # The studies are the same at every threshold.
    return _every_study(view.cohort).at(view.threshold)


def embeddings(source: Source) -> Embeddings | None:
    """The stored embeddings of a data set by a checkpoint; None where there are none."""
    files = _embedding_stamps(source)
    return _embeddings(source, files) if files else None


def similar_studies(source: Source, study: str) -> pd.DataFrame | None:
    """The ten most similar studies, by one radiograph each; None without embeddings."""
    files = _embedding_stamps(source)
    return _similar(source, files, study) if files and embeddings(source) is not None else None


def suspects(source: Source, by_features: bool, order: str) -> pd.DataFrame | None:
    """Labels that may be wrong, ranked by scores or by features; None where these are missing."""
    if by_features:
        if embeddings(source) is None:
            return None
        frame = _issues_by_features(source, _embedding_stamps(source))
    else:
        if not loaders.is_scored(source):
            return None
        frame = _issues_by_scores(source)
    return rank_suspects(frame, order)


def _embedding_stamps(source: Source) -> tuple[FileStamp, ...]:
    if source.kind != "checkpoint" or source.dataset.kind == "scores":
        return ()
    return tuple(stamp(file) for file in embeddings_files(source))


@cached_resource(max_entries=2)
def _measures(dataset: Dataset, files: tuple[FileStamp, ...]) -> pd.DataFrame:
    return read_measures(dataset).drop(columns="sketch", errors="ignore").dropna()


@cached_resource(max_entries=4)
def _store(url: str, workspace: str) -> "Store":
    # Imported here, since pages that only show studies need no database.
    from core.review import database

    return database.open_store(url)


@cached_resource(max_entries=2)
def _chain_report(place: str, newest: int, files: tuple[FileStamp, ...]) -> "ChainReport":
    from core.workflows.verify_verdicts import verify_verdicts

    return verify_verdicts(store())


@cached_resource(max_entries=8)
def _verdict_log(place: str, inode: str, dataset: str) -> "VerdictLog":
    from core.review.verdict_log import VerdictLog

    return VerdictLog(dataset)


class _NotScored(Exception):
    """Raised inside a cached function, since Streamlit caches a returned None but not an exception."""


@cached_resource(max_entries=6, show_spinner="Reading the scores")
def _scored_views(cohort: View) -> tuple[pd.DataFrame, dict[str, slice], pd.DataFrame]:
    predictions = loaders.predictions(cohort.source, cohort.split)
    if predictions is None:
        raise _NotScored
    files = loaders.index(cohort.dataset)[["image_id", "sha1", "width", "height"]]
    # The index is on the left, since a join keeps the order of its left side.
    views = sort_views(files.merge(predictions[in_split(predictions, cohort.split)], on="image_id"))
    return views, study_slices(views), loaders.studies(cohort)


@cached_resource(max_entries=6)
def _cases(view: View) -> Cases:
    views, slices, studies = _scored_views(view.cohort)
    return Cases(case_table(studies, view.threshold), views, slices)


@cached_resource(max_entries=4, show_spinner="Reading the index")
def _every_study(cohort: View) -> Cases:
    try:
        predictions = loaders.predictions(cohort.source)
    except OverreadError:
        predictions = None
    return indexed_cases(loaders.index(cohort.dataset), predictions, cohort.threshold)


@cached_resource(max_entries=2)
def _embeddings(source: Source, files: tuple[FileStamp, ...]) -> Embeddings | None:
    return read_embeddings(source)


@cached_resource(max_entries=256)
def _similar(source: Source, files: tuple[FileStamp, ...], study: str) -> pd.DataFrame:
    return neighbours(_embeddings(source, files), study)


@cached_resource(max_entries=4, show_spinner="Ranking the labels by scores")
def _issues_by_scores(source: Source) -> pd.DataFrame:
    return out_of_fold_frame(loaders.predictions(source))


@cached_resource(max_entries=4, show_spinner="Ranking the labels by features")
def _issues_by_features(source: Source, files: tuple[FileStamp, ...]) -> pd.DataFrame:
    return frame_from_features(_embeddings(source, files))
