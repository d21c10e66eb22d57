"""A table of scores that a visitor hands over: kept in `OVERREAD_HOME/uploads/.tables` until it is imported."""

import bz2
import gzip
import hashlib
import lzma
import os
import shutil
import time
import zipfile
import zlib
from pathlib import Path
from typing import Any

import pyarrow as pa

from core.data.archives import check_room, disk_error, size_text
from core.errors import OverreadError
from core.parquet_files import count_rows
from core.paths import home
from core.roles import needs

MOST_MEGABYTES = 200
MOST_ROWS = 500_000
_CHUNK = 1 << 20
_EXPANDED = 3  # a compressed table may have this many times the bytes of a plain one
_KEPT_SECONDS = 24 * 3600


@needs("data")
def store_table(name: str, file: Any) -> Path:
    """Write an uploaded table to the disk, in a folder named by its content, and return its path.

    OverreadError for a file that is too large, an invalid name, and a full disk. Older uploads are removed.
    """
    plain = os.path.basename(name.replace("\\", "/")).strip()
    if not plain or plain.startswith(".") or not plain.isprintable() or len(plain) > 200:
        raise OverreadError(
            f"The uploaded file is named {name[:60]!r}; expected a plain name such as scores.csv. Rename it.",
            code="upload-name-invalid",
        )
    size = file.seek(0, os.SEEK_END)
    check_size(size, plain)
    folder = home() / "uploads" / ".tables"
    _remove_old(folder)
    file.seek(0)
    target = folder / hashlib.file_digest(file, "sha256").hexdigest()[:16] / plain
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        check_room(target.parent, size, "The upload")
        partial = target.with_name(f".{plain}.{os.getpid()}.part")
        file.seek(0)
        with partial.open("wb") as written:
            shutil.copyfileobj(file, written, _CHUNK)
        os.replace(partial, target)
    except OSError as error:
        raise disk_error(folder, error, "The upload could not be stored") from error
    return target


def check_size(size: int, name: str) -> None:
    """OverreadError for more bytes than a page reads."""
    if size > MOST_MEGABYTES << 20:
        raise OverreadError(f"{name} has {size_text(size)}. {too_large()}", code="upload-too-large")


def too_large() -> str:
    """The advice for a table that has more bytes than a page reads."""
    return (
        f"At most {MOST_MEGABYTES} MB are read on this page. Leave out columns that are not needed, or import it "
        "with python -m core import-predictions."
    )


def check_table(file: Path) -> None:
    """OverreadError for a table that would hold up other visitors: too many bytes, or too many rows.

    Rows of text are counted as line ends, without parsing them.
    """
    try:
        check_size(file.stat().st_size, file.name)
        rows = _rows(file)
    except OSError as error:
        raise OverreadError(
            f"{file} cannot be read ({(error.strerror or str(error)).lower()}); expected a table of scores. Check the "
            "path.",
            code="table-missing",
        ) from error
    if rows > MOST_ROWS:
        raise OverreadError(
            f"{file.name} has more than {MOST_ROWS:,} rows, which is the most that this page reads. Import it with "
            "python -m core import-predictions, or divide it.",
            code="table-too-long",
        )


def remove_upload(file: Path) -> None:
    """Remove an uploaded table after it was imported. A file of the server's own is left alone."""
    folder = home() / "uploads" / ".tables"
    if folder in file.parents:
        shutil.rmtree(file.parent, ignore_errors=True)


def _rows(file: Path) -> int:
    """Rows of Parquet, or line ends of text, also compressed; 0 for what cannot be read, which is reported later.

    Counting stops soon after the largest number, so that a compressed file cannot fill the memory.
    """
    with file.open("rb") as opened:
        start = opened.read(6)
    try:
        if start.startswith(b"PAR1"):
            return count_rows(file)
        rows = size = 0
        with _opened(file, start) as text:
            while (chunk := text.read(_CHUNK)) and rows <= MOST_ROWS:
                rows, size = rows + chunk.count(b"\n"), size + len(chunk)
                check_size(size // _EXPANDED, file.name)
        return rows
    except (pa.ArrowException, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError):
        return 0


def _opened(file: Path, start: bytes) -> Any:
    """The file's text, decompressed by its first bytes."""
    if start.startswith(b"\x1f\x8b"):
        return gzip.open(file, "rb")
    if start.startswith(b"BZh"):
        return bz2.open(file, "rb")
    if start.startswith(b"\xfd7zXZ"):
        return lzma.open(file, "rb")
    if start.startswith(b"PK\x03\x04"):
        archive = zipfile.ZipFile(file)
        return archive.open(archive.namelist()[0])
    return file.open("rb")


def _remove_old(folder: Path) -> None:
    if not folder.is_dir():
        return
    for entry in folder.iterdir():
        if entry.stat().st_mtime < time.time() - _KEPT_SECONDS:
            shutil.rmtree(entry, ignore_errors=True)
