"""Radiographs decoded once: a uint8 array per (data set, rows, size, fit), opened by mmap."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from filelock import FileLock

from core.data.index import Dataset
from core.data.input_spec import InputSpec
from core.data.pixels import UnreadableImage
from core.errors import OverreadError
from core.paths import cache_folder, unwritable, write_atomically

_TO_DO, _DONE, _FAILED = 0, 1, 2
# Raised when the way from file to bytes changes, so that older caches are made again.
_VERSION = 1


@dataclass(frozen=True)
class PixelCache:
    """pixels: uint8 [n, size, size], read-only, in the order of `image_ids`; failed: rows that could not be decoded."""

    pixels: np.ndarray
    image_ids: pd.Index
    failed: list

    def rows_of(self, image_ids) -> np.ndarray:
        """Row of each image, int [n]; -1 where it is not here or could not be decoded."""
        rows = self.image_ids.get_indexer(pd.Index(image_ids))
        bad = {entry["path"] for entry in self.failed}
        return np.where(pd.Index(image_ids).isin(bad), -1, rows) if bad else rows


def pixel_cache(
    dataset: Dataset, index: pd.DataFrame, spec: InputSpec, progress: Callable[[int, int, str], None] | None = None
) -> PixelCache:
    """The rows of `index` as pixels for `spec`, decoded now where they have not been.

    A build that was killed goes on where it stopped; the manifest is written last, so what has one is whole. Keyed by
    the content of the files as indexed: a new index of changed files makes a new cache.
    """
    folder = cache_folder(dataset.name) / f"{spec.fit}{spec.size}" / _key(index)
    image_ids = pd.Index(index["image_id"])
    manifest = folder / "manifest.json"
    try:
        # What failed is tried again: a file may have been out of reach only then.
        if not manifest.exists() or json.loads(manifest.read_text())["failed"]:
            _build_alone(folder, dataset, index, spec, progress)
        failed = json.loads(manifest.read_text())["failed"]
        pixels = np.load(folder / "pixels.npy", mmap_mode="r")
    except (OSError, ValueError, KeyError, EOFError) as error:
        if isinstance(error, OverreadError):
            raise
        raise OverreadError(
            f"The pixel cache {folder} is damaged ({error}). Delete that folder; it is made again."
        ) from error
    return PixelCache(pixels, image_ids, failed)


def _build_alone(folder: Path, dataset: Dataset, index: pd.DataFrame, spec: InputSpec, progress) -> None:
    """Build while no other process does; one that waited finds the work done."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock")
        lock.acquire()
    except OSError as error:
        raise unwritable(folder, error) from error
    try:
        failed = _build(folder, Path(dataset.root), index, spec, progress)
        record = {"index_hash": dataset.index_hash, "images": len(index), "failed": failed}
        write_atomically(folder / "manifest.json", lambda path: path.write_text(json.dumps(record, indent=1)))
    finally:
        lock.release()
    _drop_stale(folder, dataset.index_hash)


def _build(folder: Path, root: Path, index: pd.DataFrame, spec: InputSpec, progress) -> list[dict]:
    shape = (len(index), spec.size, spec.size)
    try:
        _need_space(folder, int(np.prod(shape)))
        pixels = _open_array(folder / "pixels.npy", shape)
        state = _open_array(folder / "state.npy", shape[:1])
    except OSError as error:
        raise unwritable(folder, error) from error
    paths = index["path"].tolist()
    todo = np.flatnonzero(state[:] != _DONE).tolist()
    failed = []

    def decode(row: int):
        try:
            pixels[row] = spec.pixels(root / paths[row])
            state[row] = _DONE
        except UnreadableImage as error:
            state[row] = _FAILED
            return {"path": index["image_id"].iloc[row], "reason": error.reason}

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for done, failure in enumerate(pool.map(decode, todo), 1):
            if failure:
                failed.append(failure)
            if progress and (done % 32 == 0 or done == len(todo)):
                progress(done + len(paths) - len(todo), len(paths), f"decoding to {spec.size} px")
    if len(failed) == len(paths) and paths:
        shutil.rmtree(folder)
        raise OverreadError(
            f"None of the {len(paths)} radiographs below {root} can be read (first: {failed[0]['path']}: "
            f"{failed[0]['reason']}). Put the folder back where it was, or index it again at its new place."
        )
    pixels.flush()
    return failed


def _open_array(file: Path, shape: tuple) -> np.memmap:
    if file.exists():
        try:
            array = np.load(file, mmap_mode="r+")
            if array.shape == shape and array.dtype == np.uint8:
                return array
        except (OSError, ValueError, EOFError):
            pass  # a file whose header was never finished; begun anew below
    array = np.lib.format.open_memmap(file, mode="w+", dtype=np.uint8, shape=shape)
    if hasattr(os, "posix_fallocate"):
        # The whole file is claimed now: a disk that fills up under a memory map ends the process with a bus error.
        with file.open("r+b") as opened:
            os.posix_fallocate(opened.fileno(), 0, file.stat().st_size)
    return array


def _need_space(folder: Path, size: int) -> None:
    held = sum(file.stat().st_blocks * 512 for file in folder.glob("*.npy"))
    free = shutil.disk_usage(folder).free
    if free < size - held:
        raise OverreadError(
            f"{folder} needs {size / 1e6:,.0f} MB for decoded radiographs and the disk has "
            f"{free / 1e6:,.0f} MB free; free some space or move OVERREAD_HOME."
        )


def _drop_stale(folder: Path, index_hash: str) -> None:
    for manifest in folder.parent.glob("*/manifest.json"):
        try:
            stale = json.loads(manifest.read_text())["index_hash"] != index_hash
        except (OSError, ValueError, KeyError):
            stale = False  # another process may be at it
        if stale and manifest.parent != folder:
            shutil.rmtree(manifest.parent, ignore_errors=True)


def _key(index: pd.DataFrame) -> str:
    content = f"{_VERSION}\n" + "\n".join(index["image_id"] + " " + index["sha1"])
    return hashlib.sha256(content.encode()).hexdigest()[:12]
