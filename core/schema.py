"""The tables that modules exchange: their columns, the values allowed, and the function that checks a table."""

from dataclasses import dataclass

import pandas as pd

from core.errors import OverreadError
from core.ordered import all_differ
from core.plural import count_text

MURA_BONES = ("finger", "hand", "wrist", "forearm", "elbow", "humerus", "shoulder")


@dataclass(frozen=True)
class Column:
    """A column: kind ('text', 'number' or 'whole'), whether cells may be empty, and the allowed values (() for all)."""

    kind: str
    nullable: bool = False
    allowed: tuple = ()
    unique: bool = False


TEXT = Column("text")
INDEX = {
    "image_id": Column("text", unique=True),
    "path": TEXT,
    "study_id": TEXT,
    "patient_id": Column("text", nullable=True),
    "group_id": TEXT,
    "bone": TEXT,
    "view": Column("text", nullable=True),
    "label": Column("number", nullable=True, allowed=(0.0, 1.0)),
    "split": Column("text", allowed=("train", "valid", "test")),
    "fold": Column("whole"),
    "width": Column("whole"),
    "height": Column("whole"),
    "bytes": Column("whole"),
    "sha1": TEXT,
}
PREDICTIONS = {
    **{
        name: INDEX[name]
        for name in ("image_id", "path", "study_id", "patient_id", "group_id", "bone", "view", "label")
    },
    "split": Column("text", allowed=("train", "tune", "valid", "test")),
    "logit": Column("number"),
    "checkpoint": TEXT,
    "dataset": TEXT,
}
STUDIES = {
    "study_id": Column("text", unique=True),
    "patient_id": Column("text", nullable=True),
    "group_id": TEXT,
    "bone": TEXT,
    "split": Column("text", allowed=("train", "tune", "valid", "test")),
    "label": Column("number", nullable=True, allowed=(0.0, 1.0)),
    "score": Column("number"),
    "n_views": Column("whole"),
}


def check(frame: pd.DataFrame, schema: dict[str, Column], source: str) -> pd.DataFrame:
    """Return the frame if it fits the schema. OverreadError names the source, the column and the first bad value."""
    missing = [name for name in schema if name not in frame.columns]
    if missing:
        raise OverreadError(
            f"{source} lacks the column(s) {', '.join(missing)}; expected {', '.join(schema)}. Create it again.",
            code="column-missing",
        )
    for name, column in schema.items():
        _check_column(frame[name], column, name, source)
    return frame


def _check_column(values: pd.Series, column: Column, name: str, source: str) -> None:
    # Only cells with a value are checked, because pandas gives an empty column an arbitrary type.
    present = values.dropna() if values.hasnans else values
    if not column.nullable and len(present) < len(values):
        raise OverreadError(
            f"{source}: column {name} has {count_text(len(values) - len(present), 'empty cell')}; every row needs a "
            "value.",
            code="cell-empty",
        )
    if len(present) and column.kind == "whole" and not pd.api.types.is_integer_dtype(values):
        raise _wrong_value(source, name, present.iloc[0], "whole numbers")
    if len(present) and column.kind == "number" and not pd.api.types.is_numeric_dtype(values):
        raise _wrong_value(source, name, present.iloc[0], "numbers")
    # A column of pandas' text type has only text; checking a million cells one by one would take seconds.
    texts = isinstance(values.dtype, pd.StringDtype)
    if column.kind == "text" and not texts and not present.map(lambda value: isinstance(value, str)).all():
        raise _wrong_value(source, name, present.iloc[0], "text")
    if column.allowed and not present.isin(column.allowed).all():
        bad = present[~present.isin(column.allowed)].iloc[0]
        expected = ", ".join(str(value) for value in column.allowed)
        raise _wrong_value(source, name, bad, f"one of {expected}")
    if column.unique and not all_differ(present):
        raise OverreadError(
            f"{source}: {name} {present[present.duplicated()].iloc[0]!r} occurs twice; each must be unique.",
            code="value-duplicate",
        )


def _wrong_value(source: str, name: str, value, expected: str) -> OverreadError:
    return OverreadError(f"{source}: column {name} has {value!r}; expected {expected}.", code="value-unexpected")


def bone_order(bones) -> list[str]:
    """Names of bones in the order of every chart: MURA's seven in their fixed order, then other regions by name."""
    found = set(bones)
    return [bone for bone in MURA_BONES if bone in found] + sorted(found - set(MURA_BONES))


def split_order(splits) -> list[str]:
    """Names of splits in the order of every list: valid, test, tune, train, then others by name.

    A part of a split, such as `valid:choose`, follows that split.
    """
    known = ("valid", "test", "tune", "train")

    def place(split: str) -> tuple:
        whole = split.split(":")[0]
        return (known.index(whole) if whole in known else len(known)), whole, split

    return sorted(set(splits), key=place)
