"""Files on their way from a browser: written to the disk piece by piece, continued after an interruption, bounded.

They are in `OVERREAD_HOME/uploads/.arriving` until `core.data.uploads.store_upload` moves them. Those that nobody
continues are removed.
"""

import hashlib
import json
import os
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock

from core.data.archives import check_room, disk_error, size_text
from core.data.uploads import SPARE, UploadLimits, check_upload
from core.errors import OverreadError
from core.paths import home
from core.plural import count_text

PIECE = 8 << 20  # bytes that are sent at once, so that no more of a file is ever in memory
KEPT_SECONDS = 3600  # seconds within which an interrupted upload can be continued
_LIST = "files.json"


@dataclass(frozen=True)
class Announced:
    """A file that a browser is about to send: its name, its bytes, and when it was changed there."""

    name: str
    size: int
    modified: int = 0


@dataclass(frozen=True)
class Arrival:
    """An upload under way. have: bytes of each file that are on the disk."""

    id: str
    files: tuple[Announced, ...]
    have: tuple[int, ...]

    @property
    def complete(self) -> bool:
        """Whether every byte has arrived."""
        return all(here == file.size for here, file in zip(self.have, self.files))


def begin_arrival(visitor: str, files: list[Announced], limits: UploadLimits = UploadLimits()) -> Arrival:
    """Make room for files, or find what one visitor has sent of the same files before.

    OverreadError for too many files or bytes, unsafe names, and a full disk, before a byte is sent.
    """
    check_upload([(file.name, file.size) for file in files], limits)
    known = json.dumps([visitor, *[list(asdict(file).values()) for file in files]])
    folder = _folder(hashlib.sha256(known.encode()).hexdigest()[:24])
    try:
        folder.mkdir(parents=True, exist_ok=True)
        os.utime(folder)
        (folder / _LIST).write_text(json.dumps([asdict(file) for file in files]), encoding="utf-8")
        found = read_arrival(folder.name)
        check_room(folder.parent, sum(file.size for file in files) - sum(found.have) + SPARE, "The upload")
    except OSError as error:
        raise disk_error(folder.parent, error, "The upload could not be stored") from error
    return found


def read_arrival(arrival: str) -> Arrival:
    """The upload with the bytes that have arrived. OverreadError for one that was removed."""
    folder = _folder(arrival)
    try:
        files = tuple(Announced(**row) for row in json.loads((folder / _LIST).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        raise OverreadError(
            "This upload was removed because nobody continued it. Choose the files again.", code="upload-gone"
        ) from None
    return Arrival(arrival, files, tuple(_size(_part(folder, place)) for place in range(len(files))))


def add_piece(arrival: str, place: int, offset: int, piece: bytes) -> int:
    """Append a piece to a file, and return the bytes that it has now. A piece is kept whole or not at all.

    offset: the place of the piece in the file; a piece that was sent twice, or out of turn, changes nothing.
    """
    folder = _folder(arrival)
    with FileLock(folder.with_name(f".{arrival}.lock")):
        return _append(folder, place, offset, piece)


def arrived_files(arrival: str) -> list[tuple[str, Path]]:
    """Name and place of each file of a complete upload. OverreadError for an incomplete one."""
    found, folder = read_arrival(arrival), _folder(arrival)
    if not found.complete:
        raise OverreadError("The upload is not complete yet. Wait, or choose the files again.", code="upload-cut-off")
    for place, file in enumerate(found.files):
        if not file.size:
            _part(folder, place).touch()
    return [(file.name, _part(folder, place)) for place, file in enumerate(found.files)]


def forget_arrival(arrival: str) -> None:
    """Remove what has arrived of an upload."""
    _remove(_folder(arrival))


def remove_abandoned(seconds: float = KEPT_SECONDS) -> int:
    """Remove uploads that got no piece for KEPT_SECONDS, and return their number."""
    removed = 0
    for folder in _arriving().glob("*/"):
        try:
            if time.time() - folder.stat().st_mtime >= seconds:
                _remove(folder)
                removed += 1
        except OSError:
            continue  # another process has just removed it
    return removed


def _append(folder: Path, place: int, offset: int, piece: bytes) -> int:
    found = read_arrival(folder.name)
    if not 0 <= place < len(found.files):
        raise OverreadError(
            f"The upload has {count_text(len(found.files), 'file')}, and piece number {place + 1} arrived. "
            "Choose the files again.",
            code="upload-unknown-file",
        )
    file, here = found.files[place], found.have[place]
    if offset != here:
        return here
    if here + len(piece) > file.size:
        raise OverreadError(
            f"{file.name[:80]!r} was announced with {size_text(file.size)} and is longer. Choose the files again.",
            code="upload-too-large",
        )
    part = _part(folder, place)
    try:
        os.utime(folder)
        _write(part, piece)
    except OSError as error:
        if part.exists():
            os.truncate(part, here)
        raise disk_error(folder.parent, error, "The upload could not be stored") from error
    return here + len(piece)


def _write(part: Path, piece: bytes) -> None:
    with part.open("ab") as written:
        written.write(piece)


def _arriving() -> Path:
    return home() / "uploads" / ".arriving"


def _folder(arrival: str) -> Path:
    if not arrival.isalnum() or not arrival.isascii():
        raise OverreadError(f"{arrival[:40]!r} names no upload. Choose the files again.", code="upload-gone")
    return _arriving() / arrival


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.with_name(f".{folder.name}.lock").unlink(missing_ok=True)


def _part(folder: Path, place: int) -> Path:
    return folder / f"{place}.part"


def _size(part: Path) -> int:
    try:
        return part.stat().st_size
    except OSError:
        return 0
