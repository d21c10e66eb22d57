"""Score a data set with a checkpoint: one logit per radiograph."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd

from core.data.cache import pixel_cache
from core.data.index import Dataset, read_index
from core.device import scoring_precision
from core.errors import OverreadError
from core.models.checkpoint import Checkpoint
from core.schema import PREDICTIONS, check
from core.scores.classifier import Classifier, load_classifier
from core.scores.halves import known_splits, whole_of
from core.scores.predictions import dataset_reference, effective_splits, knows, unlearned_by
from core.scores.test_time_augmentation import AugmentedDraws, augmented_scores

_BATCH = 256  # radiographs scored between two reports of progress


def predict(
    checkpoint: Checkpoint,
    dataset: Dataset,
    splits: list[str] | None = None,
    progress: Callable[[int, int, str], None] | None = None,
    device: str = "",
    classifier: Classifier | None = None,
    tta: AugmentedDraws | None = None,
) -> pd.DataFrame:
    """PREDICTIONS of every radiograph in `splits` that can be decoded.

    splits: by default every split but those the checkpoint learned from. The frame's `attrs["left_out"]` lists
    {path, reason} of radiographs that could not be decoded. An ensemble scores its own training patients out of fold:
    each by the one member that did not learn from that patient. tta: each logit is the mean over augmented samples,
    recorded in the columns `tta` and `draws`. A network with attention over the views of a study adds `attention`,
    before the softmax over the study; one that learned through another pooling of its views adds its name, `pooling`.
    """
    index = read_index(dataset.name)
    index["split"], index["member"] = effective_splits(index, checkpoint), unlearned_by(index, checkpoint)
    known = set(index["split"])
    asked = splits or (known - {"train"} if knows(index, checkpoint) else known)
    # A half is scored with the whole of its split, so that the stored scores of a split are never half of it.
    wanted = sorted(set(map(whole_of, asked)))
    if absent := [split for split in asked if split not in known_splits(index)]:
        raise OverreadError(
            f"Data set {dataset.name} has no radiograph in the split {', '.join(absent)} for {checkpoint.name}; "
            f"it has {', '.join(sorted(known))}.",
            code="split-unknown",
        )
    index = index[index["split"].isin(wanted)].reset_index(drop=True)
    classifier = classifier or load_classifier(checkpoint, device)
    cache = pixel_cache(dataset, index, checkpoint.input_spec, progress)
    rows = cache.rows_of(index["image_id"])
    index, rows = index[rows >= 0].reset_index(drop=True), rows[rows >= 0]
    scores, done = np.zeros((len(rows), len(classifier.columns))), 0
    for member, places in index.groupby("member").indices.items():
        # In an ensemble, only the member that did not learn from a patient scores that patient's radiographs.
        scorer = classifier if member < 0 else replace(classifier, model=classifier.model.members[member])
        for start in range(0, len(places), _BATCH):
            part = places[start : start + _BATCH]
            pixels = cache.pixels[rows[part]]
            scores[part] = (
                augmented_scores(scorer, tta, pixels, index["image_id"].iloc[part]) if tta else scorer.scores(pixels)
            )
            done += len(part)
            if progress:
                progress(done, len(rows), f"scoring with {checkpoint.name}")
    index[list(classifier.columns)] = scores
    if not np.isfinite(scores).all():
        raise OverreadError(
            f"The checkpoint {checkpoint.name} gives scores that are not numbers on {dataset.name}; train it again.",
            code="scores-not-finite",
        )
    index["checkpoint"], index["dataset"] = checkpoint.reference, dataset_reference(dataset)
    # A locked threshold is applied only to scores of the precision it was chosen on.
    index["precision"] = scoring_precision(classifier.device)
    optional = [*classifier.columns[1:], "precision"]
    if checkpoint.pooling:
        index["pooling"] = checkpoint.pooling
        optional += ["pooling"]
    if tta:
        index["tta"], index["draws"] = tta.augmentation.to_text(), tta.draws
        optional += ["tta", "draws"]
    frame = check(index[[*PREDICTIONS, *optional]], PREDICTIONS, "the new scores")
    frame.attrs["left_out"] = cache.failed
    return frame
