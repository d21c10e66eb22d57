"""Stored measures of a data set's files, by content: Parquet parts, merged when there are many."""

import importlib.util
import os
import time
from pathlib import Path

import numpy as np
import pandas as pd

from core.checksums import remove_checked
from core.data.index import Dataset
from core.errors import OverreadError
from core.parquet_files import read_parquet, write_parquet
from core.paths import cache_folder


def available() -> bool:
    """Whether this version can measure radiographs."""
    return importlib.util.find_spec("core.data.measures") is not None


def measure(grey: np.ndarray) -> dict:
    """Measures of one radiograph uint8 [height, width]."""
    return _measures().measure(grey)


def read_measures(dataset: Dataset) -> pd.DataFrame:
    """The measures so far, by sha1. A part that cannot be read is deleted, to be measured again."""
    frames = []
    for file in sorted(measures_folder(dataset).glob("*.parquet")):
        try:
            frames.append(read_parquet(file).set_index("sha1"))
        except FileNotFoundError:
            return read_measures(dataset)  # the parts have just been merged
        except (ValueError, KeyError):
            remove_checked(file)
    if not frames:
        return pd.DataFrame(columns=list(_measures().MEASURES), index=pd.Index([], dtype="str", name="sha1"))
    table = pd.concat(frames)
    return table[~table.index.duplicated(keep="last")]


def complete_measures(dataset: Dataset) -> pd.DataFrame:
    """`read_measures` without the files that an earlier version measured before a measure was added."""
    table = read_measures(dataset)
    names = list(_measures().MEASURES)
    return table.dropna(subset=names) if set(names) <= set(table) else table.iloc[:0]


def add_measures(dataset: Dataset, rows: dict[str, dict]) -> None:
    """Store rows, {sha1: measures}; merges the parts when there are many."""
    folder = measures_folder(dataset)
    fresh = pd.DataFrame.from_dict(rows, orient="index").rename_axis("sha1").reset_index()
    parts = sorted(folder.glob("*.parquet"))
    if len(parts) >= 16:
        fresh = pd.concat([read_measures(dataset).reset_index(), fresh], ignore_index=True).drop_duplicates(
            "sha1", keep="last"
        )
    # Sorted by name the parts are in order of time, and no two processes use the same name.
    name = f"{time.time_ns():020}-{os.getpid()}.parquet"
    write_parquet(folder / name, fresh)
    if len(parts) >= 16:
        for part in parts:
            remove_checked(part)


def measures_folder(dataset: Dataset) -> Path:
    """The folder of a data set's measures."""
    return cache_folder(dataset.name) / f"measures-v{_measures().VERSION}"


def _measures():
    if not available():
        raise OverreadError(
            "This version cannot measure radiographs. Install a newer one.", code="measures-unavailable"
        )
    from core.data import measures

    return measures
