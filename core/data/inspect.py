"""One look at a file: its hash and size, and whether it is whole, without decoding it where its structure tells."""

import hashlib
import stat
import zlib
from dataclasses import dataclass
from pathlib import Path

from core.data.dicom_files import is_dicom
from core.data.grey_levels import MOST_PIXELS, UnreadableImage
from core.data.pixels import open_image, peculiarity, read_grey, upright_size

# Depth, kind (grey, colour), and the only compression and filter there are, not interlaced.
_PLAIN = (b"\x08\x00\x00\x00\x00", b"\x08\x02\x00\x00\x00")
_HARMLESS = frozenset((b"IHDR", b"IDAT", b"IEND", b"pHYs", b"tEXt", b"tIME", b"gAMA", b"sRGB", b"cHRM"))


@dataclass(frozen=True)
class FileFacts:
    """What the index keeps of a file: pixels across and down, bytes, SHA-1; what of it is not shown as it is stored."""

    width: int
    height: int
    bytes: int
    sha1: str
    peculiar: str = ""


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
    if is_dicom(data):
        height, width = read_grey(path, data).shape
        return FileFacts(width, height, len(data), hashlib.sha1(data).hexdigest())
    kinds = _chunks(data)
    if plain := _plain_size(data, kinds):
        return FileFacts(*plain, len(data), hashlib.sha1(data).hexdigest())
    image = open_image(path, data)
    if not (b"IEND" in kinds or _whole_jpeg(data)):
        read_grey(path, data)
    width, height = upright_size(image)
    return FileFacts(width, height, len(data), hashlib.sha1(data).hexdigest(), peculiarity(image))


def _plain_size(data: bytes, kinds: list[bytes]) -> tuple[int, int] | None:
    """Width and height of a whole PNG of 8 bits, grey or colour, with nothing peculiar in it: what MURA is made of.

    None for any other file. Pillow would take half as long again as hashing does to say the same.
    """
    width, height = int.from_bytes(data[16:20]), int.from_bytes(data[20:24])
    plain = kinds[:1] == [b"IHDR"] and b"IDAT" in kinds and _HARMLESS.issuperset(kinds)
    return (width, height) if plain and data[24:29] in _PLAIN and 0 < width * height <= MOST_PIXELS else None


def _whole_jpeg(data: bytes) -> bool:
    return data[:2] == b"\xff\xd8" and data[-2:] == b"\xff\xd9"


def _chunks(data: bytes) -> list[bytes]:
    """The kinds of a PNG's chunks up to IEND, one of several IDAT; empty where one is cut off or fails its checksum."""
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        return []
    at, view, found = 8, memoryview(data), []
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(view[at : at + 4])
        if end + 4 > len(data) or zlib.crc32(view[at + 4 : end]) != int.from_bytes(view[end : end + 4]):
            return []
        if found[-1:] != [kind := bytes(view[at + 4 : at + 8])]:
            found.append(kind)
        if kind == b"IEND":
            return found
        at = end + 4
    return []
