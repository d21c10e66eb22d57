"""Whether a JPEG has all of its pixels. Decoders fill what is missing with grey and only warn.

Names follow ITU-T T.81: a scan is entropy-coded data of some components; markers are 0xFF and a code.
"""

import io
import math
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

START, END = b"\xff\xd8", b"\xff\xd9"
# The end of a scan's data: any marker but a stuffed zero, a restart, or a fill byte.
_AFTER_SCAN = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")
_SEQUENTIAL, _PROGRESSIVE, _LOSSLESS = (0xC0, 0xC1), 0xC2, 0xC3
_FRAMES = (*_SEQUENTIAL, _PROGRESSIVE, _LOSSLESS)
# Long codes, so that at most two blocks are decoded from it; decoders read up to eight bytes ahead.
_AHEAD = b"\xfe" * 10
# Data that no scan ends with by chance. Decoders ignore it after the last block.
_OTHER_DATA = bytes(np.random.default_rng(0).integers(1, 255, 512, dtype=np.uint8))
_ZEROS = bytes(64)
TRUNCATED = "image file is truncated: its JPEG data end before the last row"


@dataclass(frozen=True)
class Scan:
    """Components of a scan, its first and last coefficient, its lowest bit (0: exact), and where its data are."""

    components: bytes
    first: int
    last: int
    low_bit: int
    start: int
    end: int


@dataclass(frozen=True)
class Layout:
    """Frame marker (0xC0 to 0xC3), bits of a sample, size in pixels, sampling of each component, and the scans.

    restarts: MCUs between restart markers in each scan, 0 for none. end: where the end marker is, or None without one.
    """

    frame: int
    precision: int
    width: int
    height: int
    sampling: dict[int, tuple[int, int]]
    restarts: tuple[int, ...]
    scans: tuple[Scan, ...]
    end: int | None


def read_layout(data: bytes) -> Layout | None:
    """Markers and scans of a JPEG; None where it is of another kind (arithmetic, hierarchical) or has no scan."""
    frame, precision, size, sampling, interval = 0, 8, (0, 0), {}, 0
    scans, restarts, end = [], [], None
    for kind, body, after in _segments(data):
        if kind in _FRAMES and not frame and len(body) >= 6:
            frame, precision, size = kind, body[0], (int.from_bytes(body[3:5]), int.from_bytes(body[1:3]))
            parts = [body[at : at + 3] for at in range(6, 6 + 3 * body[5], 3)]
            sampling = {part[0]: (part[1] >> 4, part[1] & 15) for part in parts if len(part) == 3}
        elif 0xC5 <= kind <= 0xCF and kind not in (0xC8, 0xCC):
            return None
        elif kind == 0xDD and len(body) >= 2:
            interval = int.from_bytes(body[:2])
        elif kind == 0xDA and body and len(body) >= 4 + 2 * body[0]:
            found = _AFTER_SCAN.search(data, after)
            stop = found.start() if found else len(data)
            first, last, bits = body[1 + 2 * body[0] : 4 + 2 * body[0]]
            scans.append(Scan(body[1 : 1 + 2 * body[0] : 2], first, last, bits & 15, after, stop))
            restarts.append(interval)
        elif kind == 0xD9:
            end = after - 2
    if not (frame and scans):
        return None
    return Layout(frame, precision, *size, sampling, tuple(restarts), tuple(scans), end)


def _segments(data: bytes) -> Iterator[tuple[int, bytes, int]]:
    """(marker, its body, position after it) up to the end marker; the data of scans are passed over."""
    at = 2
    while data[:2] == START and (found := _AFTER_SCAN.search(data, at)):
        kind, at = data[found.end() - 1], found.end()
        if kind == 0xD9:
            yield kind, b"", at
            return
        if kind in (0x01, 0xD8):
            continue
        length = int.from_bytes(data[at : at + 2])
        if length < 2 or at + length > len(data):
            return
        yield kind, data[at + 2 : at + length], at + length
        at += length


def is_truncated(data: bytes, decode: Callable[[bytes], np.ndarray] | None = None) -> bool:
    """Whether a JPEG's data end early, also where an end marker was put after them.

    Only this is judged: True is certain, and False says nothing of a file that does not decode. decode: a decoder of
    frames that Pillow cannot read (12 bits, lossless), which gets data with an end marker and returns an array.
    """
    layout = read_layout(data)
    if layout is None:
        return False
    last = layout.scans[-1]
    if layout.end is None and data[-len(_ZEROS) :] == _ZEROS and last.end == len(data):
        return True  # a download into a file of zeros
    if not _all_sent(layout) or any(_lacks_restarts(layout, place, data) for place in range(len(layout.scans))):
        return True
    # A lone 0xFF would make a marker of what follows.
    content = data[: last.end].rstrip(b"\xff")
    if decode is None and layout.frame in _SEQUENTIAL and len(layout.scans) == 1:
        # Without an end marker Pillow raises an error where it needs more data, and fills nothing.
        return _pillow_lacks_data(content + _AHEAD)
    decode = decode or _decoded
    try:
        filled = decode(content + END)
    except (OSError, ValueError, RuntimeError):
        return False
    try:
        return not np.array_equal(filled, decode(content + _OTHER_DATA + END))
    except (OSError, ValueError, RuntimeError):
        return True  # the other data were decoded


def _all_sent(layout: Layout) -> bool:
    """Whether every component has a scan and, in a progressive image, every coefficient has its last bit."""
    for component in layout.sampling:
        scans = [scan for scan in layout.scans if component in scan.components]
        if layout.frame == _PROGRESSIVE:
            exact = {place for scan in scans if not scan.low_bit for place in range(scan.first, scan.last + 1)}
            if 0 not in exact or ((len(exact) > 1 or any(scan.last for scan in scans)) and len(exact) < 64):
                return False
        elif not scans:
            return False
    return True


def _lacks_restarts(layout: Layout, place: int, data: bytes) -> bool:
    """Whether a scan has fewer restart markers than its size asks for."""
    scan, interval = layout.scans[place], layout.restarts[place]
    if not interval or not layout.height or layout.frame == _LOSSLESS or not layout.sampling:
        return False
    most = [max(factor[axis] for factor in layout.sampling.values()) for axis in (0, 1)]
    if len(scan.components) == 1:  # its blocks are counted without those that fill up an MCU
        own = layout.sampling.get(scan.components[0], (1, 1))
        columns, rows = (
            math.ceil(math.ceil(length * own[axis] / most[axis]) / 8)
            for axis, length in enumerate((layout.width, layout.height))
        )
    else:
        columns, rows = math.ceil(layout.width / (8 * most[0])), math.ceil(layout.height / (8 * most[1]))
    expected = math.ceil(columns * rows / interval) - 1
    return sum(1 for _ in _RESTART.finditer(data, scan.start, scan.end)) < expected


def _pillow_lacks_data(data: bytes) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(data))
            # At an eighth of the size, all data are read and only the mean of each block is computed.
            image.draft("L", (1, 1))
            image.load()
    except OSError as error:
        return "truncated" in str(error)
    except (ValueError, SyntaxError, Image.DecompressionBombError):
        return False
    return False


def _decoded(data: bytes) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.asarray(Image.open(io.BytesIO(data)))
