"""Measures of a data set's files, kept as Parquet by content: parts while they are made, one file when they are."""

import importlib.util
import os
import time
from pathlib import Path

import numpy as np
import pandas as pd

from core.data.index import Dataset
from core.errors import OverreadError
from core.paths import cache_folder, write_atomically


def available() -> bool:
    """Whether there is something that measures."""
    return importlib.util.find_spec("core.data.measures") is not None


def measure(grey: np.ndarray) -> dict:
    """One row of measures of uint8 [height, width]."""
    return _measures().measure(grey)


def read(dataset: Dataset) -> pd.DataFrame:
    """What has been measured so far, by sha1. A part that cannot be read is made again."""
    frames = []
    for file in sorted(measures_folder(dataset).glob("*.parquet")):
        try:
            frames.append(pd.read_parquet(file).set_index("sha1"))
        except FileNotFoundError:
            return read(dataset)  # parts have just become one
        except (ValueError, KeyError):
            file.unlink(missing_ok=True)
    if not frames:
        return pd.DataFrame(columns=list(_measures().MEASURES), index=pd.Index([], dtype="str", name="sha1"))
    table = pd.concat(frames)
    return table[~table.index.duplicated()]


def add(dataset: Dataset, rows: dict[str, dict]) -> None:
    """Keep rows, {sha1: measures}; many parts become one."""
    folder = measures_folder(dataset)
    fresh = pd.DataFrame.from_dict(rows, orient="index").rename_axis("sha1").reset_index()
    parts = sorted(folder.glob("*.parquet"))
    if len(parts) >= 16:
        fresh = pd.concat([read(dataset).reset_index(), fresh], ignore_index=True).drop_duplicates("sha1")
    # The name orders parts by time, and no two processes share one.
    name = f"{time.time_ns():020}-{os.getpid()}.parquet"
    write_atomically(folder / name, lambda path: fresh.to_parquet(path, index=False))
    if len(parts) >= 16:
        for part in parts:
            part.unlink(missing_ok=True)


def measures_folder(dataset: Dataset) -> Path:
    """Where the measures of a data set lie."""
    return cache_folder(dataset.name) / f"measures-v{_measures().VERSION}"


def _measures():
    if not available():
        raise OverreadError("Measures of radiographs are not part of this version; update it.")
    from core.data import measures

    return measures
