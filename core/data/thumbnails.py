"""Small grey JPEGs for galleries, one per file content, made when the radiograph is decoded or first shown."""

import io
import os
from pathlib import Path

import numpy as np
from PIL import Image

from core.data.index import Dataset
from core.data.pixels import read_grey
from core.paths import cache_folder, write_atomically

SIDE = 160


def thumbnail(dataset: Dataset, path: str, sha1: str) -> bytes:
    """The JPEG of a radiograph, its longer side 160 px. UnreadableImage if it cannot be decoded."""
    file = thumbnail_file(dataset, sha1)
    try:
        return file.read_bytes()
    except OSError:
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
    write_atomically(file, lambda temporary: temporary.write_bytes(buffer.getvalue()))
    return buffer.getvalue()


def hashes_with_thumbnail(dataset: Dataset) -> set[str]:
    """SHA-1 of every file with a thumbnail. Lists 256 folders, whatever the number of files."""
    folder = cache_folder(dataset.name) / "thumbnails"
    found = set()
    for part in os.scandir(folder) if folder.is_dir() else ():
        if part.is_dir():
            found.update(entry.name[:-4] for entry in os.scandir(part.path) if entry.name.endswith(".jpg"))
    return {name for name in found if not name.startswith(".")}
