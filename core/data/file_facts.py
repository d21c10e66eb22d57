"""Hash, size and integrity of each file, read once; a file whose structure proves it whole is not decoded."""

import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from core.data import jpeg, png
from core.data.dicom_files import is_dicom
from core.data.pixels import describe_conversion, open_image, read_grey, upright_size
from core.data.unreadable import MOST_PIXELS, UnreadableImage
from core.errors import reason_of

Progress = Callable[[int, int, str], None]
# Facts by which an unchanged file is recognised: (bytes, mtime_ns, width, height, sha1, conversion).
StoredFacts = tuple[int, int, int, int, str, str]
# Bit depth 8, grey or colour, and the only compression and filter that PNG has, not interlaced.
_PLAIN = (b"\x08\x00\x00\x00\x00", b"\x08\x02\x00\x00\x00")
_HARMLESS = frozenset((b"IHDR", b"IDAT", b"IEND", b"pHYs", b"tEXt", b"tIME", b"gAMA", b"sRGB", b"cHRM"))
# A file modified less than this before indexing may change again within the same tick of the clock.
_SETTLED_NS = 2_000_000_000
# Files a thread handles per task: one task per file would cost more than recognising an unchanged file.
_FILES_PER_TASK = 32
# Files between two calls of `keep`: about ten seconds of reading.
_KEPT_EVERY = 4096


@dataclass(frozen=True)
class FileFacts:
    """Width and height in pixels, bytes, SHA-1, and how the image is converted when read ('' if it is not)."""

    width: int
    height: int
    bytes: int
    sha1: str
    conversion: str = ""


@dataclass(frozen=True)
class FileInspection:
    """Facts of each path in order (None if unreadable), {path, reason} of the unreadable ones, facts to store."""

    facts: list[FileFacts | None] = field(default_factory=list)
    unreadable: list[dict] = field(default_factory=list)
    stored: dict[str, StoredFacts] = field(default_factory=dict)


def inspect_files(
    root: Path,
    paths: list[str],
    known: dict[str, StoredFacts],
    progress: Progress | None = None,
    keep: Callable[[dict[str, StoredFacts]], None] | None = None,
) -> FileInspection:
    """Inspect every path below `root`; a file with the size and time stored in `known` is not read again.

    Runs in threads, because hashing and decoding release the GIL. keep: called every few thousand files with the facts
    so far, which become `known` if the work is stopped and begun again.
    """
    found, now, top = FileInspection(), time.time_ns(), str(root)

    def inspect_one(path: str) -> tuple[FileFacts | UnreadableImage, tuple[int, int] | None]:
        try:
            status = os.stat(os.path.join(top, path))
            stamp = (status.st_size, status.st_mtime_ns)
            if known.get(path, ())[:2] == stamp:
                size, _, width, height, sha1, conversion = known[path]
                return FileFacts(width, height, size, sha1, conversion), stamp
        except (OSError, ValueError):
            stamp = None  # inspect_file reports the problem
        try:
            return inspect_file(root / path), stamp
        except UnreadableImage as error:
            return error, stamp

    parts = [paths[start : start + _FILES_PER_TASK] for start in range(0, len(paths), _FILES_PER_TASK)]
    with _stopped_at_once(ThreadPoolExecutor(min(8, 2 * (os.cpu_count() or 1)))) as pool:
        results = chain.from_iterable(pool.map(lambda part: [inspect_one(path) for path in part], parts))
        for done, (path, (result, stamp)) in enumerate(zip(paths, results), 1):
            if isinstance(result, UnreadableImage):
                found.facts.append(None)
                found.unreadable.append({"path": path, "reason": result.reason})
            else:
                found.facts.append(result)
                if stamp and stamp[1] < now - _SETTLED_NS:
                    found.stored[path] = (*stamp, result.width, result.height, result.sha1, result.conversion)
            if progress and (done % 64 == 0 or done == len(paths)):
                progress(done, len(paths), "reading files")
            if keep and done % _KEPT_EVERY == 0:
                keep(found.stored)
    return found


@contextmanager
def _stopped_at_once(pool: ThreadPoolExecutor) -> Iterator[ThreadPoolExecutor]:
    """The pool; an error or Ctrl-C drops the tasks that have not begun instead of waiting for all of them."""
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def inspect_file(path: Path) -> FileFacts:
    """Read the file once. UnreadableImage if it is empty, not an image, damaged or truncated.

    A PNG whose chunks have valid checksums up to IEND is whole, and so is a JPEG whose data fill it up to its end
    marker. Any other file is decoded to find out.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            # Reading a pipe or a device could block or never end.
            raise UnreadableImage(path, "it is not a file")
        data = path.read_bytes()
    except OSError as error:
        raise UnreadableImage(path, (error.strerror or str(error)).lower()) from error
    except ValueError as error:
        # A NUL character in a manifest's cell: Python rejects the name before it asks for a file.
        raise UnreadableImage(path, f"its path is not a valid file name ({reason_of(error)})") from error
    if not data:
        raise UnreadableImage(path, "the file is empty (0 bytes)")
    if is_dicom(data):
        height, width = read_grey(path, data).shape
        return FileFacts(width, height, len(data), hashlib.sha1(data).hexdigest())
    kinds = _chunks(data)
    if plain := _plain_size(data, kinds):
        return FileFacts(*plain, len(data), hashlib.sha1(data).hexdigest())
    image = open_image(path, data)
    if not (b"IEND" in kinds or _whole_jpeg(path, data)):
        read_grey(path, data)
    width, height = upright_size(image)
    return FileFacts(width, height, len(data), hashlib.sha1(data).hexdigest(), describe_conversion(image, data))


def _plain_size(data: bytes, kinds: list[bytes]) -> tuple[int, int] | None:
    """Width and height of a whole 8-bit grey or colour PNG without special chunks, as in MURA; None for other files.

    Asking Pillow instead would take half as long again as hashing.
    """
    width, height = int.from_bytes(data[16:20]), int.from_bytes(data[20:24])
    plain = kinds[:1] == [b"IHDR"] and b"IDAT" in kinds and _HARMLESS.issuperset(kinds)
    return (width, height) if plain and data[24:29] in _PLAIN and 0 < width * height <= MOST_PIXELS else None


def _whole_jpeg(path: Path, data: bytes) -> bool:
    if data[:2] != jpeg.START or data[-2:] != jpeg.END:
        return False
    if jpeg.is_truncated(data):
        raise UnreadableImage(path, jpeg.TRUNCATED)
    return True


def _chunks(data: bytes) -> list[bytes]:
    """Types of a PNG's chunks up to IEND, repeats merged; empty if a chunk is truncated or fails its checksum."""
    found: list[bytes] = []
    for kind, _, _, right in png.chunks(data):
        if not right:
            return []
        if found[-1:] != [kind]:
            found.append(kind)
    return found if found[-1:] == [b"IEND"] else []
