"""Files that a visitor hands over: kept in `OVERREAD_HOME/uploads`, under the name of the data set they become."""

import os
import shutil
from collections.abc import Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from core.data.archives import disk_error, is_zip, safe_parts, size_text
from core.data.datasets import list_datasets
from core.errors import OverreadError
from core.paths import checked_name, home
from core.plural import count_clause
from core.roles import needs

SPARE = 200 << 20  # bytes of the disk that stay free


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


def check_upload(files: Sequence[tuple[str, int]], limits: UploadLimits = UploadLimits()) -> None:
    """OverreadError where files (name, bytes) are none, too many or too large, or have names that cannot be kept."""
    if not files:
        raise OverreadError("No file was uploaded; expected a zip, images with a CSV, or DICOM files.", code="no-file")
    if len(files) > limits.files:
        raise OverreadError(
            f"{count_clause(len(files), 'file', 'were')} uploaded; at most {limits.files:,} are accepted singly. Put "
            "them into one zip.",
            code="upload-too-many-files",
        )
    size = sum(bytes_ for _, bytes_ in files)
    if size > limits.bytes:
        raise OverreadError(
            f"The upload has {size_text(size)}; at most {size_text(limits.bytes)} are taken. Copy the files to the "
            "server and give their folder or zip.",
            code="upload-too-large",
        )
    _safe_paths([name for name, _ in files])


@needs("data")
def store_upload(name: str, files: Sequence[tuple[str, Path]], limits: UploadLimits = UploadLimits()) -> Path:
    """Move files (name, place) that have arrived to where a data set keeps them: one zip as it is, else a new folder.

    Returns its path. The name is reserved, so that two visitors cannot add one name. They are on one disk, so nothing
    is copied.
    """
    check_upload([(path, file.stat().st_size) for path, file in files], limits)
    with _reserved(name) as partial:
        single = len(files) == 1 and is_zip(files[0][1])
        target = packed_upload(name) if single else upload_folder(name)
        try:
            if single:
                os.replace(files[0][1], target)
            else:
                partial.mkdir()
                for path, (_, file) in zip(_safe_paths([path for path, _ in files]), files):
                    (partial / path).parent.mkdir(parents=True, exist_ok=True)
                    os.replace(file, partial / path)
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
            _remove(partial)  # left by a killed server
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


def _safe_paths(names: Sequence[str]) -> list[str]:
    """A safe path below the upload for each name. OverreadError where two have one path."""
    found: list[str] = []
    simple = set()
    for name in names:
        path = "/".join(safe_parts(name.replace("\\", "/"), "The upload"))
        if path.casefold() in simple or not path:
            raise OverreadError(
                f"Two uploaded files are named {path[:80]!r}; expected different names. Put them into one "
                "zip with their folders.",
                code="upload-name-twice",
            )
        simple.add(path.casefold())
        found.append(path)
    return found
