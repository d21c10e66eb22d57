"""Radiographs as pixels for a network, one part after another, from the pixel cache or from the files themselves."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.data.cache import PixelCache
from core.data.datasets import Dataset
from core.data.decode import FileTask, file_worker, in_order
from core.data.input_spec import InputSpec


@dataclass(frozen=True)
class PixelPart:
    """rows: of an index, those that could be decoded, [n]. pixels: uint8 [n, size, size].

    left_out: {image_id, path, sha1, reason} of the others.
    """

    rows: pd.DataFrame
    pixels: np.ndarray
    left_out: list[dict]


PixelParts = Callable[[pd.DataFrame, int], Iterator[PixelPart]]


def cached_parts(cache: PixelCache) -> PixelParts:
    """Parts of rows that were requested from a pixel cache."""
    reasons = {row["path"]: row["reason"] for row in cache.failed}

    def parts(rows: pd.DataFrame, size: int) -> Iterator[PixelPart]:
        for start in range(0, len(rows), size):
            part = rows.iloc[start : start + size]
            places = cache.rows_of(part["image_id"])
            yield PixelPart(part[places >= 0], cache.pixels[places[places >= 0]], _left_out(part[places < 0], reasons))

    return parts


def streamed_parts(dataset: Dataset, spec: InputSpec) -> PixelParts:
    """Parts that are decoded when they are asked for and not kept. The next part is decoded meanwhile."""
    work = file_worker(dataset, spec)

    def parts(rows: pd.DataFrame, size: int) -> Iterator[PixelPart]:
        tasks = [FileTask(sha1, (path,)) for sha1, path in zip(rows["sha1"], rows["path"])]
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            results = in_order(pool, work, tasks, ahead=size)
            for start in range(0, len(rows), size):
                part, found = rows.iloc[start : start + size], []
                for _ in range(len(part)):
                    found.append(next(results)[1])
                whole = np.array([not isinstance(result, str) for result in found], bool)
                squares = [result[0] for result in found if not isinstance(result, str)]
                empty = np.zeros((0, spec.size, spec.size), np.uint8)
                reasons = dict(zip(part["image_id"], found))
                yield PixelPart(part[whole], np.stack(squares) if squares else empty, _left_out(part[~whole], reasons))

    return parts


def is_readable(dataset: Dataset, spec: InputSpec, path: str, sha1: str) -> bool:
    """Whether the file exists, has the indexed content and can be decoded."""
    return not isinstance(file_worker(dataset, spec)(FileTask(sha1, (path,))), str)


def _left_out(rows: pd.DataFrame, reasons: dict[str, str]) -> list[dict]:
    names = ("image_id", "path", "sha1")
    return [{**dict(zip(names, row)), "reason": reasons[row[0]]} for row in rows[list(names)].itertuples(index=False)]
