"""Files that a visitor hands over: kept in `OVERREAD_HOME/uploads`, under the name of the data set they become."""

import os
import shutil
from collections.abc import Iterable
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock, Timeout

from core.data.archives import check_room, disk_error, safe_parts, size_text
from core.data.datasets import list_datasets
from core.errors import OverreadError
from core.paths import checked_name, home
from core.plural import count_clause
from core.roles import needs

_CHUNK = 1 << 20
_SPARE = 200 << 20


@dataclass(frozen=True)
class UploadLimits:
    """Bounds of one upload: files, and bytes of all of them together."""

    files: int = 5_000
    bytes: int = 2 << 30


def upload_folder(name: str) -> Path:
    """The folder of the files that were uploaded, unpacked or downloaded for a data set."""
    return home() / "uploads" / checked_name(name)


def packed_upload(name: str) -> Path:
    """The zip that was uploaded for a data set, until it is unpacked."""
    return home() / "uploads" / f".{checked_name(name)}.zip"


def check_name_free(name: str) -> None:
    """OverreadError where a data set has this name, or somebody is adding one."""
    checked_name(name)
    if name in {dataset.name for dataset in list_datasets()}:
        raise name_taken(name)
    if upload_folder(name).exists() or packed_upload(name).exists():
        raise _busy(name)


def name_taken(name: str) -> OverreadError:
    """The error for a name that a data set has."""
    return OverreadError(f"There is a data set named {name} already. Choose another name.", code="name-taken")


@needs("data")
def store_upload(name: str, files: Iterable[tuple[str, BinaryIO]], limits: UploadLimits = UploadLimits()) -> Path:
    """Write uploaded files (name, opened) to the disk: one zip as it is, else a new folder of them. Returns its path.

    The name is reserved from the first byte on, so that two visitors cannot add one name. A failure leaves nothing.
    """
    files = list(files)
    if not files:
        raise OverreadError("No file was uploaded; expected a zip, images with a CSV, or DICOM files.", code="no-file")
    if len(files) > limits.files:
        raise OverreadError(
            f"{count_clause(len(files), 'file', 'were')} uploaded; at most {limits.files:,} are taken singly. Put them "
            "into one zip.",
            code="upload-too-many-files",
        )
    size = sum(_size(file) for _, file in files)
    if size > limits.bytes:
        raise OverreadError(
            f"The upload has {size_text(size)}; at most {size_text(limits.bytes)} are taken. Copy the files to the "
            "server and give their folder or zip.",
            code="upload-too-large",
        )
    with _reserved(name) as partial:
        check_room(partial.parent, size + _SPARE, "The upload")
        single = len(files) == 1 and _is_zip(files[0][1])
        target = packed_upload(name) if single else upload_folder(name)
        try:
            if single:
                _copy(files[0][1], partial)
            else:
                partial.mkdir()
                for path, file in _named(files):
                    (partial / path).parent.mkdir(parents=True, exist_ok=True)
                    _copy(file, partial / path)
            os.replace(partial, target)
        except OSError as error:
            raise disk_error(partial.parent, error, "The upload could not be stored") from error
    return target


@needs("data")
def discard_upload(name: str) -> None:
    """Remove what was uploaded for a data set that was not added. OverreadError where the data set exists."""
    if name in {dataset.name for dataset in list_datasets()}:
        raise OverreadError(
            f"{name} is a data set now, and its radiographs are these files; they are kept.", code="name-taken"
        )
    packed_upload(name).unlink(missing_ok=True)
    shutil.rmtree(upload_folder(name), ignore_errors=True)


@contextmanager
def _reserved(name: str):
    """A path for the unfinished upload of this name, which nobody else can use meanwhile."""
    folder = home() / "uploads"
    partial = folder / f".{checked_name(name)}.uploading"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f".{name}.lock", timeout=0):
            check_name_free(name)
            _remove(partial)  # of a server that was killed
            try:
                yield partial
            finally:
                _remove(partial)
    except Timeout:
        raise _busy(name) from None
    except OSError as error:
        raise disk_error(folder, error, "The upload could not be stored") from error


def _remove(path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True)
    with suppress(OSError):
        path.unlink()


def _busy(name: str) -> OverreadError:
    return OverreadError(
        f"Somebody is adding a data set named {name} already. Choose another name, or continue that one.",
        code="name-busy",
    )


def _named(files: list[tuple[str, BinaryIO]]) -> list[tuple[str, BinaryIO]]:
    """Each file with a safe path below the upload. OverreadError where two have one path."""
    found: dict[str, BinaryIO] = {}
    simple = set()
    for name, file in files:
        path = "/".join(safe_parts(name.replace("\\", "/"), "The upload"))
        if path.casefold() in simple or not path:
            raise OverreadError(
                f"Two uploaded files are named {path[:80]!r}; expected a name of its own for each. Put them into one "
                "zip with their folders.",
                code="upload-name-twice",
            )
        simple.add(path.casefold())
        found[path] = file
    return list(found.items())


def _copy(file: BinaryIO, place: Path) -> None:
    file.seek(0)
    with place.open("xb") as written:
        shutil.copyfileobj(file, written, _CHUNK)


def _size(file: BinaryIO) -> int:
    return file.seek(0, os.SEEK_END)


def _is_zip(file: BinaryIO) -> bool:
    file.seek(0)
    return file.read(4) in (b"PK\x03\x04", b"PK\x05\x06")
