"""The pixel cache: the rows of an index, decoded once, as one memory-mapped uint8 array."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.among import among
from core.data import pixel_store
from core.data.decode import decode, pixels_folder
from core.data.index import Dataset
from core.data.input_spec import InputSpec
from core.errors import OverreadError, reason_of
from core.plural import count_text


@dataclass(frozen=True)
class PixelCache:
    """pixels: uint8 [N, size, size], read-only, every radiograph decoded at this size; `rows_of` gives an image's row.

    failed: {path, reason} of each requested image that could not be decoded.
    """

    pixels: np.ndarray
    image_ids: pd.Index
    rows: np.ndarray
    failed: list

    def rows_of(self, image_ids) -> np.ndarray:
        """Row of each image, int [n]; -1 if it was not requested or could not be decoded."""
        places = self.image_ids.get_indexer(pd.Index(image_ids))
        return np.where(places < 0, -1, self.rows[places]) if len(self.rows) else places


def pixel_cache(
    dataset: Dataset, index: pd.DataFrame, spec: InputSpec, progress: Callable[[int, int, str], None] | None = None
) -> PixelCache:
    """The rows of `index` as pixels for `spec`; missing ones are decoded now.

    There is one array per data set, size and fit, and its rows are found by the files' hashes. Any part of a data set
    uses it, nothing is decoded twice, and a changed file is a new file once it is indexed again. A build that was
    killed continues where it stopped. OverreadError where stored pixels were altered or the cache is damaged.
    """
    folder = pixels_folder(dataset, spec)
    try:
        stored = pixel_store.load(folder, spec.size)
        reasons: dict[str, str] = {}
        if not among(index["sha1"], stored.hashes).all():
            # Files that failed before are tried again: they may have been unreachable only then.
            reasons = decode(dataset, index, spec, progress=progress).failed
            stored = pixel_store.load(folder, spec.size)
        rows = stored.hashes.get_indexer(pd.Index(index["sha1"]))
        damaged = stored.damaged(rows[rows >= 0])
    except OverreadError:
        raise
    except (OSError, ValueError) as error:
        raise OverreadError(
            f"The pixel cache {folder} is damaged ({reason_of(error)}). Delete that folder; it will be built again.",
            code="pixel-cache-damaged",
        ) from error
    if len(damaged):
        first = index["image_id"][rows == damaged[0]].iloc[0]
        raise OverreadError(
            f"{stored.file} was altered: the pixels of {count_text(len(damaged), 'radiograph')} (first: {first}) "
            "do not have the checksum that they were written with. Make them again with: "
            f"python -m core cache {dataset.name} --size {spec.size} --fit {spec.fit}",
            code="pixels-altered",
            file=stored.file,
        )
    missing = index[rows < 0]
    failed = [
        {"path": image_id, "reason": reasons.get(sha1, "it could not be decoded")}
        for image_id, sha1 in zip(missing["image_id"], missing["sha1"])
    ]
    return PixelCache(stored.pixels, pd.Index(index["image_id"]), rows, failed)
