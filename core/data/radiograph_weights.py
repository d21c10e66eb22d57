"""Weights of radiographs in the loss of a training, such as lower ones for labels that may be wrong.

One Parquet file per list. A reference is `NAME@HASH`: the name of the list and the first eight digits of the SHA-256 of
its rows, so that a recipe which names it cannot mean another list.
"""

import hashlib
import re
from pathlib import Path

import numpy as np
import pandas as pd

from core.among import among
from core.data.references import hash_in, name_in
from core.errors import OverreadError, reason_of
from core.parquet_files import read_parquet, write_parquet
from core.paths import checked_name, home
from core.plural import count_text

FOLDER = "radiograph_weights"
COLUMNS = ("image_id", "weight")


def weights_file(dataset: str, reference: str) -> Path:
    """The file of a list of weights. OverreadError for an invalid reference."""
    if not re.fullmatch(r"[^@]+@[0-9a-f]{8}", reference):
        raise OverreadError(
            f"The weights of radiographs are {reference[:40]!r}; expected a reference such as doubts@1a2b3c4d, as "
            "`python -m core label-audit --weights NAME` prints it.",
            code="weights-reference-invalid",
        )
    name = checked_name(name_in(reference))
    return home() / FOLDER / checked_name(dataset) / f"{name}-{hash_in(reference)}.parquet"


def weights_hash(table: pd.DataFrame) -> str:
    """Eight hexadecimal digits over the rows, in any order."""
    lines = sorted(f"{image_id!r} {float(weight)!r}" for image_id, weight in zip(table["image_id"], table["weight"]))
    return hashlib.sha256("\n".join(lines).encode(errors="surrogatepass")).hexdigest()[:8]


def write_weights(dataset: str, name: str, table: pd.DataFrame) -> str:
    """Store the weights (COLUMNS) of a data set's radiographs, and return their reference.

    Radiographs that are not listed have weight 1. OverreadError for a negative weight or one that is not a number.
    """
    rows = table[list(COLUMNS)].astype({"weight": float}).reset_index(drop=True)
    bad = ~(rows["weight"].to_numpy() >= 0) | np.isinf(rows["weight"].to_numpy())
    if bad.any() or rows["image_id"].duplicated().any():
        raise OverreadError(
            f"{count_text(int(bad.sum()), 'weight')} of {count_text(len(rows), 'radiograph')} are negative or no "
            f"numbers, and {int(rows['image_id'].duplicated().sum())} of the radiographs are repeated; expected one "
            "weight of at least 0 for each.",
            code="weights-invalid",
        )
    reference = f"{checked_name(name)}@{weights_hash(rows)}"
    write_parquet(weights_file(dataset, reference), rows)
    return reference


def read_weights(dataset: str, reference: str) -> pd.Series:
    """The weights of a list by image_id. OverreadError where there is none, or where it was altered."""
    file = weights_file(dataset, reference)
    try:
        table = read_parquet(file)
        found = weights_hash(table)
    except FileNotFoundError:
        raise OverreadError(
            f"{dataset} has no weights of radiographs {reference} (found: "
            f"{', '.join(weight_references(dataset)) or 'none'}). Store them with: python -m core label-audit NAME "
            f"--data {dataset} --weights {name_in(reference)}",
            code="weights-missing",
        ) from None
    except (OSError, ValueError, KeyError) as error:
        raise OverreadError(
            f"{file} cannot be read ({reason_of(error)}); store the weights again.", code="weights-unreadable"
        ) from error
    if found != hash_in(reference):
        raise OverreadError(
            f"{file} was altered: its rows have the hash {found}, not that of {reference}. Store the weights again.",
            code="weights-altered",
        )
    return table.set_index("image_id")["weight"].astype(float)


def weight_references(dataset: str) -> list[str]:
    """The references of all lists of a data set, by name."""
    files = sorted((home() / FOLDER / checked_name(dataset)).glob("*-*.parquet"))
    return ["@".join(file.stem.rsplit("-", 1)) for file in files]


def weigh_radiographs(rows: pd.DataFrame, dataset: str, reference: str) -> pd.DataFrame:
    """The rows of an index with the column `weight`, from a stored list; those of weight 0 are left out.

    OverreadError where the list names none of the rows.
    """
    weights = read_weights(dataset, reference)
    if not among(rows["image_id"], weights.index).any():
        raise OverreadError(
            f"{reference} has weights of {count_text(len(weights), 'radiograph')}, and none of them is among the "
            f"{count_text(len(rows), 'radiograph')} to learn from. Store weights of this data set, by scores of "
            "a network that was trained with --folds.",
            code="weights-of-other-data",
        )
    rows = rows.assign(weight=rows["image_id"].map(weights).fillna(1.0).to_numpy(float))
    return rows[rows["weight"] > 0]
