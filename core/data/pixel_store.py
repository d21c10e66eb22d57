"""One growing array a (data set, size, fit): a row per distinct file, found by the file's hash.

A store is a folder of generations (`g0001`, ...), of which the highest counts; a new one is only made to drop rows
nobody needs. Each holds `pixels.npy` (uint8 [n, size, size]), `rows.txt` (a head line, then the SHA-1 of row 0, 1, ...)
and `manifest.json`, written last. Rows are only ever added at the end, so a reader never meets one that changes.
"""

import io
import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd

from core.paths import write_atomically

# Raised when the way from file to bytes changes, so that older arrays are begun anew.
VERSION = 3
_HEADER = 128  # numpy leaves room in it for a longer first axis, so it keeps its length while the array grows
_SHA1 = re.compile(r"[0-9a-f]{40}")
_FIRST = "g0001"


def known(folder: Path, size: int) -> pd.Index:
    """SHA-1 of every row that is whole, in the order of the rows. What a kill left half written is not counted."""
    return _known(_newest(folder), size)


def load(folder: Path, size: int) -> tuple[pd.Index, np.ndarray]:
    """SHA-1 of each row, and the rows, read-only: uint8 [n, size, size]. Memory is used only for what is touched."""
    while True:
        generation = _newest(folder)
        hashes = _known(generation, size)
        if not len(hashes):
            return hashes, np.zeros((0, size, size), np.uint8)
        try:
            shape = (len(hashes), size, size)
            return hashes, np.memmap(generation / "pixels.npy", np.uint8, "r", _HEADER, shape)
        except FileNotFoundError:
            continue  # a newer generation has just taken its place


class Writer:
    """Adds rows to a store. For one process at a time, which holds the store's lock.

    Bytes go through the file, not through a memory map: a disk that fills up is then an error and no bus error.
    """

    def __init__(self, folder: Path, size: int):
        self.folder, self.size, self.pending = _newest(folder), size, []
        self.folder.mkdir(parents=True, exist_ok=True)
        _drop_others(folder, self.folder)
        kept = _known(self.folder, size)
        self.rows = len(kept)
        # The journal is cut back to what is whole, so that new lines do not follow half of one.
        text, journal = "\n".join([_head(size), *kept, ""]), self.folder / "rows.txt"
        if not journal.exists() or journal.read_bytes() != text.encode():
            write_atomically(journal, lambda path: path.write_text(text))
        self.file = os.open(self.folder / "pixels.npy", os.O_RDWR | os.O_CREAT, 0o666)
        self._write_header()

    def add(self, sha1: str, square: np.ndarray) -> None:
        """Put a row at the end. It counts from the next `commit` on."""
        place = _HEADER + (self.rows + len(self.pending)) * self.size**2
        _write_whole(self.file, np.ascontiguousarray(square).tobytes(), place)
        self.pending.append(sha1)

    def commit(self) -> None:
        """Make the rows added so far count: first their pixels reach the disk, then their names."""
        if not self.pending:
            return
        os.fsync(self.file)
        with (self.folder / "rows.txt").open("a") as journal:
            journal.write("".join(f"{sha1}\n" for sha1 in self.pending))
        self.rows += len(self.pending)
        self.pending = []
        self._write_header()

    def give_up_pending(self) -> None:
        """Free the room of rows that never came to count."""
        self.pending = []
        os.ftruncate(self.file, _HEADER + self.rows * self.size**2)

    def finish(self, facts: dict) -> None:
        """Write the manifest: the last thing that happens to a store."""
        record = {"version": VERSION, "images": self.rows, "bytes": self.rows * self.size**2, **facts}
        write_atomically(self.folder / "manifest.json", lambda path: path.write_text(json.dumps(record, indent=1)))

    def close(self) -> None:
        os.close(self.file)

    def _write_header(self) -> None:
        """What makes the file one that `numpy.load` opens."""
        buffer = io.BytesIO()
        facts = {"descr": "|u1", "fortran_order": False, "shape": (self.rows, self.size, self.size)}
        np.lib.format.write_array_header_1_0(buffer, facts)
        header = buffer.getvalue()
        assert len(header) == _HEADER, f"numpy wrote a header of {len(header)} bytes"
        _write_whole(self.file, header, 0)


def compact(folder: Path, size: int, needed: set[str], facts: dict) -> None:
    """Drop the rows nobody needs, in a new generation. Who reads the older one keeps it until it is closed."""
    hashes, pixels = load(folder, size)
    draft = folder / "draft"
    shutil.rmtree(draft, ignore_errors=True)
    writer = Writer(draft, size)
    try:
        for sha1, row in zip(hashes, pixels):
            if sha1 in needed:
                writer.add(sha1, row)
        writer.commit()
        writer.finish(facts)
    finally:
        writer.close()
    old = _newest(folder)
    new = folder / f"g{int(old.name[1:]) + 1:04}"
    os.rename(draft / _FIRST, new)
    _drop_others(folder, new)


def _known(generation: Path, size: int) -> pd.Index:
    try:
        lines = (generation / "rows.txt").read_text().split("\n")[:-1]  # after the last line's end stands half a line
        held = ((generation / "pixels.npy").stat().st_size - _HEADER) // size**2
    except (OSError, UnicodeDecodeError):
        return pd.Index([], dtype="str")
    if not lines or lines[0] != _head(size):
        return pd.Index([], dtype="str")
    hashes = lines[1 : 1 + max(held, 0)]
    damaged = next((place for place, text in enumerate(hashes) if not _SHA1.fullmatch(text)), len(hashes))
    return pd.Index(hashes[:damaged], dtype="str")


def _newest(folder: Path) -> Path:
    generations = [path for path in folder.glob("g[0-9][0-9][0-9][0-9]") if path.is_dir()]
    return max(generations, default=folder / _FIRST)


def _drop_others(folder: Path, kept: Path) -> None:
    """Remove older generations, drafts, and what version 1 left."""
    for path in folder.iterdir():
        if path.is_dir() and path != kept:
            shutil.rmtree(path, ignore_errors=True)


def _write_whole(file: int, data: bytes, place: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(file, view, place)
        view, place = view[written:], place + written


def _head(size: int) -> str:
    return f"overread pixels, version {VERSION}, size {size}"
