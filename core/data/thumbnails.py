"""Small grey JPEGs for galleries, made once per file content."""

import io
from pathlib import Path

from PIL import Image

from core.data.index import Dataset
from core.data.pixels import read_grey
from core.paths import cache_folder, write_atomically

SIDE = 160


def thumbnail(dataset: Dataset, path: str, sha1: str) -> bytes:
    """The JPEG of a radiograph, its longer side 160 px. UnreadableImage where it cannot be decoded."""
    file = cache_folder(dataset.name) / "thumbnails" / sha1[:2] / f"{sha1}.jpg"
    if not file.exists():
        image = Image.fromarray(read_grey(Path(dataset.root) / path))
        image.thumbnail((SIDE, SIDE))
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=82)
        write_atomically(file, lambda temporary: temporary.write_bytes(buffer.getvalue()))
    return file.read_bytes()
