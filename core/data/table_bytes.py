"""The bytes of a table's file as text: decompressed within bounds, and decoded."""

import bz2
import gzip
import io
import lzma
import zipfile
from pathlib import Path
from typing import Any

from core.errors import OverreadError

MOST_BYTES = 2 << 30  # of decompressed text
_COMPRESSED = {".gz": b"\x1f\x8b", ".bz2": b"BZh", ".xz": b"\xfd7zXZ", ".zip": b"PK\x03\x04"}
EXPECTED = (
    "expected CSV in UTF-8 (or UTF-16) with a header line and commas, semicolons, tabs or '|' between its cells, or "
    "Parquet. Save it again as one of these."
)


def decompressed(content: bytes, file: Path) -> bytes:
    """The text of a file that may be compressed. OverreadError for a spreadsheet, or more than MOST_BYTES."""
    if content.startswith(_COMPRESSED[".zip"]):
        return _unzipped(content, file)
    ending, packed = file.suffix.lower(), io.BytesIO(content)
    if content.startswith(_COMPRESSED[".gz"]) or ending == ".gz":
        return _bounded(gzip.open(packed), file)
    if content.startswith(_COMPRESSED[".bz2"]) or ending == ".bz2":
        return _bounded(bz2.open(packed), file)
    if content.startswith(_COMPRESSED[".xz"]) or ending == ".xz":
        return _bounded(lzma.open(packed), file)
    if file.suffix.lower() in (".zip", ".xlsx", ".xls", ".ods") or content.startswith(b"\xd0\xcf\x11\xe0"):
        raise _not_text(file)
    return content


def _unzipped(content: bytes, file: Path) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = [name for name in archive.namelist() if not name.endswith("/") and "__MACOSX" not in name]
            if len(names) == 1 and names[0] != "[Content_Types].xml":
                with archive.open(names[0]) as text:
                    return _bounded(text, file)
    except (zipfile.BadZipFile, RuntimeError):
        pass
    raise _not_text(file)


def _bounded(text: Any, file: Path) -> bytes:
    """All of a decompressed text. OverreadError where it is longer than any table of radiographs."""
    content = text.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise OverreadError(
            f"{file} has more than {MOST_BYTES >> 30} GB when it is decompressed; expected a table of radiographs or "
            "studies. Leave out columns that are not needed, or divide it.",
            code="table-too-large",
        )
    return content


def _not_text(file: Path) -> OverreadError:
    return OverreadError(
        f"{file} is a spreadsheet or an archive, not one table of text; {EXPECTED}", code="table-not-text"
    )


def decoded_text(content: bytes, file: Path) -> str:
    """The text in UTF-8, UTF-16 or UTF-32. OverreadError names the first byte that none of these encodings allows."""
    if content[:4] in (b"\xff\xfe\0\0", b"\0\0\xfe\xff"):
        return content.decode("utf-32")
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf-16")
    halves = [half for half in (content[::2][:50], content[1::2][:50]) if half]
    if any(half.count(0) > 0.6 * len(half) for half in halves):
        raise OverreadError(
            f"{file} looks like UTF-16 without a byte order mark; expected UTF-8. Save it as CSV in UTF-8.",
            code="table-not-utf8",
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise OverreadError(
            f"{file} is not in UTF-8 (byte {content[error.start]:#04x} at place {error.start}, line {line}); "
            f"{EXPECTED}",
            code="table-not-utf8",
        ) from error
