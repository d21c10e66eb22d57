"""The boxes of readers in force on a data set, as known findings."""

import pandas as pd

from core.review.boxes import read_boxes
from core.review.database import Store
from core.review.store import verdicts_table

SOURCE = "reader boxes"
COLUMNS = ("image_id", "study_id", "reviewer", "entry_id", "x0", "y0", "x1", "y1")


def reader_boxes(store: Store, dataset: str) -> pd.DataFrame:
    """The boxes of the verdicts in force that read a study as abnormal, one row per box (COLUMNS).

    Corners are shares of the whole radiograph's width and height.
    """
    entries = verdicts_table(store, dataset)
    entries = entries[entries["boxes"].notna() & (entries["read"] == "abnormal")]
    rows = [
        (box.image_id, entry.study_id, entry.reviewer, entry.id, box.x0, box.y0, box.x1, box.y1)
        for entry in entries.itertuples()
        for box in read_boxes(entry.boxes)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(dict.fromkeys(COLUMNS[4:], "float64"))
