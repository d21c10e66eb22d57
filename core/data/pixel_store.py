"""One growing array per data set, size and fit, with a row per distinct file, found by the file's hash.

A store is a folder of generations (`g0001`, ...); the highest is used, and a new one is only made to drop unused rows.
Each has `pixels.npy` (uint8 [n, size, size]), `rows.txt` (a header line, then the SHA-1 of row 0, 1, ... and the
CRC-32 of its pixels) and `manifest.json`, written last. Rows are only added at the end, so a row never changes while it
is read. Rows of earlier versions have no checksum until `mend` gives them one.
"""

import io
import os
import re
import shutil
import zlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from core.checksums import write_json
from core.paths import write_atomically

# Increase it when decoding or resizing changes, so that older arrays are rebuilt.
VERSION = 3
_HEADER = 128  # of constant length: numpy reserves room for a larger first axis
_LINE = re.compile(r"([0-9a-f]{40})(?: ([0-9a-f]{8}))?")
DROPPED = "0" * 30  # the SHA-1 of a row whose pixels were altered becomes its number; no file has such a hash
_FIRST = "g0001"


# Rows that this process has compared with their checksums, by their file: bool [rows].
_compared: dict[tuple[str, int], np.ndarray] = {}


@dataclass(frozen=True)
class Stored:
    """SHA-1 of each row, the rows as a read-only memory map uint8 [n, size, size], and their checksums (-1: none)."""

    file: Path
    hashes: pd.Index
    pixels: np.ndarray
    sums: np.ndarray

    def damaged(self, rows: np.ndarray) -> np.ndarray:
        """The rows among these that differ from their checksums. A row is compared once per process."""
        if not len(rows):
            return rows  # a store without rows has no file
        key = str(self.file), self.file.stat().st_ino
        seen = _compared.get(key, np.zeros(0, bool))
        seen = np.concatenate([seen, np.zeros(max(len(self.pixels) - len(seen), 0), bool)])
        new = np.unique(rows[~seen[rows] & (self.sums[rows] >= 0)])
        wrong = new[~_fit(self, new)]
        seen[np.setdiff1d(new, wrong)] = True
        _compared[key] = seen
        return wrong


def known(folder: Path, size: int) -> pd.Index:
    """SHA-1 of every complete row, in the order of the rows. Rows half written by a killed process are ignored."""
    return _known(_newest(folder), size)[0]


def load(folder: Path, size: int) -> Stored:
    """The rows of a store."""
    while True:
        generation = _newest(folder)
        file, (hashes, sums) = generation / "pixels.npy", _known(generation, size)
        if not len(hashes):
            return Stored(file, hashes, np.zeros((0, size, size), np.uint8), sums)
        try:
            shape = (len(hashes), size, size)
            return Stored(file, hashes, np.memmap(file, np.uint8, "r", _HEADER, shape), sums)
        except FileNotFoundError:
            continue  # a newer generation has just replaced it


class Writer:
    """Adds rows to a store. Only the process that holds the store's lock may use it.

    Writes through the file instead of a memory map, so that a full disk raises OSError and not a bus error.
    """

    def __init__(self, folder: Path, size: int):
        self.folder, self.size = _newest(folder), size
        self.pending: list = []
        self.folder.mkdir(parents=True, exist_ok=True)
        _drop_others(folder, self.folder)
        kept, sums = _known(self.folder, size)
        self.rows = len(kept)
        # Removes an unfinished last line, so that no new line is appended to it.
        text, journal = _journal(size, kept, sums), self.folder / "rows.txt"
        if not journal.exists() or journal.read_bytes() != text.encode():
            write_atomically(journal, lambda path: path.write_text(text))
        self.file = os.open(self.folder / "pixels.npy", os.O_RDWR | os.O_CREAT, 0o666)
        self._write_header()

    def add(self, sha1: str, square: np.ndarray) -> None:
        """Write a row at the end. It becomes part of the store with the next `commit`."""
        place = _HEADER + (self.rows + len(self.pending)) * self.size**2
        content = np.ascontiguousarray(square).tobytes()
        _write_whole(self.file, content, place)
        self.pending.append(_line(sha1, _checksum(sha1, content)))

    def commit(self) -> None:
        """Make the added rows part of the store: their pixels reach the disk first, then their names."""
        if not self.pending:
            return
        os.fsync(self.file)
        with (self.folder / "rows.txt").open("a") as journal:
            journal.write("".join(f"{line}\n" for line in self.pending))
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
        write_json(self.folder / "manifest.json", record, indent=1)

    def close(self) -> None:
        """Close the file. Without `finish` before it, the store stays incomplete."""
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
    """Keep only the needed rows that are intact, in a new generation. Readers of the older one are not disturbed."""
    stored = load(folder, size)
    intact = np.ones(len(stored.hashes), bool)
    intact[stored.damaged(np.arange(len(intact)))] = False
    draft = folder / "draft"
    shutil.rmtree(draft, ignore_errors=True)
    writer = Writer(draft, size)
    try:
        for sha1, row, whole in zip(stored.hashes, stored.pixels, intact):
            if whole and sha1 in needed:
                writer.add(sha1, row)
        writer.commit()
        writer.finish(facts)
    finally:
        writer.close()
    old = _newest(folder)
    new = folder / f"g{int(old.name[1:]) + 1:04}"
    os.rename(draft / _FIRST, new)
    _drop_others(folder, new)


def mend(folder: Path, size: int) -> tuple[int, int]:
    """Drop the rows whose pixels were altered, and give a checksum to those of earlier versions; how many of each.

    Only the process that holds the store's lock may do so. Dropped rows are made again by the next pass over the files.
    """
    stored = load(folder, size)
    damaged = stored.damaged(np.arange(len(stored.hashes)))
    bare = np.flatnonzero((stored.sums < 0) & ~stored.hashes.str.startswith(DROPPED))
    if not len(damaged) and not len(bare):
        return 0, 0
    hashes, sums = stored.hashes.to_numpy(object).copy(), stored.sums.copy()
    sums[bare] = [_checksum(hashes[row], stored.pixels[row]) for row in bare]
    hashes[damaged], sums[damaged] = [f"{row:040x}" for row in damaged], -1
    text = _journal(size, hashes, sums)
    write_atomically(stored.file.with_name("rows.txt"), lambda path: path.write_text(text))
    return len(damaged), len(bare)


def _fit(stored: Stored, rows: np.ndarray) -> np.ndarray:
    """Whether each row has the pixels of its checksum, bool [rows]."""
    # As plain arrays: indexing a memory map or an Index takes longer than the checksum.
    hashes, pixels, sums = stored.hashes.to_numpy(object), np.asarray(stored.pixels), stored.sums.tolist()

    def fit(part: np.ndarray) -> list[bool]:
        return [_checksum(hashes[row], pixels[row]) == sums[row] for row in part.tolist()]

    if len(rows) < 1000:
        return np.array(fit(rows), bool)
    # zlib releases the GIL for rows of more than 5 kB.
    workers = os.cpu_count() or 1
    with ThreadPoolExecutor(workers) as pool:
        return np.concatenate([np.array(part, bool) for part in pool.map(fit, np.array_split(rows, 4 * workers))])


def _checksum(sha1: str, pixels: bytes | np.ndarray) -> int:
    return zlib.crc32(pixels, zlib.crc32(sha1.encode()))


def _journal(size: int, hashes: Iterable[str], sums: Iterable[int]) -> str:
    return "\n".join([_head(size), *map(_line, hashes, sums), ""])


def _line(sha1: str, checksum: int) -> str:
    return f"{sha1} {checksum:08x}" if checksum >= 0 else sha1


def _known(generation: Path, size: int) -> tuple[pd.Index, np.ndarray]:
    """SHA-1 and checksum (-1: none) of every complete row."""
    nothing = pd.Index([], dtype="str"), np.zeros(0, np.int64)
    try:
        lines = (generation / "rows.txt").read_text().split("\n")[:-1]  # the last element is an unfinished line
        complete = ((generation / "pixels.npy").stat().st_size - _HEADER) // size**2
    except (OSError, UnicodeDecodeError):
        return nothing
    if not lines or lines[0] != _head(size):
        return nothing
    found = [_LINE.fullmatch(line) for line in lines[1 : 1 + max(complete, 0)]]
    whole = [match for match in found[: found.index(None) if None in found else None] if match]
    sums = np.array([int(match[2], 16) if match[2] else -1 for match in whole], np.int64)
    return pd.Index([match[1] for match in whole], dtype="str"), sums


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
