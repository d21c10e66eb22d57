"""Checkpoint and Index to Predictions: one logit per radiograph."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd

from core.data.augment import Augmentation
from core.data.cache import pixel_cache
from core.data.index import Dataset, read_index
from core.device import precision
from core.errors import OverreadError
from core.models.checkpoint import Checkpoint
from core.schema import PREDICTIONS, check
from core.scores.classifier import Classifier, load_classifier
from core.scores.predictions import dataset_reference, effective_splits, knows, unlearned_by
from core.scores.tta import check_tta, tta_scores


def predict(
    checkpoint: Checkpoint,
    dataset: Dataset,
    splits: list[str] | None = None,
    progress: Callable[[int, int, str], None] | None = None,
    device: str = "",
    classifier: Classifier | None = None,
    tta: Augmentation | None = None,
    draws: int = 8,
) -> pd.DataFrame:
    """Scores of every radiograph in `splits` that can be decoded.

    splits: by default what the checkpoint has not learned from (everything, where it learned elsewhere). The frame's
    `attrs["left_out"]` lists {path, reason} of what could not be decoded. An ensemble scores what it learned from
    out of fold: each patient by the one member that did not. tta: each logit is the mean over `draws` samples of that
    augmentation; the columns `tta` and `draws` say so. A network that weighs the views of a study also tells each
    radiograph's `attention`, before the softmax over its study.
    """
    if tta:
        check_tta(tta, draws)
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
    told, done = np.zeros((len(rows), len(classifier.columns))), 0
    for member, mine in index.groupby("member").indices.items():
        # Of an ensemble, only the member that did not learn from a patient scores that patient's radiographs.
        judge = classifier if member < 0 else replace(classifier, model=classifier.model.members[member])
        for start in range(0, len(mine), 256):
            part = mine[start : start + 256]
            pixels = cache.pixels[rows[part]]
            told[part] = (
                tta_scores(judge, tta, pixels, index["image_id"].iloc[part], draws) if tta else judge.scores(pixels)
            )
            done += len(part)
            if progress:
                progress(done, len(rows), f"scoring with {checkpoint.name}")
    index[list(classifier.columns)] = told
    if not np.isfinite(told).all():
        raise OverreadError(
            f"The checkpoint {checkpoint.name} gives scores that are not numbers on {dataset.name}; train it again."
        )
    index["checkpoint"], index["dataset"] = checkpoint.reference, dataset_reference(dataset)
    # A locked threshold is applied to scores of the precision it was chosen on.
    index["precision"] = precision(classifier.device)
    more = [*classifier.columns[1:], "precision"]
    if tta:
        index["tta"], index["draws"] = tta.to_text(), draws
        more += ["tta", "draws"]
    scores = check(index[[*PREDICTIONS, *more]], PREDICTIONS, "the new scores")
    scores.attrs["left_out"] = cache.failed
    return scores
