"""Small grey JPEGs for galleries: a file per content, made when the radiograph is decoded or first looked at."""

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
    """The JPEG of a radiograph, its longer side 160 px. UnreadableImage where it cannot be decoded."""
    file = thumbnail_file(dataset, sha1)
    try:
        return file.read_bytes()
    except OSError:
        return write_thumbnail(file, read_grey(Path(dataset.root) / path))


def thumbnail_file(dataset: Dataset, sha1: str) -> Path:
    """Where the thumbnail of a file's content lies, made or not."""
    return cache_folder(dataset.name) / "thumbnails" / sha1[:2] / f"{sha1}.jpg"


def write_thumbnail(file: Path, grey: np.ndarray) -> bytes:
    """Make and keep the JPEG of uint8 [height, width]."""
    image = Image.fromarray(grey)
    image.thumbnail((SIDE, SIDE))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=82)
    write_atomically(file, lambda temporary: temporary.write_bytes(buffer.getvalue()))
    return buffer.getvalue()


def made(dataset: Dataset) -> set[str]:
    """SHA-1 of every file whose thumbnail is ready: one look at 256 folders, however many there are."""
    folder = cache_folder(dataset.name) / "thumbnails"
    found = set()
    for part in os.scandir(folder) if folder.is_dir() else ():
        if part.is_dir():
            found.update(entry.name[:-4] for entry in os.scandir(part.path) if entry.name.endswith(".jpg"))
    return {name for name in found if not name.startswith(".")}
