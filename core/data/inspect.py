"""One look at a file: its hash and size, and whether it is whole, without decoding it where its structure tells."""

import hashlib
import stat
import zlib
from dataclasses import dataclass
from pathlib import Path

from core.data.pixels import UnreadableImage, open_image, read_grey


@dataclass(frozen=True)
class FileFacts:
    """What the index keeps of a file: pixels across and down, bytes, SHA-1."""

    width: int
    height: int
    bytes: int
    sha1: str


def inspect(path: Path) -> FileFacts:
    """Read the file once. UnreadableImage where it is empty, no image, damaged or cut off.

    A PNG whose chunks carry their checksums up to IEND, and a JPEG that ends in its end marker, are whole; any other
    file is decoded to find out.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            # A pipe or a device would be waited for, or read without end.
            raise UnreadableImage(path, "it is not a file")
        data = path.read_bytes()
    except OSError as error:
        raise UnreadableImage(path, (error.strerror or str(error)).lower()) from error
    except ValueError as error:
        # A NUL in a manifest's cell: Python refuses the name before any file is asked for.
        raise UnreadableImage(path, f"its path is not one that a file can have ({error})") from error
    if not data:
        raise UnreadableImage(path, "the file is empty (0 bytes)")
    if data[128:132] == b"DICM":
        height, width = read_grey(path, data).shape
        return FileFacts(width, height, len(data), hashlib.sha1(data).hexdigest())
    image = open_image(path, data)
    if not (_whole_png(data) or _whole_jpeg(data)):
        read_grey(path, data)
    return FileFacts(*image.size, len(data), hashlib.sha1(data).hexdigest())


def _whole_jpeg(data: bytes) -> bool:
    return data[:2] == b"\xff\xd8" and data[-2:] == b"\xff\xd9"


def _whole_png(data: bytes) -> bool:
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        return False
    at, view = 8, memoryview(data)
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(view[at : at + 4])
        if end + 4 > len(data) or zlib.crc32(view[at + 4 : end]) != int.from_bytes(view[end : end + 4]):
            return False
        if bytes(view[at + 4 : at + 8]) == b"IEND":
            return True
        at = end + 4
    return False
