"""The radiographs of a data set with their measures, for filters and orders. All callers share the tables."""

import numpy as np
import pandas as pd

from core.data.extra_columns import extra_names
from core.data.faults import with_shapes
from core.data.index import Dataset
from core.data.label_levels import IMAGE_LABEL
from core.data.measure_store import measures_folder, read_measures
from core.errors import OverreadError
from core.metrics.groups import Grouping, with_groups
from dashboard.shared import loaders
from dashboard.shared.cache import FileStamp, cached_resource, stamp

# A column with more groups than this is not offered as a filter.
MOST_GROUPS = 40


def radiographs(dataset: Dataset) -> pd.DataFrame:
    """INDEX in its order with the measures that are stored so far and `shape share`; nobody may change it."""
    folder = measures_folder(dataset)
    files = sorted(folder.glob("*.parquet")) if folder.exists() else []
    return _radiographs(dataset, stamp(loaders.index_file(dataset)), tuple(stamp(file) for file in files))


def groups(dataset: Dataset) -> dict[str, pd.Series]:
    """By further column of the index (age, view, ...): the group of each radiograph, as a category of text."""
    return _groups(dataset, stamp(loaders.index_file(dataset)))


@cached_resource(max_entries=4, show_spinner="Reading the radiographs")
def _radiographs(dataset: Dataset, file: FileStamp, measures: tuple[FileStamp, ...]) -> pd.DataFrame:
    index = with_shapes(loaders.index(dataset)).reset_index(drop=True)
    stored = read_measures(dataset).drop(columns="sketch", errors="ignore")
    # A further column of the data set may have the name of a measure.
    stored = stored.drop(columns=[name for name in stored if name in index]).astype(float)
    # Looking up a million names among none takes half a second.
    return index.join(stored, on="sha1") if len(stored) else index.assign(**dict.fromkeys(stored, np.nan))


@cached_resource(max_entries=4)
def _groups(dataset: Dataset, file: FileStamp) -> dict[str, pd.Series]:
    index = loaders.index(dataset).reset_index(drop=True)
    columns = [name for name in ("view", *extra_names(index)) if name != IMAGE_LABEL]
    found = {}
    for name in columns:
        try:
            grouped = with_groups(index[["image_id"]], index[name], Grouping(name))[name]
        except OverreadError:  # a column of ids or of free text
            continue
        words = grouped.cat.rename_categories(str).cat.remove_unused_categories()
        if 2 <= len(words.cat.categories) <= MOST_GROUPS:
            found[name] = words
    return found
