"""Checkpoint and Index to Predictions: one logit per radiograph."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from core.data.cache import pixel_cache
from core.data.index import Dataset, read_index
from core.errors import OverreadError
from core.inference.classifier import Classifier, load_classifier
from core.inference.predictions import dataset_reference
from core.models.checkpoint import Checkpoint
from core.schema import PREDICTIONS, check


def effective_splits(index: pd.DataFrame, checkpoint: Checkpoint, dataset: Dataset) -> pd.Series:
    """The split of each row as this checkpoint sees it: the fold it held out of train is 'tune'."""
    split = index["split"].copy()
    if trained_on(checkpoint, dataset):
        split[(split == "train") & (index["fold"] == checkpoint.recipe["holdout_fold"])] = "tune"
    return split


def trained_on(checkpoint: Checkpoint, dataset: Dataset) -> bool:
    """Whether the checkpoint learned from this very index; on any other every radiograph is new to it."""
    return checkpoint.manifest.get("index_hash") == dataset.index_hash


def predict(
    checkpoint: Checkpoint,
    dataset: Dataset,
    splits: list[str] | None = None,
    progress: Callable[[int, int, str], None] | None = None,
    device: str = "",
    classifier: Classifier | None = None,
) -> pd.DataFrame:
    """Scores of every radiograph in `splits` that can be decoded.

    splits: by default what the checkpoint has not learned from (everything, where it learned elsewhere).
    """
    index = read_index(dataset.name)
    index["split"] = effective_splits(index, checkpoint, dataset)
    wanted = splits or [
        name for name in ("train", "tune", "valid", "test") if name != "train" or not trained_on(checkpoint, dataset)
    ]
    index = index[index["split"].isin(wanted)].reset_index(drop=True)
    if index.empty:
        raise OverreadError(
            f"Data set {dataset.name} has no radiograph in the split {' or '.join(wanted)}; "
            f"it has {', '.join(sorted(set(read_index(dataset.name)['split'])))}."
        )
    classifier = classifier or load_classifier(checkpoint, device)
    cache = pixel_cache(dataset, index, checkpoint.input_spec, progress)
    rows = cache.rows_of(index["image_id"])
    index, rows = index[rows >= 0].reset_index(drop=True), rows[rows >= 0]
    logits = []
    for start in range(0, len(rows), 256):
        logits.append(classifier.logits(cache.pixels[rows[start : start + 256]]))
        if progress:
            progress(min(start + 256, len(rows)), len(rows), f"scoring with {checkpoint.name}")
    index["logit"] = np.concatenate(logits) if logits else np.zeros(0)
    if not np.isfinite(index["logit"]).all():
        raise OverreadError(
            f"The checkpoint {checkpoint.name} gives scores that are not numbers on {dataset.name}; train it again."
        )
    index["checkpoint"], index["dataset"] = checkpoint.reference, dataset_reference(dataset)
    return check(index[list(PREDICTIONS)], PREDICTIONS, "the new scores")
