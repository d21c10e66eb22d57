"""Cells of an outside table as ids, labels, splits and numbers. A cell that cannot be interpreted is never guessed."""

import re

import numpy as np
import pandas as pd

from core.data.missing import blank_missing, is_missing
from core.data.notes import Note
from core.data.tables import Table
from core.errors import OverreadError
from core.plural import count_text

# Pairs of words for abnormal and normal, in lower case.
LABEL_PAIRS = (
    ("1", "0"), ("1.0", "0.0"), ("positive", "negative"), ("pos", "neg"), ("abnormal", "normal"), ("true", "false"),
    ("yes", "no"), ("t", "f"), ("y", "n"),
)  # fmt: skip
_LABELS = {word: value for pair in LABEL_PAIRS for word, value in zip(pair, (1.0, 0.0))}
SPLITS = {
    "train": "train", "training": "train", "tune": "tune", "tuning": "tune", "valid": "valid", "val": "valid",
    "validation": "valid", "test": "test", "testing": "test",
}  # fmt: skip
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?")
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(?:,\d{3})+")


def text_of(values: pd.Series) -> pd.Series:
    """Cells as stripped text, '' for an empty one; whole numbers without a decimal point, as in ids."""
    if pd.api.types.is_float_dtype(values):
        present = values.dropna()
        if (present == present.round()).all() and (present.abs() < 2**53).all():
            values = values.astype("Int64")
    elif values.dtype == object:
        values = values.map(_plain)
    text = values.astype("str").str.strip().mask(values.isna(), "").astype("str")
    # A column of whole numbers with empty cells is often saved as 1.0, 2.0.
    if text.str.endswith(".0").any() and text.str.fullmatch(r"(\d+(\.0)?)?").all():
        text = text.str.removesuffix(".0")
    return text


def _plain(cell):
    return int(cell) if isinstance(cell, float) and cell.is_integer() else cell


def ids(table: Table, name: str) -> pd.Series:
    """A column of ids. OverreadError for an empty cell or a word for a missing value."""
    text = text_of(table.frame[name])
    check_rows(blank_missing(text) == "", f"column {name} is empty", text, "an id in every row", table)
    return text


def read_labels(text: pd.Series) -> tuple[pd.Series, pd.Series]:
    """1.0 abnormal, 0.0 normal, NaN unknown; and which cells are none of these."""
    words = {word: word.strip().lower() for word in text.unique()}
    values = {word: _LABELS.get(low, np.nan) for word, low in words.items()}
    bad = {word for word, low in words.items() if low not in _LABELS and not is_missing(low)}
    return text.map(values).astype("float64"), text.isin(bad)


def label_notes(text: pd.Series, name: str) -> list[Note]:
    """Notes on how the words of a column of labels are read; none for 1 and 0."""
    words = {word.strip().lower() for word in text.unique()}
    pairs = [pair for pair in LABEL_PAIRS[2:] if words & set(pair)]
    read = "; ".join(f"{yes!r} is read as 1 (abnormal) and {no!r} as 0 (normal)" for yes, no in pairs)
    return [Note(f"column {name}: {read}", "labels-from-words")] if pairs else []


def labels(table: Table, name: str, notes: list[Note]) -> np.ndarray:
    """1.0 abnormal, 0.0 normal, NaN unknown. OverreadError for another word."""
    text = text_of(table.frame[name])
    values, bad = read_labels(text)
    check_rows(
        bad,
        f"column {name} is not a label",
        text,
        "1 or 0 (or abnormal / normal, positive / negative, true / false, yes / no), or empty for unknown; correct "
        "these rows",
        table,
    )
    notes += label_notes(text, name)
    return values.to_numpy(np.float64)


def read_splits(text: pd.Series, allowed: tuple[str, ...], name: str, table: Table) -> tuple[pd.Series, pd.Series]:
    """The splits, and whether each cell is not a split. OverreadError where a whole split would be lost.

    A whole split is lost where no cell is one of `allowed`, or where one unknown word is in at least two rows and a
    twentieth of the table.
    """
    words = {word: SPLITS.get(word.strip().lower(), "") for word in text.unique()}
    found = text.map({word: split if split in allowed else "" for word, split in words.items()}).astype("str")
    bad = found == ""
    counts = text[bad & ~text.isin([word for word in words if is_missing(word)])].value_counts()
    lost = [word for word, count in counts.items() if count >= max(2, 0.05 * len(text))]
    if len(text) and (bad.all() or lost):
        which = ", ".join(f"{word!r} ({count_text(counts[word], 'row')})" for word in lost[:3]) or "no word for a split"
        advice = " 'dev' may mean either, so it is not guessed." if {"dev"} & {word.lower() for word in lost} else ""
        raise OverreadError(
            f"{table.file}: in {int(bad.sum()):,} of {count_text(len(text), 'row')} the column {name} has none of "
            "the words "
            f"{', '.join(allowed)} ({first_rows(bad, text, table)}); found {which}, and a whole split would be "
            f"lost.{advice} Rename these values, or remove the column to have splits made here.",
            code="split-lost",
        )
    return found, bad


def numbers(table: Table, name: str, notes: list[Note]) -> np.ndarray:
    """A column of finite numbers, exact to the last digit. Decimal commas only where the delimiter is not a comma."""
    values = table.frame[name]
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        found, shown, commas = values.to_numpy(np.float64, na_value=np.nan), values, False
    else:
        shown = text_of(values)
        read, commas = _with_points(shown, table)
        found = _parsed(read)
    bad = ~np.isfinite(found)
    advice = ""
    if bad.any() and "," in str(shown[bad].iloc[0]):
        advice = (
            ", written with a point, not a comma: a comma may also separate cells or thousands. Save the table with "
            "points, or with semicolons between the cells and only decimal commas in the numbers"
        )
    check_rows(
        bad, f"column {name} is not a finite number", shown, f"a number in each{advice}; correct or remove these rows",
        table,
    )  # fmt: skip
    if commas:
        notes.append(Note(f"column {name}: the commas in its numbers are read as decimal points", "decimal-commas"))
    return found


def _with_points(text: pd.Series, table: Table) -> tuple[pd.Series, bool]:
    """The numbers with points in place of commas that can only be decimal signs; and whether there are such commas."""
    commas = text.str.contains(",", regex=False)
    if table.delimiter in ("", ",") or not commas.any():
        return text, False
    cells = text[commas]
    thousands = cells.map(lambda cell: bool(_THOUSANDS.fullmatch(cell)))
    if text.str.contains(".", regex=False).any() or thousands.all():
        return text, False  # points and commas, or only groups of three digits: either may be the decimal sign
    if not cells.map(lambda cell: bool(_DECIMAL_COMMA.fullmatch(cell))).all():
        return text, False
    return text.str.replace(",", ".", regex=False), True


def _parsed(text: pd.Series) -> np.ndarray:
    # Python reads 1_0 as 10, and no tool writes a score like that.
    if text.str.contains("_", regex=False).any():
        text = text.mask(text.str.contains("_", regex=False), "not a number")
    try:
        # Python rounds correctly; the fast parser of pandas can be off in the last digit.
        return np.array(text.tolist(), dtype=np.float64)
    except ValueError:
        return np.array([_number(cell) for cell in text.tolist()])


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return float("nan")


def check_rows(bad, what: str, shown: pd.Series, expected: str, table: Table) -> None:
    """OverreadError where any row is bad: how many, and the first three as an editor counts."""
    count = int(np.asarray(bad, dtype=bool).sum())
    if count:
        raise OverreadError(
            f"{table.file}: in {count:,} of {count_text(len(shown), 'row')} {what} "
            f"({first_rows(bad, shown, table)}); expected "
            f"{expected}.",
            code="rows-invalid",
        )


def first_rows(bad, shown: pd.Series, table: Table) -> str:
    """The first three bad rows: 'row 3: 'x', row 4: 'y', ...'."""
    places = np.flatnonzero(np.asarray(bad, dtype=bool))
    rows = ", ".join(f"row {table.lines[place]}: {str(shown.iloc[place])[:40]!r}" for place in places[:3])
    return rows + (", ..." if len(places) > 3 else "")
