"""Labels after review: a revision lies over the given labels, which stay as they are. One Parquet file a revision.

A reference is `NUMBER@HASH`: the number in its data set, and the first eight digits of the SHA-256 of its rows.
"""

import hashlib
import re
from pathlib import Path

import pandas as pd

from core.errors import OverreadError
from core.paths import checked_name, home, write_atomically

COLUMNS = ("study_id", "given_label", "label", "outcome")


def labels_file(dataset: str, reference: str) -> Path:
    """Where a revision's labels lie."""
    if not re.fullmatch(r"[1-9][0-9]*@[0-9a-f]{8}", reference):
        raise OverreadError(
            f"The label revision is {reference[:40]!r}; expected one as in 3@1a2b3c4d. "
            "`python -m core labels list` names them."
        )
    number, digest = reference.split("@")
    return home() / "labels" / checked_name(dataset) / f"revision{number}-{digest}.parquet"


def labels_hash(table: pd.DataFrame) -> str:
    """Of what is said of each study, whatever the order of the rows."""
    rows = table.sort_values("study_id")[list(COLUMNS)]
    lines = [repr(tuple(None if cell != cell else cell for cell in row)) for row in rows.itertuples(index=False)]
    return hashlib.sha256("\n".join(lines).encode(errors="surrogatepass")).hexdigest()[:8]


def write_labels(dataset: str, reference: str, table: pd.DataFrame) -> Path:
    """Keep the labels of a revision."""
    rows = table[list(COLUMNS)].reset_index(drop=True)
    return write_atomically(labels_file(dataset, reference), lambda path: rows.to_parquet(path, index=False))


def read_labels(dataset: str, reference: str) -> pd.DataFrame:
    """COLUMNS, one row a study: label 1, 0, or NaN for a study that is left out. OverreadError where it was altered."""
    file = labels_file(dataset, reference)
    try:
        table = pd.read_parquet(file)
        found = labels_hash(table.astype({"given_label": float, "label": float}))
    except FileNotFoundError:
        raise OverreadError(
            f"There is no label revision {reference} of {dataset} here; `python -m core labels list --data {dataset}` "
            "names those there are."
        ) from None
    except (OSError, ValueError, KeyError) as error:
        raise OverreadError(
            f"{file} cannot be read ({str(error).splitlines()[0][:100]}); make the revision again."
        ) from error
    if found != reference.split("@")[1]:
        raise OverreadError(f"{file} was altered: it holds {found}, not {reference}; make the revision again.")
    return table


def relabelled(frame: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
    """Rows of an Index, PREDICTIONS or STUDIES with the labels of a revision; `label_given` keeps the given ones."""
    new = labels.set_index("study_id")["label"].astype(float)
    named = frame["study_id"].isin(new.index)
    return frame.assign(
        label_given=frame["label"], label=frame["label"].where(~named, frame["study_id"].map(new)).astype(float)
    )
