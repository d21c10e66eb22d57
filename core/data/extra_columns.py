"""Columns of outside tables that Overread itself does not need, such as age, sex or cast: kept, with a type.

A number is float64, a date datetime64, a category text. Missing cells (`core.data.missing`) are empty in each.
"""

import re

import numpy as np
import pandas as pd

from core.data.missing import blank_missing
from core.data.notes import Note
from core.plural import count_text
from core.schema import INDEX, PREDICTIONS, STUDIES

# Names that the tables of Overread use themselves. An outside column of that name is kept as NAME_given.
RESERVED = (
    {*INDEX, *PREDICTIONS, *STUDIES}
    | {"probability", "attention", "pooling", "given", "tta", "draws"}
    | {"predicted", "outcome", "margin", "views", "measure", "decision", "operating_point", "reference"}
)
# Columns of PREDICTIONS and of an INDEX that describe no radiograph.
_INTERNAL = {"instance_uid", "study_uid", "probability", "attention", "pooling", "given", "tta", "draws", "label_given"}
_NUMBER = re.compile(r"[+-]?(0|[1-9]\d*)?(\.\d*)?([eE][+-]?\d+)?")
_DECIMAL_COMMA = re.compile(r"[+-]?(0|[1-9]\d*)(,\d+)?")
_GROUPED = re.compile(r"[+-]?\d+(,\d{3})?")  # a comma before three digits may be a decimal sign or group thousands
_DICOM_AGE = re.compile(r"\d{3}[DWMY]")
_YEARS = {"D": 1 / 365.25, "W": 7 / 365.25, "M": 1 / 12, "Y": 1.0}
_DATES = (
    (re.compile(r"\d{4}-\d{2}-\d{2}"), "%Y-%m-%d"),
    (re.compile(r"\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}:\d{2}"), "ISO8601"),
    (re.compile(r"\d{4}/\d{2}/\d{2}"), "%Y/%m/%d"),
    (re.compile(r"\d{1,2}\.\d{1,2}\.\d{4}"), "%d.%m.%Y"),
)


def keep_columns(table: pd.DataFrame, used, frame: pd.DataFrame, source: str) -> tuple[pd.DataFrame, list[Note]]:
    """The frame with every column of a table that is not `used`, typed; both have the same rows.

    A name that Overread needs itself gets the ending _given, and a note says so.
    """
    taken, renamed, found = {*RESERVED, *frame.columns}, [], {}
    for name in table.columns:
        if name in used or not str(name).strip():
            continue
        kept = str(name).strip()
        while kept in taken:
            kept += "_given"
        if kept != str(name).strip():
            renamed.append(f"{name} as {kept}")
        taken.add(kept)
        found[kept] = typed(table[name])
    if not found:
        return frame, []
    notes = [
        Note(
            code="columns-kept",
            text=f"{count_text(len(found), 'further column')} kept: "
            + ", ".join(f"{name} ({kind_of(values)})" for name, values in found.items()),
        )
    ]
    if renamed:
        notes.append(Note(code="column-renamed", text=f"columns of {source} with names that Overread's tables use "
            f"are kept: "
                                                      + ", ".join(renamed)))  # fmt: skip
    extra = pd.DataFrame(found, index=table.index).set_axis(frame.index)
    return pd.concat([frame, extra], axis=1), notes


def typed(values: pd.Series) -> pd.Series:
    """The cells as numbers, dates or text, whichever fits every cell; text where none is left."""
    if pd.api.types.is_bool_dtype(values) or isinstance(values.dtype, pd.BooleanDtype):
        return values.astype("float64")
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_complex_dtype(values):
        return values.astype("float64").where(lambda cells: np.isfinite(cells))
    if pd.api.types.is_datetime64_any_dtype(values):
        return values.dt.tz_localize(None) if values.dt.tz is not None else values
    text = blank_missing(values.astype("object").map(_text))
    known = text[text != ""]
    if len(known):
        distinct = pd.Series(known.unique())
        if distinct.map(lambda cell: bool(_NUMBER.fullmatch(cell)) and any(map(str.isdigit, cell))).all():
            return text.mask(text == "").astype("float64")
        if distinct.str.fullmatch(_DECIMAL_COMMA).all() and not distinct.str.fullmatch(_GROUPED).all():
            return text.mask(text == "").str.replace(",", ".", regex=False).astype("float64")
        if distinct.str.lower().isin(("true", "false")).all():
            return text.str.lower().map({"true": 1.0, "false": 0.0}).astype("float64")
        if distinct.str.fullmatch(_DICOM_AGE).all():
            years = {cell: int(cell[:3]) * _YEARS[cell[3]] for cell in distinct}
            return text.map(years).astype("float64")
        for pattern, form in _DATES:
            if distinct.str.fullmatch(pattern).all():
                dates = pd.to_datetime(text.mask(text == ""), format=form, errors="coerce")
                if dates.notna().sum() == len(known):
                    return dates
    return text.mask(text == "").astype("str")


def _text(cell) -> str:
    # is_scalar: for a list in a cell (Parquet) isna returns an array.
    return "" if pd.api.types.is_scalar(cell) and pd.isna(cell) else str(cell)


def kind_of(values: pd.Series) -> str:
    """'number', 'date' or 'category'."""
    if pd.api.types.is_datetime64_any_dtype(values):
        return "date"
    return "number" if pd.api.types.is_numeric_dtype(values) else "category"


def extra_names(frame: pd.DataFrame) -> list[str]:
    """The further columns of an INDEX or PREDICTIONS, in their order."""
    own = {*INDEX, *PREDICTIONS, *_INTERNAL}
    return [name for name in frame.columns if name not in own]
