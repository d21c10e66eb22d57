"""The mean radiograph of a data set, a baseline for maps. Imports no torch."""

import numpy as np

from core.data.cache import pixel_cache
from core.data.index import Dataset, read_index
from core.data.input_spec import InputSpec
from core.errors import OverreadError

# The number of radiographs in a mean radiograph; more of them no longer move it by a grey level.
MEAN_OF = 500


def mean_radiograph(dataset: Dataset, spec: InputSpec, progress=None) -> np.ndarray:
    """Return the mean of up to 500 radiographs of a data set, always the same ones, uint8 [size, size]: a baseline.

    OverreadError where none can be decoded.
    """
    index = read_index(dataset.name).drop_duplicates("sha1").sort_values("sha1").head(MEAN_OF)
    cache = pixel_cache(dataset, index, spec, progress)
    rows = cache.rows_of(index["image_id"])
    if not (rows >= 0).any():
        raise OverreadError(
            f"No radiograph of {dataset.name} can be decoded for the mean; choose the baseline black or blur.",
            code="mean-undecodable",
        )
    return cache.pixels[rows[rows >= 0]].mean(0).round().astype(np.uint8)
