"""The one reader of outside tables: manifests, scores, labels and verdicts, as text or Parquet.

It reads CSV with commas, semicolons, tabs or '|', in UTF-8 or in UTF-16 with a byte order mark, with any line end,
compressed or not, and Parquet with its index and categories. Anything unusual is noted; a file that is not a table is
an OverreadError. How cells are read as labels, splits and numbers is in `core.data.cells`.
"""

import csv
import lzma
import re
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow

from core.data import mura_paths
from core.data.delimited_text import DELIMITERS, sniff_delimiter, split_rows
from core.data.notes import Note
from core.data.spreadsheet import unguarded
from core.data.table_bytes import EXPECTED, decoded_text, decompressed
from core.errors import OverreadError, reason_of
from core.parquet_files import read_parquet
from core.plural import count_text, share_clause

_DAMAGE = (
    OSError, ValueError, TypeError, LookupError, RuntimeError, MemoryError, OverflowError, EOFError, zlib.error,
    lzma.LZMAError, zipfile.BadZipFile, pyarrow.ArrowException, csv.Error,
)  # fmt: skip


@dataclass(frozen=True)
class Table:
    """An outside table. Cells of a text file are text as written; those of Parquet keep their types.

    delimiter: '' for Parquet. lines: the line of each row as an editor counts. surplus, short: rows with text beyond
    the header, and rows with fewer cells than it; cell_counts: the cells of each row.
    """

    file: Path
    frame: pd.DataFrame
    delimiter: str
    lines: np.ndarray
    surplus: np.ndarray
    short: np.ndarray
    cell_counts: np.ndarray
    ends_mid_line: bool = False
    notes: list[Note] = field(default_factory=list)

    def find(self, *names: str) -> str | None:
        """The first of these columns that the table has, in any case and with any spaces; None if it has none.

        OverreadError if a name fits several columns and none exactly.
        """
        columns = list(self.frame.columns)
        for name in names:
            if name in columns:
                return name
        for name in names:
            alike = [column for column in columns if simple_name(column) == simple_name(name)]
            if len(alike) > 1:
                raise OverreadError(
                    f"{self.file}: the name {name!r} fits {count_text(len(alike), 'column')} ({', '.join(alike)}). "
                    "Write the name of "
                    "one of them exactly, or rename the others.",
                    code="column-ambiguous",
                )
            if alike:
                return alike[0]
        return None

    def column(self, name: str, option: str) -> str:
        """The table's own spelling of a column. OverreadError lists the columns it has."""
        found = self.find(name)
        if found is None:
            raise OverreadError(
                f"{self.file} has no column {name!r} for {option}; it has {', '.join(self.frame.columns)}. Name one of "
                "these.",
                code="column-missing",
            )
        return found

    def check_cells(self) -> None:
        """OverreadError where a row does not have one cell for each column."""
        bad = np.flatnonzero(self.surplus | self.short)
        if len(bad):
            shown = ", ".join(
                f"row {self.lines[row]} has {count_text(self.cell_counts[row], 'cell')}: "
                f"{','.join(map(str, self.frame.iloc[row, : self.cell_counts[row]]))[:60]!r}"
                for row in bad[:3]
            )
            advice = (
                "decimal points in numbers and quotes around text with commas"
                if self.delimiter == ","
                else "quotes around text that contains the delimiter"
            )
            raise OverreadError(
                f"{self.file}: {share_clause(len(bad), len(self.frame), 'row', 'do')} not have one cell for each "
                "of the "
                f"{count_text(self.frame.shape[1], 'column')} ({shown}). Write one cell for each column, with "
                f"{advice}.",
                code="table-cells",
            )


def simple_name(name: str) -> str:
    """A column's name without case, spaces, '_' and '-': 'Body Part' and 'body_part' are alike."""
    return "".join(str(name).lower().split()).replace("_", "").replace("-", "")


def read_table(file: Path | str, exact: bool = False) -> Table:
    """Read a table. exact: keep spaces at the start of a cell, as in notes that people wrote.

    OverreadError if the file is missing, empty, not a table, or names a column twice with different cells.
    """
    file = Path(file)
    if not file.is_file():
        raise OverreadError(
            f"There is no file {file}; expected a CSV or Parquet table. Check the path.", code="table-missing"
        )
    try:
        content = file.read_bytes()
        if not content:
            raise OverreadError(
                f"{file} is empty (0 bytes); expected a header line and one row per radiograph or study. Save it "
                "again.",
                code="table-empty",
            )
        if content[:4] == b"PAR1" or file.suffix.lower() in (".parquet", ".pq"):
            return _read_parquet(file)
        return _read_text(decompressed(content, file), file, exact)
    except OverreadError:
        raise
    except _DAMAGE as error:
        reason = reason_of(error, 200)
        raise OverreadError(
            f"{file} could not be read as a table ({reason}); {EXPECTED}", code="table-unreadable"
        ) from error


def _read_parquet(file: Path) -> Table:
    frame = read_parquet(file)
    # A named index has the path or the id of each row; a nameless one of numbers only counts the rows.
    levels = [
        level
        for level in range(frame.index.nlevels)
        if frame.index.names[level] is not None
        or not pd.api.types.is_numeric_dtype(frame.index.get_level_values(level))
    ]
    index = {
        _free_name(str(frame.index.names[level] or "index"), frame.columns): frame.index.get_level_values(level)
        for level in levels
    }
    frame = frame.reset_index(drop=True)
    for name, values in reversed(index.items()):
        frame.insert(0, name, pd.Series(values).reset_index(drop=True))
    frame.columns = [str(name).strip() for name in frame.columns]
    # Without this, text that is not UTF-8 would fail only when a cell is first used.
    pyarrow.Table.from_pandas(frame, preserve_index=False).validate(full=True)
    for place, dtype in enumerate(frame.dtypes):
        if isinstance(dtype, pd.CategoricalDtype):
            frame.isetitem(place, frame.iloc[:, place].astype("object").infer_objects())
        elif pd.api.types.is_object_dtype(dtype):
            frame.isetitem(place, frame.iloc[:, place].map(_decoded))
    none = np.zeros(len(frame), dtype=bool)
    return Table(file, _once(frame, file), "", np.arange(2, len(frame) + 2), none, none, none)


def _free_name(name: str, columns) -> str:
    return name if name not in columns else f"index {name}"


def _decoded(cell):
    return cell.decode("utf-8", "backslashreplace") if isinstance(cell, bytes) else cell


def _read_text(content: bytes, file: Path, exact: bool) -> Table:
    text = decoded_text(content, file)
    notes: list[Note] = []
    # Spreadsheets write a first line such as sep=; to name the delimiter.
    named = re.match(r"\s*\"?sep=(.)\"?(\r\n|\r|\n)", text, re.IGNORECASE)
    delimiter, skipped = (named[1], 1) if named else ("", 0)
    text = text[named.end() :] if named else text
    delimiter = delimiter or sniff_delimiter(text)
    lines, rows = split_rows(text, delimiter, exact)
    if not rows:
        raise OverreadError(
            f"{file} contains no text; expected a header line and one row per radiograph or study.", code="table-empty"
        )
    header = _headerless_names(rows, notes)
    if header is None:
        header, rows, lines = [name.strip() for name in rows[0]], rows[1:], lines[1:]
    if delimiter != ",":
        between = DELIMITERS.get(delimiter, repr(delimiter))
        notes.append(Note(f"the cells of {file.name} are separated by {between}", "table-delimiter"))
    width = len(header)
    counts = np.array([len(row) for row in rows], dtype=int)
    surplus = np.array([any(cell.strip() for cell in row[width:]) for row in rows], dtype=bool)
    columns = {place: [row[place] if place < len(row) else "" for row in rows] for place in range(width)}
    if "'" in text:
        # Exports put an apostrophe before what a spreadsheet would run as a formula.
        columns = {place: [unguarded(cell) for cell in cells] for place, cells in columns.items()}
    frame = pd.DataFrame(columns, dtype="str")
    frame.columns = header
    empty = [not name and (frame.iloc[:, place] == "").all() for place, name in enumerate(header)]
    frame = frame.loc[:, ~np.array(empty, dtype=bool)]
    frame.columns = [name or f"Unnamed: {place}" for place, name in enumerate(header) if not empty[place]]
    last = width - next((place for place, name in enumerate(reversed(header)) if name), width)
    return Table(
        file,
        _once(frame, file),
        delimiter,
        np.array(lines, dtype=int) + skipped,
        surplus,
        counts < last,
        counts,
        ends_mid_line=not text.endswith(("\n", "\r")),
        notes=notes,
    )


def _headerless_names(rows: list[list[str]], notes: list[Note]) -> list[str] | None:
    """Names of the columns of a table without a header, as MURA's own are; None if the first row is a header."""
    found = [mura_paths.parse(cell) for cell in rows[0]]
    if not any(found):
        return None
    names: list[str] = []
    for place, mura in enumerate(found):
        cells = {row[place].strip() for row in rows if place < len(row)}
        if mura:
            kind = "path" if mura.image else "study"
        elif cells <= {"0", "1", "0.0", "1.0"}:
            kind = "label"
        else:
            kind = "score"
        names.append(kind if kind not in names else f"column {place + 1}")
    notes.append(Note(f"the table has no header line; its columns are called {', '.join(names)}", "table-headerless"))
    return names


def _once(frame: pd.DataFrame, file: Path) -> pd.DataFrame:
    """The table without repeated columns. OverreadError if two columns of one name differ."""
    for name in frame.columns[frame.columns.duplicated()]:
        same = frame.loc[:, frame.columns == name]
        if not all(same.iloc[:, 0].equals(same.iloc[:, place]) for place in range(1, same.shape[1])):
            raise OverreadError(
                f"{file} names the column {name} {same.shape[1]} times with different cells; each column needs its own "
                "name. Rename or remove one.",
                code="column-twice",
            )
    return frame.loc[:, ~frame.columns.duplicated()]
