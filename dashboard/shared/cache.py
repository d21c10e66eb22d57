"""Caching for loaders: functions take sources, views and files themselves, and these are the key.

`cached_data` hands out a copy at each call; `cached_resource` hands out the one object to everybody, so nobody may
change it. Only loader modules use them, and nothing else calls `st.cache_data` or `st.cache_resource`.
"""

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from functools import wraps
from pathlib import Path

import numpy as np
import streamlit as st

from core.data.augment import Augmentation
from core.data.index import Dataset
from core.data.input_spec import InputSpec
from core.metrics.thresholds import Rule
from core.models.checkpoint import Checkpoint
from core.paths import file_stamp
from core.scores.imports import ImportedScores
from core.scores.source import Source
from core.scores.view import View

_run = threading.local()


@dataclass(frozen=True)
class FileStamp:
    """A file, and when (nanoseconds) and how large (bytes) it was last written; zeros where there is none."""

    path: str
    modified: int
    size: int


def stamp(file: Path) -> FileStamp:
    """The stamp of one file: a cached function that takes it reads the file anew after every write."""
    return FileStamp(*file_stamp(file))


def _dataset_key(dataset: Dataset) -> tuple:
    # The folder is part of it: two workspaces may have data sets of one name.
    return (*astuple(dataset), str(dataset.folder) if dataset.kind != "scores" else "")


def _array_key(array: np.ndarray) -> tuple:
    # Streamlit hashes a sample of a large array; two radiographs may differ in a few pixels only.
    return array.shape, str(array.dtype), hashlib.sha1(np.ascontiguousarray(array)).hexdigest()


KEYS = {
    Source: lambda source: source.key,
    View: lambda view: view.key,
    Dataset: _dataset_key,
    Checkpoint: lambda checkpoint: (str(checkpoint.folder), checkpoint.weights_hash),
    ImportedScores: lambda imported: (str(imported.folder), imported.predictions_hash),
    FileStamp: astuple,
    InputSpec: lambda spec: spec.to_json(),
    Augmentation: lambda augmentation: augmentation.to_text(),
    Rule: lambda rule: rule.text,
    np.ndarray: _array_key,
}


def cached_data(**options) -> Callable:
    """`st.cache_data` for functions of the values in KEYS: each call gets a copy of its own."""
    return st.cache_data(hash_funcs=KEYS, **{"show_spinner": False, **options})


def cached_resource(**options) -> Callable:
    """`st.cache_resource` for functions of the values in KEYS: all calls share one object, which nobody may change."""
    return st.cache_resource(hash_funcs=KEYS, **{"show_spinner": False, **options})


@contextmanager
def one_look() -> Iterator[None]:
    """Inside, a `looked_up_once` function runs once: a page asks for the same folders a dozen times a run."""
    _run.found = {}
    try:
        yield
    finally:
        _run.found = None


def looked_up_once(look: Callable) -> Callable:
    """A function without arguments whose answer holds for one run; outside of `one_look` it runs every time."""

    @wraps(look)
    def found():
        kept = getattr(_run, "found", None)
        if kept is None:
            return look()
        if look not in kept:
            kept[look] = look()
        return kept[look]

    return found
