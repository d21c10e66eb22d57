"""The truth of each phantom: the table `truth.parquet`, and masks as run lengths."""

import numpy as np
import pandas as pd

from core.phantom.draw import Drawn
from core.phantom.plan import Radiograph

COLUMNS = (
    "image_id",
    "study",
    "patient",
    "bone",
    "split",
    "true_label",
    "given_label",
    "label_flipped",
    "visible",
    "abnormality",
    "view",
    "x0",
    "y0",
    "x1",
    "y1",
    "mask",
    "contrast",
    "defects",
    "width",
    "height",
)


def encode_mask(mask: np.ndarray) -> str | None:
    """'start length start length ...' of the True runs, counted row by row from 0; None for an empty mask."""
    flat = np.concatenate([[0], mask.ravel().astype(np.int8), [0]])
    edges = np.flatnonzero(np.diff(flat))
    starts, lengths = edges[::2], edges[1::2] - edges[::2]
    return " ".join(f"{start} {length}" for start, length in zip(starts, lengths)) or None


def truth_mask(row) -> np.ndarray:
    """The mask of a row of truth.parquet: bool [height, width], all False if no finding is visible."""
    height, width = int(row["height"]), int(row["width"])
    flat = np.zeros(height * width, dtype=bool)
    if isinstance(row["mask"], str):
        runs = np.array(row["mask"].split(), dtype=np.int64).reshape(-1, 2)
        for start, length in runs:
            flat[start : start + length] = True
    return flat.reshape(height, width)


def truth_row(radiograph: Radiograph, drawn: Drawn) -> dict:
    """One row of truth.parquet. The box is in pixels, its far edges x1 and y1 not included."""
    rows, columns = np.flatnonzero(drawn.mask.any(axis=1)), np.flatnonzero(drawn.mask.any(axis=0))
    visible = len(rows) > 0
    box = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1) if visible else (None,) * 4
    values = (
        radiograph.image_id,
        radiograph.study,
        radiograph.patient,
        radiograph.bone,
        radiograph.split,
        radiograph.true_label,
        radiograph.given_label,
        radiograph.true_label != radiograph.given_label,
        visible,
        radiograph.abnormality,
        radiograph.view,
        *(None if edge is None else int(edge) for edge in box),
        encode_mask(drawn.mask),
        drawn.contrast if visible else 0.0,
        list(radiograph.defects),
        drawn.pixels.shape[1],
        drawn.pixels.shape[0],
    )
    return dict(zip(COLUMNS, values, strict=True))


def truth_table(rows: list[dict]) -> pd.DataFrame:
    """The rows as one frame with fixed types for any values."""
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    whole = dict.fromkeys(("true_label", "given_label", "width", "height"), "int64")
    edges = dict.fromkeys(("x0", "y0", "x1", "y1"), "Int64")
    return frame.astype({**whole, **edges, "label_flipped": bool, "visible": bool})
