"""Radiographs decoded once: the rows of an index as one uint8 array, opened by mmap."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.data import pixel_store
from core.data.decode import decode, pixels_folder
from core.data.index import Dataset
from core.data.input_spec import InputSpec
from core.errors import OverreadError


@dataclass(frozen=True)
class PixelCache:
    """pixels: uint8 [N, size, size], read-only, of all that is decoded at this size; ask `rows_of` which row is whose.

    failed: {path, reason} of each image asked for that could not be decoded.
    """

    pixels: np.ndarray
    image_ids: pd.Index
    rows: np.ndarray
    failed: list

    def rows_of(self, image_ids) -> np.ndarray:
        """Row of each image, int [n]; -1 where it was not asked for or could not be decoded."""
        places = self.image_ids.get_indexer(pd.Index(image_ids))
        return np.where(places < 0, -1, self.rows[places]) if len(self.rows) else places


def pixel_cache(
    dataset: Dataset, index: pd.DataFrame, spec: InputSpec, progress: Callable[[int, int, str], None] | None = None
) -> PixelCache:
    """The rows of `index` as pixels for `spec`, decoded now where they have not been.

    One array a (data set, size, fit), its rows found by the files' hashes: any part of a data set is served from it,
    nothing is decoded twice, and a file that changed is another file once it is indexed again. A build that was
    killed goes on where it stopped.
    """
    folder = pixels_folder(dataset, spec)
    try:
        there, pixels = pixel_store.load(folder, spec.size)
        reasons: dict[str, str] = {}
        if not index["sha1"].isin(there).all():
            # What failed is tried again: a file may have been out of reach only then.
            reasons = decode(dataset, index, spec, progress=progress).failed
            there, pixels = pixel_store.load(folder, spec.size)
    except OverreadError:
        raise
    except (OSError, ValueError) as error:
        raise OverreadError(
            f"The pixel cache {folder} is damaged ({error}). Delete that folder; it is made again."
        ) from error
    rows = there.get_indexer(pd.Index(index["sha1"]))
    missing = index[rows < 0]
    failed = [
        {"path": image_id, "reason": reasons.get(sha1, "it could not be decoded")}
        for image_id, sha1 in zip(missing["image_id"], missing["sha1"])
    ]
    return PixelCache(pixels, pd.Index(index["image_id"]), rows, failed)
