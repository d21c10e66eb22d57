"""Somebody else's table of scores, read and checked column by column: what cannot be meant is refused."""

import csv
import io
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow

from core.errors import OverreadError

SPLITS = {
    "train": "train", "training": "train", "tune": "tune", "tuning": "tune", "valid": "valid", "val": "valid",
    "validation": "valid", "test": "test", "testing": "test",
}  # fmt: skip
# How tools write that a value is missing; any other word is refused.
MISSING = {"", "nan", "na", "n/a", "null", "none", "<na>", "unknown"}
_DAMAGE = (OSError, ValueError, TypeError, LookupError, RuntimeError, MemoryError, EOFError, pyarrow.ArrowException)


def read_table(file: Path) -> pd.DataFrame:
    """A CSV (UTF-8, commas, one header line) or Parquet file, CSV cells as they are written."""
    if not file.is_file():
        raise OverreadError(
            f"There is no file {file}; expected a CSV or Parquet table, one row per radiograph or study."
        )
    if file.stat().st_size == 0:
        raise OverreadError(f"{file} is empty; expected a header line and one row per radiograph or study.")
    try:
        table = pd.read_parquet(file) if _is_parquet(file) else _read_csv(file)
    except OverreadError:
        raise
    except UnicodeDecodeError as error:
        raise OverreadError(
            f"{file} is not in UTF-8 (byte {error.object[error.start]:#04x} at place {error.start}); save it as CSV in "
            "UTF-8, since in any other encoding names would be guessed."
        ) from error
    except _DAMAGE as error:
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise OverreadError(
            f"{file} could not be read as a table ({said}); expected CSV with commas and a header line, or Parquet."
        ) from error
    table = table.reset_index(drop=True)
    table.columns = [str(name).strip() for name in table.columns]
    if table.empty:
        raise OverreadError(f"{file} has the columns {_list(table.columns)} and no rows; expected one per radiograph.")
    return table


def _is_parquet(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(4) == b"PAR1" or file.suffix.lower() in {".parquet", ".pq"}


def _read_csv(file: Path) -> pd.DataFrame:
    content = file.read_bytes()
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise OverreadError(f"{file} is in UTF-16, as some spreadsheets save it; save it as CSV in UTF-8.")
    if content[:4] in (b"PK\x03\x04", b"\x1f\x8b\x08\x00", b"\x1f\x8b\x08\x08"):
        raise OverreadError(f"{file} is a packed file or a spreadsheet, not text; save it as CSV in UTF-8, or Parquet.")
    content.decode("utf-8-sig")  # all of it, so that a wrong byte is named and not met half-way
    first = content[:65536].decode("utf-8-sig", "ignore").splitlines()[0]
    names = next(csv.reader([first]))
    for sign, word in ((";", "semicolons"), ("\t", "tabs"), ("|", "'|'")):
        if sign in first and len(first.split(sign)) > len(names):
            raise OverreadError(
                f"{file} is separated by {word} ({first[:80]!r}); expected commas. Save it again with commas, and with "
                "points in its numbers."
            )
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise OverreadError(f"{file} names the column {_list(twice)} twice; each needs a name of its own.")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", pd.errors.ParserWarning)
        # As text: only the columns that are named are read as numbers, and ids keep their leading zeros.
        table = pd.read_csv(
            io.BytesIO(content), dtype="str", keep_default_na=False, index_col=False, encoding="utf-8-sig"
        )
    # Counted in no time where nothing is quoted; a row too long or too short is then looked for cell by cell.
    if said or b'"' in content or content.count(b",") != (len(names) - 1) * (len(table) + 1):
        _check_cells(content.decode("utf-8-sig"), names, file)
    return table


def _check_cells(text: str, names: list[str], file: Path) -> None:
    """OverreadError where a row has not one cell a column, as with decimal commas or a line that was cut off."""
    reader = csv.reader(io.StringIO(text))
    for row in reader:
        # Commas at the end of a line, as some programs write them, hold nothing.
        if row and (len(row) < len(names) or any(row[len(names) :])):
            raise OverreadError(
                f"{file}: row {reader.line_num} has {len(row)} cells and the header names {len(names)} columns "
                f"({','.join(row)[:80]!r}); expected one cell each, with points in numbers, not commas, and commas in "
                "text quoted."
            )


def column(table: pd.DataFrame, name: str, option: str, file: Path) -> pd.Series:
    """A column by its name. OverreadError lists those there are."""
    if name not in table.columns:
        raise OverreadError(f"{file} has no column {name!r} for {option}; it has {_list(table.columns)}.")
    return table[name]


def text_of(values: pd.Series) -> pd.Series:
    """As text, '' where missing; whole numbers without a point, as ids are written."""
    if pd.api.types.is_float_dtype(values):
        present = values.dropna()
        if (present == present.round()).all() and (present.abs() < 2**53).all():
            values = values.astype("Int64")
    missing = values.isna()
    return values.astype("str").str.strip().mask(missing, "")


def ids(values: pd.Series, name: str, file: Path) -> pd.Series:
    """A column of ids. An empty cell is refused."""
    text = text_of(values)
    refuse(text == "", f"column {name} is empty", text, "every row needs an id", file)
    return text


def numbers(values: pd.Series, name: str, file: Path) -> np.ndarray:
    """A column of finite numbers, to their last digit."""
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        found, shown = values.to_numpy(np.float64, na_value=np.nan), values
    else:
        shown = text_of(values)
        found = _parsed(shown)
    bad = ~np.isfinite(found)
    comma = " (a number is written with a point, not a comma)" if bad.any() and "," in str(shown[bad].iloc[0]) else ""
    refuse(bad, f"column {name} is no finite number", shown, f"a score each{comma}; mend or remove these rows", file)
    return found


def _parsed(text: pd.Series) -> np.ndarray:
    # Python reads 1_0 as 10; nobody writes a score so.
    if text.str.contains("_", regex=False).any():
        text = text.mask(text.str.contains("_", regex=False), "no number")
    try:
        # Python's own reading is correctly rounded; pandas' fast one may miss the last digit.
        return np.array(text.tolist(), dtype=np.float64)
    except ValueError:
        return np.array([_number(cell) for cell in text.tolist()])


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return float("nan")


def labels(values: pd.Series, name: str, file: Path) -> np.ndarray:
    """1.0 abnormal, 0.0 normal, NaN unknown (an empty cell, or a word for it)."""
    text = text_of(values).str.lower()
    known = {"0": 0.0, "1": 1.0, "0.0": 0.0, "1.0": 1.0, **dict.fromkeys(MISSING, np.nan)}
    refuse(~text.isin(known), f"column {name} is no label", text, "1 (abnormal), 0 (normal) or empty (unknown)", file)
    return text.map(known).to_numpy(np.float64)


def splits(values: pd.Series, name: str, file: Path) -> pd.Series:
    """train, tune, valid or test."""
    text = text_of(values).str.lower()
    refuse(~text.isin(SPLITS), f"column {name} is no split", text, "train, tune, valid or test", file)
    return text.map(SPLITS).astype("str")


def refuse(bad, what: str, shown: pd.Series, expected: str, file: Path) -> None:
    """OverreadError where any row is bad: how many, and the first of them as an editor counts (row 1 is the header)."""
    places = np.flatnonzero(np.asarray(bad, dtype=bool))
    if not len(places):
        return
    first = ", ".join(f"row {place + 2}: {str(shown.iloc[place])[:40]!r}" for place in places[:3])
    raise OverreadError(
        f"{file}: in {len(places):,} of {len(shown):,} rows {what} ({first}{', ...' if len(places) > 3 else ''}); "
        f"expected {expected}."
    )


def _list(names) -> str:
    return ", ".join(map(str, names))
