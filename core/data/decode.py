"""One pass over the files: each distinct one is read and decoded once, and everything that is made of it is made then.

What is missing is made, in threads (reading, hashing, decoding and resizing leave the interpreter's lock): the rows of
a pixel store, thumbnails, and rows of measures. A pass that is killed loses at most its last few hundred files.
"""

import hashlib
import os
import shutil
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from filelock import FileLock, Timeout

from core.data import measure_store, pixel_store, thumbnails
from core.data.grey_levels import UnreadableImage
from core.data.index import Dataset, read_index
from core.data.input_spec import InputSpec
from core.data.pixels import read_grey, to_square
from core.errors import OverreadError
from core.paths import cache_folder, unwritable

Progress = Callable[[int, int, str], None]
_COMMIT_EVERY = 256


@dataclass(frozen=True)
class Decoded:
    """What a pass did. failed: {sha1: reason}; seconds: its time, waiting for another process included."""

    files: int = 0
    failed: dict = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True)
class _Wanted:
    """What is to be made of one file."""

    sha1: str
    paths: tuple[str, ...]
    square: bool
    thumbnail: bool
    measures: bool


def pixels_folder(dataset: Dataset, spec: InputSpec) -> Path:
    """Where the array of this size and fit lies."""
    return cache_folder(dataset.name) / f"{spec.fit}{spec.size}"


def decode(
    dataset: Dataset,
    index: pd.DataFrame,
    spec: InputSpec | None = None,
    thumbnail: bool = False,
    measures: bool = False,
    progress: Progress | None = None,
) -> Decoded:
    """Make what is missing for the rows of `index`: pixels for `spec`, and, where asked for, thumbnails and measures.

    A file that is decoded for one of them gets its thumbnail in passing. One process at a time makes the same thing;
    another waits and finds it made. A file is told by its hash: copies are decoded once, and one that was changed
    since it was indexed fails, as does one that cannot be read; both are tried again in the next pass.
    OverreadError where the disk is full (what was made is kept) or none of several files can be read.
    """
    started = time.monotonic()
    distinct = index.groupby("sha1", sort=False)["path"].agg(tuple)
    with _alone(dataset, spec, measures, len(distinct), progress):
        wanted = _missing(dataset, distinct, spec, thumbnail, measures)
        if not wanted:
            return Decoded(seconds=time.monotonic() - started)
        failed = _make(dataset, wanted, spec, progress)
        if spec:
            _drop_unneeded(dataset, spec, failed)
    _check_not_all_failed(dataset, distinct, wanted, failed)
    return Decoded(len(wanted) - len(failed), failed, time.monotonic() - started)


def measures_table(dataset: Dataset, index: pd.DataFrame, progress: Progress | None = None) -> pd.DataFrame:
    """The measures of every file in `index` that can be decoded, by sha1: columns of `core.data.measures.MEASURES`.

    attrs `failed`: {sha1: reason} of the others.
    """
    table, failed = measure_store.read(dataset), {}
    if not pd.Index(index["sha1"].unique()).isin(table.index).all():
        failed = decode(dataset, index, measures=True, progress=progress).failed
        table = measure_store.read(dataset)
    table = table[table.index.isin(index["sha1"])]
    table.attrs["failed"] = failed
    return table


def _missing(dataset: Dataset, distinct: pd.Series, spec, thumbnail: bool, measures: bool) -> list[_Wanted]:
    hashes = distinct.index
    no = np.zeros(len(hashes), bool)
    square = ~hashes.isin(pixel_store.known(pixels_folder(dataset, spec), spec.size)) if spec else no
    measured = ~hashes.isin(measure_store.read(dataset).index) if measures else no
    small = ~hashes.isin(thumbnails.made(dataset))
    rows = zip(hashes, distinct, square, small, measured)
    return [_Wanted(*row) for row in rows if row[2] or row[4] or (thumbnail and row[3])]


def _make(dataset: Dataset, wanted: list[_Wanted], spec: InputSpec | None, progress: Progress | None) -> dict[str, str]:
    """Do the work; {sha1: reason} of what failed. Whatever ends it, what was made until then is kept."""
    what = f"decoding to {spec.size} px" if spec else "decoding"
    failed, measured = {}, {}
    try:
        if spec:
            _need_space(pixels_folder(dataset, spec), sum(item.square for item in wanted) * spec.size**2)
        writer = pixel_store.Writer(pixels_folder(dataset, spec), spec.size) if spec else None
    except OSError as error:
        raise unwritable(pixels_folder(dataset, spec), error) from error
    try:
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            for done, (item, result) in enumerate(_in_order(pool, _worker(dataset, spec), wanted), 1):
                if isinstance(result, str):
                    failed[item.sha1] = result
                else:
                    square, row = result
                    if square is not None:
                        writer.add(item.sha1, square)
                    if row is not None:
                        measured[item.sha1] = row
                if done % _COMMIT_EVERY == 0:
                    _commit(dataset, writer, measured)
                if progress and (done % 32 == 0 or done == len(wanted)):
                    progress(done, len(wanted), what)
        _commit(dataset, writer, measured)
        if writer:
            writer.finish({"size": spec.size, "fit": spec.fit, "failed": failed})
    except OSError as error:
        if writer:
            writer.give_up_pending()
        raise unwritable(cache_folder(dataset.name), error) from error
    except BaseException:
        # Stopped by hand, say. A disk that is full as well must not hide why.
        with suppress(OSError, OverreadError):
            _commit(dataset, writer, measured)
        raise
    finally:
        if writer:
            writer.close()
    return failed


def _worker(dataset: Dataset, spec: InputSpec | None) -> Callable[[_Wanted], object]:
    root = Path(dataset.root)

    def work(item: _Wanted) -> tuple | str:
        """The square and the measures of one file, or why there are none."""
        try:
            grey = _read_checked(root, item)
        except UnreadableImage as error:
            return error.reason
        if item.thumbnail:
            thumbnails.write_thumbnail(thumbnails.thumbnail_file(dataset, item.sha1), grey)
        square = to_square(grey, spec.size, spec.fit) if item.square else None
        return square, measure_store.measure(grey) if item.measures else None

    return work


def _read_checked(root: Path, item: _Wanted) -> np.ndarray:
    """The grey levels of the first of a content's files that still holds it."""
    problem = None
    for path in item.paths:
        try:
            data = (root / path).read_bytes()
            if hashlib.sha1(data).hexdigest() == item.sha1:
                return read_grey(root / path, data)
            problem = problem or UnreadableImage(path, "it has changed since it was indexed; index the data set again")
        except UnreadableImage as error:
            problem = problem or error
        except (OSError, ValueError) as error:
            gone = isinstance(error, FileNotFoundError)
            problem = problem or UnreadableImage(path, "there is no such file" if gone else _words(error))
    raise problem


def _words(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()


def _in_order(pool: ThreadPoolExecutor, call: Callable, items: Iterable) -> Iterator[tuple]:
    """Each item with its result, in order, a few ahead of who takes them: memory does not grow with the set."""
    ahead, waiting = 4 * (os.cpu_count() or 1), deque()
    try:
        for item in items:
            waiting.append((item, pool.submit(call, item)))
            if len(waiting) > ahead:
                first, future = waiting.popleft()
                yield first, future.result()
        while waiting:
            first, future = waiting.popleft()
            yield first, future.result()
    finally:
        for _, future in waiting:
            future.cancel()


def _commit(dataset: Dataset, writer: pixel_store.Writer | None, measured: dict) -> None:
    if writer:
        writer.commit()
    if measured:
        measure_store.add(dataset, measured)
        measured.clear()


def _need_space(folder: Path, size: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < size:
        raise OverreadError(
            f"{folder} needs {size / 1e6:,.0f} MB for decoded radiographs and the disk has "
            f"{free / 1e6:,.0f} MB free; free some space or move OVERREAD_HOME."
        )


def _drop_unneeded(dataset: Dataset, spec: InputSpec, failed: dict) -> None:
    """After files have changed, their older rows lie idle; from a quarter of the array on they are dropped."""
    try:
        needed = set(read_index(dataset.name)["sha1"])
    except OverreadError:
        return  # no index by that name: nothing says what is needed
    folder = pixels_folder(dataset, spec)
    there = pixel_store.known(folder, spec.size)
    idle = int((~there.isin(needed)).sum())
    if idle * 4 > len(there):
        with suppress(OSError, OverreadError):  # for want of space they stay
            pixel_store.compact(folder, spec.size, needed, {"size": spec.size, "fit": spec.fit, "failed": failed})


@contextmanager
def _alone(dataset: Dataset, spec: InputSpec | None, measures: bool, total: int, progress: Progress | None):
    """Hold the locks of what is made. The system frees a lock whose process was killed."""
    folder = cache_folder(dataset.name)
    names = ([f".{spec.fit}{spec.size}.lock"] if spec else []) + ([".measures.lock"] if measures else [])
    held = []
    try:
        for name in names or [".thumbnails.lock"]:
            held.append(_acquired(folder / name, total, progress))
        yield
    finally:
        for lock in held:
            lock.release()


def _acquired(file: Path, total: int, progress: Progress | None) -> FileLock:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(file)
        while True:
            try:
                lock.acquire(timeout=1)
                return lock
            except Timeout:
                if progress:
                    progress(0, total, "waiting for another process that decodes these")
    except OSError as error:
        raise unwritable(file, error) from error


def _check_not_all_failed(dataset: Dataset, distinct: pd.Series, wanted: list[_Wanted], failed: dict) -> None:
    if len(failed) < len(distinct) or not failed:
        return
    first = wanted[0]
    raise OverreadError(
        f"None of the {len(distinct)} radiographs below {dataset.root} can be read (first: {first.paths[0]}: "
        f"{failed[first.sha1]}). Put the folder back where it was, or index it again at its new place."
    )
