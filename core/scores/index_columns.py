"""The further columns of an index (age, cast, image_label, ...) beside scores that belong to it."""

import pandas as pd

from core.among import among
from core.data.extra_columns import extra_names
from core.data.index import read_dataset
from core.data.index_stream import open_index
from core.data.label_levels import IMAGE_LABEL, known_image_labels
from core.errors import OverreadError
from core.metrics.evaluation import group_rows
from core.metrics.groups import shared_values
from core.metrics.studies import study_table


def with_index_columns(predictions: pd.DataFrame) -> pd.DataFrame:
    """PREDICTIONS with the further columns of their index, matched by image_id; columns of their own are kept.

    They are unchanged where that index does not exist or was replaced.
    """
    frame = predictions
    name, _, digits = str(frame["dataset"].iloc[0]).rpartition("@") if len(frame) else ("", "", "")
    try:
        stream = open_index(read_dataset(name)) if name and read_dataset(name).index_hash[:8] == digits else None
    except OverreadError:
        stream = None
    names = extra_names(pd.DataFrame(columns=stream.columns)) if stream else []
    more = [column for column in names if column not in frame]
    if stream and more:
        wanted = set(frame["image_id"])
        # In parts, since the scores may be a small part of a large index.
        parts = [part[among(part["image_id"], wanted)] for part in stream.parts(["image_id", *more])]
        rows = pd.concat(parts).drop_duplicates("image_id").set_index("image_id")[more].reindex(frame["image_id"])
        frame = pd.concat([frame, rows.set_axis(frame.index)], axis=1)
    return frame


def with_image_labels(predictions: pd.DataFrame) -> pd.DataFrame:
    """The predictions with `image_label` as 1, 0 or NaN, if they have that column. OverreadError for other values."""
    if IMAGE_LABEL not in predictions:
        return predictions
    return predictions.assign(**{IMAGE_LABEL: known_image_labels(predictions[IMAGE_LABEL])})


def study_columns(rows: pd.DataFrame) -> pd.DataFrame:
    """The further columns of an INDEX or PREDICTIONS by study_id: the value that a study's radiographs share."""
    names = [name for name in extra_names(rows) if name != IMAGE_LABEL]
    studies = pd.Index(rows["study_id"].unique(), name="study_id")
    return pd.DataFrame({name: shared_values(rows, name).reindex(studies) for name in names}, index=studies)


def study_groups(predictions: pd.DataFrame, most: int = 20) -> pd.DataFrame:
    """The groups of each study, by study_id, for every further column that has 2 to `most` groups."""
    frame = with_index_columns(predictions)
    studies, found = study_table(predictions), {}
    for name in extra_names(frame):
        if name == IMAGE_LABEL:
            continue
        try:
            groups = group_rows(studies, frame, name)[0][name]
        except OverreadError:  # too many groups
            continue
        if 2 <= groups.nunique() <= most:
            found[name] = groups
    return pd.DataFrame(found, index=studies.index).set_axis(studies["study_id"], axis=0)
