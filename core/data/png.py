"""Checksums of a PNG's chunks. A wrong one is harmless in a chunk that an image can do without, such as a text."""

import zlib
from collections.abc import Iterator

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunks(data: bytes) -> Iterator[tuple[bytes, int, int, bool]]:
    """(type, start, end, whether its checksum is right) of each whole chunk of a PNG, up to and with IEND."""
    at, view = 8, memoryview(data)
    while data[:8] == SIGNATURE and at + 12 <= len(data):
        end = at + 12 + int.from_bytes(view[at : at + 4])
        if end > len(data):
            return
        kind = bytes(view[at + 4 : at + 8])
        yield kind, at, end, zlib.crc32(view[at + 4 : end - 4]) == int.from_bytes(view[end - 4 : end])
        if kind == b"IEND":
            return
        at = end


def is_ancillary(kind: bytes) -> bool:
    """Whether a decoder may pass over chunks of this type: the first letter is small."""
    return bool(kind[:1] and kind[0] & 32)


def without_damaged(data: bytes) -> tuple[bytes, list[str], list[str]]:
    """The PNG without ancillary chunks that fail their checksum, their types, and the critical types that fail."""
    damaged = [(kind, start, end) for kind, start, end, right in chunks(data) if not right]
    left_out = [(start, end) for kind, start, end in damaged if is_ancillary(kind)]
    for start, end in reversed(left_out):
        data = data[:start] + data[end:]
    names: dict[bool, list[str]] = {True: [], False: []}
    for kind, _, _ in damaged:
        name = kind.decode("latin-1").encode("ascii", "replace").decode()
        names[is_ancillary(kind)] += [name] if name not in names[is_ancillary(kind)] else []
    return data, names[True], names[False]
