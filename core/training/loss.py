"""The loss of a step, and the figures of an epoch on the held-out fold."""

import numpy as np
import pandas as pd
import torch
from scipy.special import logit
from torch.nn import functional

from core.metrics.counts import counts_at, counts_table
from core.metrics.ranking import auroc
from core.metrics.studies import labelled, study_table
from core.training.recipe import Recipe


def loss_of(recipe: Recipe, logits: torch.Tensor, target: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Mean weighted loss of logits [n] against targets [n] in 0..1: cross-entropy, or focal (Lin 2017).

    Focal loss multiplies the cross-entropy of each sample by (1 - p)^gamma, where p is the probability of its label.
    For soft targets the factor is |target - p|^gamma, which is the same where the target is 0 or 1.
    """
    if recipe.loss == "bce":
        return functional.binary_cross_entropy_with_logits(logits, target, weights)
    each = functional.binary_cross_entropy_with_logits(logits, target, weights, reduction="none")
    return (each * (target - logits.sigmoid()).abs() ** recipe.focal_gamma).mean()


def tuning_figures(tune: pd.DataFrame, scores: dict[str, np.ndarray], pooling: str = "") -> dict:
    """An epoch's row of the history: study AUROC with interval; accuracy, precision and recall of studies at 0.5; loss.

    scores: `logit` of each radiograph and perhaps `attention`, float64. pooling: the aggregation that the network
    learns through. The loss is per radiograph or, with a pooling or attention, per study.
    """
    studies = labelled(study_table(tune.assign(**scores, split="tune"), pooling))
    values, labels = studies["score"].to_numpy(), studies["label"].to_numpy()
    area = auroc(values, labels)
    at = counts_at(counts_table(values, labels), 0.5)
    odds = logit(values.clip(1e-16, 1 - 1e-16))  # a score of 1 has no finite logit
    by_study = bool(pooling) or "attention" in scores
    pair = (odds, labels) if by_study else (scores["logit"], tune["label"].to_numpy(float))
    logits, targets = (torch.tensor(each) for each in pair)
    return {
        "tune_loss": float(functional.binary_cross_entropy_with_logits(logits, targets)),
        "tune_auroc": area.value,
        "tune_auroc_low": area.low,
        "tune_auroc_high": area.high,
        "tune_accuracy": ratio(at["tp"] + at["tn"], len(studies)),
        "tune_precision": ratio(at["tp"], at["tp"] + at["fp"]),
        "tune_recall": ratio(at["tp"], at["tp"] + at["fn"]),
        "tune_studies": len(studies),
    }


def ratio(part: int, whole: int) -> float:
    """part / whole; NaN where whole is 0."""
    return part / whole if whole else np.nan
