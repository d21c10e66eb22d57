"""Slices of the studies, evaluated once; a threshold is then applied to them at once."""

import pandas as pd

from core.data import measure_store
from core.data.index import Dataset
from core.metrics.subgroups import Slices, by_thirds, by_views, slices_of
from core.paths import cache_folder
from core.scores.halves import in_split
from core.scores.view import View
from dashboard.shared import loaders
from dashboard.shared.cache import FileStamp, cached_resource, stamp
from dashboard.shared.study_tables import tables


def slices(view: View, by: str, measure: str = "") -> Slices | None:
    """Slices by 'bone', 'views', a 'column' of the data set, or the thirds of a measure of the radiographs.

    measure: the name of the measure or column. None where no study has that measure.
    """
    return _slices(view.cohort, by, measure, _measure_stamps(view.dataset) if by == "measure" else ())


def measured(dataset: Dataset) -> pd.DataFrame:
    """The measures of a data set's files so far, by sha1; empty where nothing was measured or there are no files."""
    if dataset.kind == "scores" or not measure_store.available():
        return pd.DataFrame()
    return _measured(dataset, _measure_stamps(dataset))


def _measure_stamps(dataset: Dataset) -> tuple[FileStamp, ...]:
    return tuple(stamp(file) for file in sorted(cache_folder(dataset.name).glob("measures-v*/*.parquet")))


@cached_resource(max_entries=2)
def _measured(dataset: Dataset, files: tuple[FileStamp, ...]) -> pd.DataFrame:
    return measure_store.read_measures(dataset)


@cached_resource(max_entries=8, show_spinner="Evaluating the slices")
def _slices(cohort: View, by: str, measure: str, files: tuple[FileStamp, ...]) -> Slices | None:
    studies = tables(cohort).studies
    if by == "measure":
        cut_up = by_thirds(studies, _mean_by_study(cohort, measure), by)
        return slices_of(cut_up, by) if cut_up[by].notna().any() else None
    if by == "column":
        groups = loaders.study_groups(cohort)[measure].reindex(studies["study_id"])
        return slices_of(studies.assign(**{measure: groups.set_axis(studies.index)}), measure)
    return slices_of(by_views(studies), by) if by == "views" else slices_of(studies, by)


def _mean_by_study(cohort: View, measure: str) -> pd.Series:
    views = loaders.predictions(cohort.source, cohort.split, ("image_id", *loaders.OF_STUDIES))
    views = views.loc[in_split(views, cohort.split), ["image_id", "study_id"]]
    files = loaders.index(cohort.dataset)[["image_id", "sha1"]]
    values = measured(cohort.dataset)[measure]
    known = views.merge(files, on="image_id").assign(value=lambda rows: rows["sha1"].map(values))
    return known.groupby("study_id")["value"].mean()
