"""The network's own AUROC, which every verdict on its maps needs: one rule for pages, commands and jobs. No torch."""

import math

import pandas as pd

from core.metrics.ranking import auroc
from core.metrics.studies import labelled, study_table
from core.models.checkpoint import Checkpoint
from core.scores.learning import learned
from core.scores.source import Source
from core.scores.stored_scores import read_predictions


def network_auroc(source: Source) -> tuple[float, float] | None:
    """The study AUROC of a checkpoint and its lower bound, on studies it was not trained on; None where unknown.

    On a data set, it is that of all its stored scores outside the split train. Where there are none and on no data
    set, it is what training measured on the studies that chose the epoch, if the network was trained on that data set.
    """
    if not source.has_network:
        return None
    checkpoint = source.checkpoint
    if source.dataset and source.dataset.kind != "scores":
        scores = read_predictions(source)
        scores = scores[scores["split"] != "train"] if scores is not None else None
        if scores is not None and scores["label"].notna().any():
            return study_auroc(scores)
        if checkpoint.manifest.get("dataset") != source.data:
            return None
    return training_auroc(checkpoint)


def training_auroc(checkpoint: Checkpoint) -> tuple[float, float] | None:
    """The AUROC that training measured on its held-out fold, and its lower bound; None where it is not stored."""
    found = learned(checkpoint)
    return None if found is None or math.isnan(found.tuning.value) else (found.tuning.value, found.tuning.low)


def study_auroc(scores: pd.DataFrame) -> tuple[float, float]:
    """AUROC over studies and its lower bound, of PREDICTIONS; NaN where it cannot be estimated."""
    known = labelled(study_table(scores))
    estimate = auroc(known["score"], known["label"])
    return estimate.value, estimate.low
