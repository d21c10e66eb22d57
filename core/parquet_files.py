"""The one function that writes Parquet, and the one that reads it: with a checksum on each page and on the file."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from core.checksums import check_file, write_checked
from core.errors import reason_of
from core.paths import write_atomically


def write_parquet(
    file: Path, table: pd.DataFrame | pa.Table, metadata: dict[bytes, bytes] | None = None, beside: bool = True
) -> Path:
    """Write a table in one step. metadata: further entries of the schema. OverreadError where the disk is full.

    beside: write the checksum of the file into `NAME.sha256`; not needed where a manifest stores it.
    """
    if isinstance(table, pd.DataFrame):
        table = pa.Table.from_pandas(table, preserve_index=False)
    if metadata:
        table = table.replace_schema_metadata({**(table.schema.metadata or {}), **metadata})
    write = write_checked if beside else write_atomically
    return write(file, lambda path: write_table(table, path))


def write_table(table: pa.Table, path: object) -> None:
    """Write a table to a path or an open file, with a checksum on each page."""
    pq.write_table(table, path, write_page_checksum=True)


def read_parquet(file: Path | str, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """A table, after its checksums were compared. FileNotFoundError, OSError, or ValueError where it is damaged."""
    return _checked(Path(file), lambda path: _whole(path, columns).to_pandas())


def read_table(file: Path | str) -> pa.Table:
    """A Parquet file as an Arrow table, with the metadata of its schema."""
    return _checked(Path(file), _whole)


def read_schema(file: Path | str) -> pa.Schema:
    """The columns of a file and the metadata of its schema, after its checksum was compared."""
    return _checked(Path(file), pq.read_schema)


def open_table(file: Path) -> pq.ParquetFile:
    """A file to be read in parts, page by page. It keeps its rows where the file is replaced meanwhile."""
    return _unchecked(
        file, lambda path: pq.ParquetFile(path.open("rb"), pre_buffer=False, page_checksum_verification=True)
    )


def count_rows(file: Path | str) -> int:
    """The number of rows, from the end of the file alone. OSError or ValueError where it is not Parquet."""
    return _unchecked(Path(file), pq.read_metadata).num_rows


def _whole(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """The table with each column in one piece.

    `pd.read_parquet` takes three times as long for a million names and leaves eight pieces, of which pandas makes one
    whenever rows are taken: 30 ms for four rows of a million, here 1 (pandas 3.1, pyarrow 26).
    """
    with pq.ParquetFile(path, page_checksum_verification=True) as opened:
        # Arrow leaves out a column that the file lacks, without a word.
        if missing := [name for name in columns or () if name not in opened.schema_arrow.names]:
            raise ValueError(f"it lacks the column(s) {', '.join(missing)}")
        return opened.read(columns).combine_chunks()


def _checked(file: Path, read):
    check_file(file)
    return _unchecked(file, read)


def _unchecked(file: Path, read):
    try:
        return read(file)
    except (OSError, ValueError):
        raise
    except Exception as error:  # a damaged file without a checksum, of an earlier version, can raise any exception
        raise ValueError(reason_of(error)) from error
