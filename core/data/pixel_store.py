"""One growing array per data set, size and fit, with a row per distinct file, found by the file's hash.

A store is a folder of generations (`g0001`, ...); the highest is used, and a new one is only made to drop unused rows.
Each has `pixels.npy` (uint8 [n, size, size]), `rows.txt` (a header line, then the SHA-1 of row 0, 1, ...) and
`manifest.json`, written last. Rows are only added at the end, so a row never changes while it is read.
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

# Increase it when decoding or resizing changes, so that older arrays are rebuilt.
VERSION = 3
_HEADER = 128  # of constant length: numpy reserves room for a larger first axis
_SHA1 = re.compile(r"[0-9a-f]{40}")
_FIRST = "g0001"


def known(folder: Path, size: int) -> pd.Index:
    """SHA-1 of every complete row, in the order of the rows. Rows half written by a killed process are ignored."""
    return _known(_newest(folder), size)


def load(folder: Path, size: int) -> tuple[pd.Index, np.ndarray]:
    """SHA-1 of each row, and the rows as a read-only memory map: uint8 [n, size, size]."""
    while True:
        generation = _newest(folder)
        hashes = _known(generation, size)
        if not len(hashes):
            return hashes, np.zeros((0, size, size), np.uint8)
        try:
            shape = (len(hashes), size, size)
            return hashes, np.memmap(generation / "pixels.npy", np.uint8, "r", _HEADER, shape)
        except FileNotFoundError:
            continue  # a newer generation has just replaced it


class Writer:
    """Adds rows to a store. Only the process that holds the store's lock may use it.

    Writes through the file instead of a memory map, so that a full disk raises OSError and not a bus error.
    """

    def __init__(self, folder: Path, size: int):
        self.folder, self.size, self.pending = _newest(folder), size, []
        self.folder.mkdir(parents=True, exist_ok=True)
        _drop_others(folder, self.folder)
        kept = _known(self.folder, size)
        self.rows = len(kept)
        # Removes a half-written last line, so that new lines do not follow it.
        text, journal = "\n".join([_head(size), *kept, ""]), self.folder / "rows.txt"
        if not journal.exists() or journal.read_bytes() != text.encode():
            write_atomically(journal, lambda path: path.write_text(text))
        self.file = os.open(self.folder / "pixels.npy", os.O_RDWR | os.O_CREAT, 0o666)
        self._write_header()

    def add(self, sha1: str, square: np.ndarray) -> None:
        """Write a row at the end. It becomes part of the store with the next `commit`."""
        place = _HEADER + (self.rows + len(self.pending)) * self.size**2
        _write_whole(self.file, np.ascontiguousarray(square).tobytes(), place)
        self.pending.append(sha1)

    def commit(self) -> None:
        """Make the added rows part of the store: their pixels reach the disk first, then their names."""
        if not self.pending:
            return
        os.fsync(self.file)
        with (self.folder / "rows.txt").open("a") as journal:
            journal.write("".join(f"{sha1}\n" for sha1 in self.pending))
        self.rows += len(self.pending)
        self.pending = []
        self._write_header()

    def discard_pending(self) -> None:
        """Free the space of rows that were not committed."""
        self.pending = []
        os.ftruncate(self.file, _HEADER + self.rows * self.size**2)

    def finish(self, facts: dict) -> None:
        """Write the manifest, the last step."""
        record = {"version": VERSION, "images": self.rows, "bytes": self.rows * self.size**2, **facts}
        write_atomically(self.folder / "manifest.json", lambda path: path.write_text(json.dumps(record, indent=1)))

    def close(self) -> None:
        os.close(self.file)

    def _write_header(self) -> None:
        """Write the header that lets `numpy.load` open the file."""
        buffer = io.BytesIO()
        facts = {"descr": "|u1", "fortran_order": False, "shape": (self.rows, self.size, self.size)}
        np.lib.format.write_array_header_1_0(buffer, facts)
        header = buffer.getvalue()
        assert len(header) == _HEADER, f"numpy wrote a header of {len(header)} bytes"
        _write_whole(self.file, header, 0)


def compact(folder: Path, size: int, needed: set[str], facts: dict) -> None:
    """Keep only the needed rows, in a new generation. Open readers of the older one are not disturbed."""
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
        lines = (generation / "rows.txt").read_text().split("\n")[:-1]  # the last element is an unfinished line
        complete = ((generation / "pixels.npy").stat().st_size - _HEADER) // size**2
    except (OSError, UnicodeDecodeError):
        return pd.Index([], dtype="str")
    if not lines or lines[0] != _head(size):
        return pd.Index([], dtype="str")
    hashes = lines[1 : 1 + max(complete, 0)]
    damaged = next((place for place, text in enumerate(hashes) if not _SHA1.fullmatch(text)), len(hashes))
    return pd.Index(hashes[:damaged], dtype="str")


def _newest(folder: Path) -> Path:
    generations = [path for path in folder.glob("g[0-9][0-9][0-9][0-9]") if path.is_dir()]
    return max(generations, default=folder / _FIRST)


def _drop_others(folder: Path, kept: Path) -> None:
    """Remove older generations, drafts, and folders of version 1."""
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
