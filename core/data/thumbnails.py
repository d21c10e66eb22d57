"""Small grey JPEGs for galleries, one per file content, made when the radiograph is decoded or first shown.

A checksum follows the JPEG in its file. A thumbnail that was altered is made again.
"""

import io
import os
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from core.data.index import Dataset
from core.data.pixels import read_grey
from core.paths import cache_folder, write_atomically

SIDE = 160
_MARK, _END = b"crc32:", b"\xff\xd9"


def thumbnail(dataset: Dataset, path: str, sha1: str) -> bytes:
    """The JPEG of a radiograph, its longer side 160 px. UnreadableImage if it cannot be decoded."""
    file = thumbnail_file(dataset, sha1)
    try:
        return _intact(file.read_bytes())
    except (OSError, ValueError):
        return write_thumbnail(file, read_grey(Path(dataset.root) / path))


def thumbnail_file(dataset: Dataset, sha1: str) -> Path:
    """The place of the thumbnail of a file's content, whether it exists or not."""
    return cache_folder(dataset.name) / "thumbnails" / sha1[:2] / f"{sha1}.jpg"


def write_thumbnail(file: Path, grey: np.ndarray) -> bytes:
    """Make and store the JPEG of uint8 [height, width]."""
    image = Image.fromarray(grey)
    image.thumbnail((SIDE, SIDE))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=82)
    jpeg = buffer.getvalue()
    write_atomically(file, lambda temporary: temporary.write_bytes(jpeg + _MARK + _checksum(jpeg)))
    return jpeg


def is_intact(file: Path) -> bool:
    """Whether a thumbnail is as it was written. Those of earlier versions have no checksum."""
    try:
        return bool(_intact(file.read_bytes()))
    except (OSError, ValueError):
        return False


def _intact(content: bytes) -> bytes:
    """The JPEG of a file's content. ValueError where it does not have the checksum behind it."""
    jpeg, mark, checksum = content[:-10], content[-10:-4], content[-4:]
    if mark != _MARK and content.endswith(_END):
        return content  # written by an earlier version
    if mark != _MARK or checksum != _checksum(jpeg):
        raise ValueError("the thumbnail was altered")
    return jpeg


def _checksum(jpeg: bytes) -> bytes:
    return zlib.crc32(jpeg).to_bytes(4)


def hashes_with_thumbnail(dataset: Dataset) -> set[str]:
    """SHA-1 of every file with a thumbnail. Lists 256 folders for any number of files."""
    folder = cache_folder(dataset.name) / "thumbnails"
    found: set = set()
    for part in os.scandir(folder) if folder.is_dir() else ():
        if part.is_dir():
            found.update(entry.name[:-4] for entry in os.scandir(part.path) if entry.name.endswith(".jpg"))
    return {name for name in found if not name.startswith(".")}
