"""Read a table of scores and check it column by column. A cell that cannot be interpreted is an error."""

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
# Words for a missing value; any other word is an error.
MISSING = {"", "nan", "na", "n/a", "null", "none", "<na>", "unknown"}
_DAMAGE = (OSError, ValueError, TypeError, LookupError, RuntimeError, MemoryError, EOFError, pyarrow.ArrowException)


def read_table(file: Path) -> pd.DataFrame:
    """A CSV (UTF-8, commas, one header line) or Parquet file; the cells of a CSV as text."""
    if not file.is_file():
        raise OverreadError(
            f"There is no file {file}; expected a CSV or Parquet table, one row per radiograph or study.",
            code="table-missing",
        )
    if file.stat().st_size == 0:
        raise OverreadError(
            f"{file} is empty; expected a header line and one row per radiograph or study.", code="table-empty"
        )
    try:
        table = pd.read_parquet(file) if _is_parquet(file) else _read_csv(file)
    except OverreadError:
        raise
    except UnicodeDecodeError as error:
        raise OverreadError(
            f"{file} is not in UTF-8 (byte {error.object[error.start]:#04x} at place {error.start}); save it as CSV in "
            "UTF-8.",
            code="table-not-utf8",
        ) from error
    except _DAMAGE as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise OverreadError(
            f"{file} could not be read as a table ({reason}); expected CSV with commas and a header line, or Parquet.",
            code="table-unreadable",
        ) from error
    table = table.reset_index(drop=True)
    table.columns = [str(name).strip() for name in table.columns]
    if table.empty:
        raise OverreadError(
            f"{file} has the columns {_list(table.columns)} and no rows; expected one per radiograph.",
            code="table-empty",
        )
    return table


def _is_parquet(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(4) == b"PAR1" or file.suffix.lower() in {".parquet", ".pq"}


def _read_csv(file: Path) -> pd.DataFrame:
    content = file.read_bytes()
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise OverreadError(
            f"{file} is in UTF-16, as some spreadsheets save it; save it as CSV in UTF-8.", code="table-not-utf8"
        )
    if content[:4] in (b"PK\x03\x04", b"\x1f\x8b\x08\x00", b"\x1f\x8b\x08\x08"):
        raise OverreadError(
            f"{file} is a compressed file or a spreadsheet, not text; save it as CSV in UTF-8, or Parquet.",
            code="table-not-text",
        )
    content.decode("utf-8-sig")  # the whole file, so that the error names the first wrong byte
    first = content[:65536].decode("utf-8-sig", "ignore").splitlines()[0]
    names = next(csv.reader([first]))
    for sign, word in ((";", "semicolons"), ("\t", "tabs"), ("|", "'|'")):
        if sign in first and len(first.split(sign)) > len(names):
            raise OverreadError(
                f"{file} is separated by {word} ({first[:80]!r}); expected commas. Save it again with commas, and with "
                "points in its numbers.",
                code="table-separator",
            )
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise OverreadError(
            f"{file} names the column {_list(twice)} twice; each column needs its own name.", code="column-twice"
        )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", pd.errors.ParserWarning)
        # As text, so that ids keep their leading zeros; numbers are read later, from the named columns only.
        table = pd.read_csv(
            io.BytesIO(content), dtype="str", keep_default_na=False, index_col=False, encoding="utf-8-sig"
        )
    # Counting commas is fast if nothing is quoted. Only where the count is off are the cells of each row counted.
    if caught or b'"' in content or content.count(b",") != (len(names) - 1) * (len(table) + 1):
        _check_cells(content.decode("utf-8-sig"), names, file)
    return table


def _check_cells(text: str, names: list[str], file: Path) -> None:
    """OverreadError where a row does not have one cell for each column: decimal commas, or a line that was cut off."""
    reader = csv.reader(io.StringIO(text))
    for row in reader:
        # Some programs write commas at the end of a line; they add no cells.
        if row and (len(row) < len(names) or any(row[len(names) :])):
            raise OverreadError(
                f"{file}: row {reader.line_num} has {len(row)} cells and the header names {len(names)} columns "
                f"({','.join(row)[:80]!r}); expected one cell each, with points in numbers, not commas, and commas in "
                "text quoted.",
                code="table-cells",
            )


def column(table: pd.DataFrame, name: str, option: str, file: Path) -> pd.Series:
    """A column by its name. OverreadError lists the columns of the table."""
    if name not in table.columns:
        raise OverreadError(
            f"{file} has no column {name!r} for {option}; it has {_list(table.columns)}.", code="column-missing"
        )
    return table[name]


def text_of(values: pd.Series) -> pd.Series:
    """Cells as text, '' for a missing one; whole numbers without a decimal point, as in ids."""
    if pd.api.types.is_float_dtype(values):
        present = values.dropna()
        if (present == present.round()).all() and (present.abs() < 2**53).all():
            values = values.astype("Int64")
    missing = values.isna()
    return values.astype("str").str.strip().mask(missing, "")


def ids(values: pd.Series, name: str, file: Path) -> pd.Series:
    """A column of ids. OverreadError for an empty cell."""
    text = text_of(values)
    check_rows(text == "", f"column {name} is empty", text, "every row needs an id", file)
    return text


def numbers(values: pd.Series, name: str, file: Path) -> np.ndarray:
    """A column of finite numbers, exact to the last digit."""
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        found, shown = values.to_numpy(np.float64, na_value=np.nan), values
    else:
        shown = text_of(values)
        found = _parsed(shown)
    bad = ~np.isfinite(found)
    comma = " (a number is written with a point, not a comma)" if bad.any() and "," in str(shown[bad].iloc[0]) else ""
    check_rows(
        bad,
        f"column {name} is not a finite number",
        shown,
        f"a score in each{comma}; correct or remove these rows",
        file,
    )
    return found


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


def labels(values: pd.Series, name: str, file: Path) -> np.ndarray:
    """1.0 abnormal, 0.0 normal, NaN unknown (an empty cell, or a word for it)."""
    text = text_of(values).str.lower()
    known = {"0": 0.0, "1": 1.0, "0.0": 0.0, "1.0": 1.0, **dict.fromkeys(MISSING, np.nan)}
    check_rows(
        ~text.isin(known), f"column {name} is not a label", text, "1 (abnormal), 0 (normal) or empty (unknown)", file
    )
    return text.map(known).to_numpy(np.float64)


def splits(values: pd.Series, name: str, file: Path) -> pd.Series:
    """train, tune, valid or test."""
    text = text_of(values).str.lower()
    check_rows(~text.isin(SPLITS), f"column {name} is not a split", text, "train, tune, valid or test", file)
    return text.map(SPLITS).astype("str")


def check_rows(bad, what: str, shown: pd.Series, expected: str, file: Path) -> None:
    """OverreadError where any row is bad: how many, and the first ones as an editor counts (row 1 is the header)."""
    places = np.flatnonzero(np.asarray(bad, dtype=bool))
    if not len(places):
        return
    first = ", ".join(f"row {place + 2}: {str(shown.iloc[place])[:40]!r}" for place in places[:3])
    raise OverreadError(
        f"{file}: in {len(places):,} of {len(shown):,} rows {what} ({first}{', ...' if len(places) > 3 else ''}); "
        f"expected {expected}.",
        code="rows-invalid",
    )


def _list(names) -> str:
    return ", ".join(map(str, names))
