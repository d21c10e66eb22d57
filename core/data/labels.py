"""Label revisions: labels after review, used in place of the given labels, which never change.

One Parquet file per revision. A reference is `NUMBER@HASH`: the revision's number in its data set and the first eight
digits of the SHA-256 of its rows.
"""

import hashlib
import re
from pathlib import Path

import pandas as pd

from core.among import among
from core.data.references import hash_in, name_in
from core.errors import OverreadError, reason_of
from core.parquet_files import read_parquet, write_parquet
from core.paths import checked_name, home

COLUMNS = ("study_id", "given_label", "label", "outcome")


def labels_file(dataset: str, reference: str) -> Path:
    """The file of a revision's labels. OverreadError for an invalid reference."""
    if not re.fullmatch(r"[1-9][0-9]*@[0-9a-f]{8}", reference):
        raise OverreadError(
            f"The label revision is {reference[:40]!r}; expected a reference such as 3@1a2b3c4d. "
            "List them with: python -m core labels list",
            code="revision-reference-invalid",
        )
    number, digest = name_in(reference), hash_in(reference)
    return home() / "labels" / checked_name(dataset) / f"revision{number}-{digest}.parquet"


def labels_hash(table: pd.DataFrame) -> str:
    """Eight hexadecimal digits over the COLUMNS of every row, in any order."""
    rows = table.sort_values("study_id")[list(COLUMNS)]
    lines = [repr(tuple(None if cell != cell else cell for cell in row)) for row in rows.itertuples(index=False)]
    return hashlib.sha256("\n".join(lines).encode(errors="surrogatepass")).hexdigest()[:8]


def write_labels(dataset: str, reference: str, table: pd.DataFrame) -> Path:
    """Write the labels of a revision."""
    rows = table[list(COLUMNS)].reset_index(drop=True)
    return write_parquet(labels_file(dataset, reference), rows, beside=False)  # the reference has the hash of the rows


def read_labels(dataset: str, reference: str) -> pd.DataFrame:
    """COLUMNS, one row per study; label 1, 0, or NaN for an excluded study. OverreadError if the file was altered."""
    file = labels_file(dataset, reference)
    try:
        table = read_parquet(file)
        found = labels_hash(table.astype({"given_label": float, "label": float}))
    except FileNotFoundError:
        raise OverreadError(
            f"No label revision {reference} of {dataset}. List the existing ones with: "
            f"python -m core labels list --data {dataset}",
            code="revision-missing",
        ) from None
    except (OSError, ValueError, KeyError) as error:
        raise OverreadError(
            f"{file} cannot be read ({reason_of(error)}); accept the labels again.",
            code="revision-unreadable",
        ) from error
    if found != hash_in(reference):
        raise OverreadError(
            f"{file} was altered: its rows have the hash {found}, not that of {reference}. Accept the labels again.",
            code="revision-altered",
        )
    return table


def relabelled(frame: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
    """Rows of an INDEX, PREDICTIONS or STUDIES with the labels of a revision; `label_given` has the given ones."""
    new = labels.set_index("study_id")["label"].astype(float)
    named = among(frame["study_id"], new.index)
    return frame.assign(
        label_given=frame["label"], label=frame["label"].where(~named, frame["study_id"].map(new)).astype(float)
    )
