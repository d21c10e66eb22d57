"""The further columns of an index (age, cast, image_label, ...) beside scores that belong to it."""

import pandas as pd

from core.data.extra_columns import extra_names
from core.data.index import read_dataset, read_index
from core.data.label_levels import IMAGE_LABEL, known_image_labels
from core.errors import OverreadError


def with_index_columns(predictions: pd.DataFrame) -> pd.DataFrame:
    """PREDICTIONS with the further columns of their index, matched by image_id; columns of their own are kept.

    They are unchanged where that index does not exist or was replaced.
    """
    frame = predictions
    name, _, digits = str(frame["dataset"].iloc[0]).rpartition("@") if len(frame) else ("", "", "")
    try:
        index = read_index(name) if name and read_dataset(name).index_hash[:8] == digits else None
    except OverreadError:
        index = None
    if index is not None:
        more = [column for column in extra_names(index) if column not in frame]
        rows = index.drop_duplicates("image_id").set_index("image_id")[more].reindex(frame["image_id"])
        frame = pd.concat([frame, rows.set_axis(frame.index)], axis=1)
    return frame


def with_image_labels(predictions: pd.DataFrame) -> pd.DataFrame:
    """The predictions with `image_label` as 1, 0 or NaN, if they have that column. OverreadError for other values."""
    if IMAGE_LABEL not in predictions:
        return predictions
    return predictions.assign(**{IMAGE_LABEL: known_image_labels(predictions[IMAGE_LABEL])})
