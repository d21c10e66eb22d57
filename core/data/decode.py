"""One pass over the files: each distinct file is decoded once for its pixels, thumbnail and measures.

Only missing results are made. The pass uses threads, since reading, hashing, decoding and resizing release the GIL. A
pass that is killed loses at most its last few hundred files.
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
from core.data.index import Dataset, read_index
from core.data.input_spec import InputSpec
from core.data.pixels import read_grey, to_square
from core.data.unreadable import UnreadableImage
from core.errors import OverreadError
from core.paths import cache_folder, unwritable
from core.plural import count_text

Progress = Callable[[int, int, str], None]
_COMMIT_EVERY = 256


@dataclass(frozen=True)
class DecodeReport:
    """Result of a pass. failed: {sha1: reason}; seconds: includes waiting for another process. altered: stored rows
    that did not have the pixels of their checksum any more and were dropped."""

    files: int = 0
    failed: dict = field(default_factory=dict)
    seconds: float = 0.0
    altered: int = 0


@dataclass(frozen=True)
class FileTask:
    """The outputs that are wanted from one file."""

    sha1: str
    paths: tuple[str, ...]
    square: bool = True
    thumbnail: bool = False
    measures: bool = False


def pixels_folder(dataset: Dataset, spec: InputSpec) -> Path:
    """The folder of the array of this size and fit."""
    return cache_folder(dataset.name) / f"{spec.fit}{spec.size}"


def decode(
    dataset: Dataset,
    index: pd.DataFrame,
    spec: InputSpec | None = None,
    thumbnail: bool = False,
    measures: bool = False,
    progress: Progress | None = None,
    mend: bool = False,
) -> DecodeReport:
    """Make what is missing for the rows of `index`: pixels for `spec`, and on request thumbnails and measures.

    Every decoded file also gets its thumbnail. Two processes never make the same thing: the second waits and finds
    it done. Files are identified by hash, so copies are decoded once. A file that changed since it was indexed fails,
    as does one that cannot be read; both are tried again in the next pass. mend: compare every stored row with its
    checksum first, and make altered ones again. OverreadError if the disk is full (results
    so far are kept) or if no file can be read.
    """
    started = time.monotonic()
    distinct = index.groupby("sha1", sort=False)["path"].agg(tuple)
    with _locked(dataset, spec, measures, len(distinct), progress):
        altered, _ = pixel_store.mend(pixels_folder(dataset, spec), spec.size) if spec and mend else (0, 0)
        tasks = _missing(dataset, distinct, spec, thumbnail, measures)
        if not tasks:
            return DecodeReport(seconds=time.monotonic() - started, altered=altered)
        failed = _make(dataset, tasks, spec, progress)
        if spec:
            _drop_unused(dataset, spec, failed)
    _check_not_all_failed(dataset, distinct, tasks, failed)
    return DecodeReport(len(tasks) - len(failed), failed, time.monotonic() - started, altered)


def measures_table(dataset: Dataset, index: pd.DataFrame, progress: Progress | None = None) -> pd.DataFrame:
    """Measures of every decodable file in `index`, by sha1: columns of `core.data.measures.MEASURES`.

    attrs `failed`: {sha1: reason} of the other files.
    """
    table, failed = measure_store.read_measures(dataset), {}
    if not pd.Index(index["sha1"].unique()).isin(table.index).all():
        failed = decode(dataset, index, measures=True, progress=progress).failed
        table = measure_store.read_measures(dataset)
    table = table[table.index.isin(index["sha1"])]
    table.attrs["failed"] = failed
    return table


def _missing(dataset: Dataset, distinct: pd.Series, spec, thumbnail: bool, measures: bool) -> list[FileTask]:
    hashes = distinct.index
    no = np.zeros(len(hashes), bool)
    square = ~hashes.isin(pixel_store.known(pixels_folder(dataset, spec), spec.size)) if spec else no
    measured = ~hashes.isin(measure_store.complete_measures(dataset).index) if measures else no
    small = ~hashes.isin(thumbnails.hashes_with_thumbnail(dataset))
    rows = zip(hashes, distinct, square, small, measured)
    return [FileTask(*row) for row in rows if row[2] or row[4] or (thumbnail and row[3])]


def _make(dataset: Dataset, tasks: list[FileTask], spec: InputSpec | None, progress: Progress | None) -> dict[str, str]:
    """Carry out the tasks; {sha1: reason} of those that failed. Results are kept even if the pass is interrupted."""
    what = f"decoding to {spec.size} px" if spec else "decoding"
    failed, measured = {}, {}
    try:
        if spec:
            _need_space(pixels_folder(dataset, spec), sum(task.square for task in tasks) * spec.size**2)
        writer = pixel_store.Writer(pixels_folder(dataset, spec), spec.size) if spec else None
    except OSError as error:
        raise unwritable(pixels_folder(dataset, spec), error) from error
    try:
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            for done, (task, result) in enumerate(in_order(pool, file_worker(dataset, spec), tasks), 1):
                if isinstance(result, str):
                    failed[task.sha1] = result
                else:
                    square, row = result
                    if square is not None:
                        writer.add(task.sha1, square)
                    if row is not None:
                        measured[task.sha1] = row
                if done % _COMMIT_EVERY == 0:
                    _commit(dataset, writer, measured)
                if progress and (done % 32 == 0 or done == len(tasks)):
                    progress(done, len(tasks), what)
        _commit(dataset, writer, measured)
        if writer:
            writer.finish({"size": spec.size, "fit": spec.fit, "failed": failed})
    except OSError as error:
        if writer:
            writer.discard_pending()
        raise unwritable(cache_folder(dataset.name), error) from error
    except BaseException:
        # The work may have been stopped by the user; a full disk that follows must not hide that reason.
        with suppress(OSError, OverreadError):
            _commit(dataset, writer, measured)
        raise
    finally:
        if writer:
            writer.close()
    return failed


def file_worker(dataset: Dataset, spec: InputSpec | None) -> Callable[[FileTask], object]:
    """The function that carries out one task: its square and its measures, or the reason for having none."""
    root = Path(dataset.root)

    def work(task: FileTask) -> tuple | str:
        """The square and the measures of one file, or the reason for having none."""
        try:
            grey = _read_checked(root, task)
        except UnreadableImage as error:
            return error.reason
        if task.thumbnail:
            thumbnails.write_thumbnail(thumbnails.thumbnail_file(dataset, task.sha1), grey)
        square = to_square(grey, spec.size, spec.fit) if task.square else None
        return square, measure_store.measure(grey) if task.measures else None

    return work


def _read_checked(root: Path, task: FileTask) -> np.ndarray:
    """Grey levels of the first of the paths whose file still has the indexed content."""
    problem = None
    for path in task.paths:
        try:
            data = (root / path).read_bytes()
            if hashlib.sha1(data).hexdigest() == task.sha1:
                return read_grey(root / path, data)
            problem = problem or UnreadableImage(path, "it has changed since it was indexed; index the data set again")
        except UnreadableImage as error:
            problem = problem or error
        except (OSError, ValueError) as error:
            missing = isinstance(error, FileNotFoundError)
            problem = problem or UnreadableImage(path, "the file does not exist" if missing else _error_text(error))
    raise problem


def _error_text(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()


def in_order(pool: ThreadPoolExecutor, call: Callable, items: Iterable, ahead: int = 0) -> Iterator[tuple]:
    """Each item with its result, in order. Works only a few items ahead, so memory does not grow with the set.

    ahead: how many; by default four for each core.
    """
    ahead, waiting = ahead or 4 * (os.cpu_count() or 1), deque()
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
        measure_store.add_measures(dataset, measured)
        measured.clear()


def _need_space(folder: Path, size: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < size:
        raise OverreadError(
            f"{folder} needs {size / 1e6:,.0f} MB for decoded radiographs, but the disk has "
            f"{free / 1e6:,.0f} MB free. Free some space or move OVERREAD_HOME.",
            code="disk-space-short",
        )


def _drop_unused(dataset: Dataset, spec: InputSpec, failed: dict) -> None:
    """Remove rows of files that are no longer in the index, if they are more than a quarter of the array."""
    try:
        needed = set(read_index(dataset.name)["sha1"])
    except OverreadError:
        return  # no such index, so it is not known which rows are needed
    folder = pixels_folder(dataset, spec)
    stored = pixel_store.known(folder, spec.size)
    unused = int((~stored.isin(needed)).sum())
    if unused * 4 > len(stored):
        with suppress(OSError, OverreadError):  # where the disk is full, the rows stay
            pixel_store.compact(folder, spec.size, needed, {"size": spec.size, "fit": spec.fit, "failed": failed})


@contextmanager
def _locked(dataset: Dataset, spec: InputSpec | None, measures: bool, total: int, progress: Progress | None):
    """Hold the locks of the results. The system releases the lock of a process that was killed."""
    folder = cache_folder(dataset.name)
    names = ([f".{spec.fit}{spec.size}.lock"] if spec else []) + ([".measures.lock"] if measures else [])
    locks = []
    try:
        for name in names or [".thumbnails.lock"]:
            locks.append(_acquired(folder / name, total, progress))
        yield
    finally:
        for lock in locks:
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
                    progress(0, total, "waiting for another process that decodes the same files")
    except OSError as error:
        raise unwritable(file, error) from error


def _check_not_all_failed(dataset: Dataset, distinct: pd.Series, tasks: list[FileTask], failed: dict) -> None:
    if len(failed) < len(distinct) or not failed:
        return
    first = tasks[0]
    raise OverreadError(
        f"None of the {count_text(len(distinct), 'radiograph')} below {dataset.root} can be read (first: "
        f"{first.paths[0]}: "
        f"{failed[first.sha1]}). Put the folder back, or index it again in its new place.",
        code="no-readable-radiograph",
    )
