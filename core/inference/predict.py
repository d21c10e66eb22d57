"""Checkpoint and Index to Predictions: one logit per radiograph."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd

from core.data.cache import pixel_cache
from core.data.index import Dataset, read_index
from core.device import precision
from core.errors import OverreadError
from core.inference.classifier import Classifier, load_classifier
from core.inference.predictions import dataset_reference, effective_splits, knows, unlearned_by
from core.models.checkpoint import Checkpoint
from core.schema import PREDICTIONS, check


def predict(
    checkpoint: Checkpoint,
    dataset: Dataset,
    splits: list[str] | None = None,
    progress: Callable[[int, int, str], None] | None = None,
    device: str = "",
    classifier: Classifier | None = None,
) -> pd.DataFrame:
    """Scores of every radiograph in `splits` that can be decoded.

    splits: by default what the checkpoint has not learned from (everything, where it learned elsewhere). The frame's
    `attrs["left_out"]` lists {path, reason} of what could not be decoded. An ensemble scores what it learned from
    out of fold: each patient by the one member that did not.
    """
    index = read_index(dataset.name)
    index["split"], index["member"] = effective_splits(index, checkpoint), unlearned_by(index, checkpoint)
    there = set(index["split"])
    wanted = splits or sorted(there - {"train"} if knows(index, checkpoint) else there)
    if absent := [split for split in wanted if split not in there]:
        raise OverreadError(
            f"Data set {dataset.name} has no radiograph in the split {', '.join(absent)} for {checkpoint.name}; "
            f"it has {', '.join(sorted(there))}."
        )
    index = index[index["split"].isin(wanted)].reset_index(drop=True)
    classifier = classifier or load_classifier(checkpoint, device)
    cache = pixel_cache(dataset, index, checkpoint.input_spec, progress)
    rows = cache.rows_of(index["image_id"])
    index, rows = index[rows >= 0].reset_index(drop=True), rows[rows >= 0]
    logits, done = np.zeros(len(rows)), 0
    for member, mine in index.groupby("member").indices.items():
        # Of an ensemble, only the member that did not learn from a patient scores that patient's radiographs.
        judge = classifier if member < 0 else replace(classifier, model=classifier.model.members[member])
        for start in range(0, len(mine), 256):
            part = mine[start : start + 256]
            logits[part] = judge.logits(cache.pixels[rows[part]])
            done += len(part)
            if progress:
                progress(done, len(rows), f"scoring with {checkpoint.name}")
    index["logit"] = logits
    if not np.isfinite(index["logit"]).all():
        raise OverreadError(
            f"The checkpoint {checkpoint.name} gives scores that are not numbers on {dataset.name}; train it again."
        )
    index["checkpoint"], index["dataset"] = checkpoint.reference, dataset_reference(dataset)
    # A locked threshold is applied to scores of the precision it was chosen on.
    index["precision"] = precision(classifier.device)
    scores = check(index[[*PREDICTIONS, "precision"]], PREDICTIONS, "the new scores")
    scores.attrs["left_out"] = cache.failed
    return scores
