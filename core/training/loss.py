"""What a step lowers, and what an epoch is judged by."""

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

    Focal loss takes each radiograph's cross-entropy times (1 - p)^gamma, where p is the probability given to its
    label; for a soft target, |target - p|^gamma, which is the same where the target is 0 or 1.
    """
    if recipe.loss == "bce":
        return functional.binary_cross_entropy_with_logits(logits, target, weights)
    each = functional.binary_cross_entropy_with_logits(logits, target, weights, reduction="none")
    return (each * (target - logits.sigmoid()).abs() ** recipe.focal_gamma).mean()


def tuning_figures(tune: pd.DataFrame, told: dict[str, np.ndarray]) -> dict:
    """An epoch's row: loss per radiograph, or per study where the network weighs its views; per study AUROC with
    interval, and accuracy, precision, recall at .5. told: `logit` of each radiograph and maybe `attention`, float64."""
    studies = labelled(study_table(tune.assign(**told, split="tune")))
    scores, labels = studies["score"].to_numpy(), studies["label"].to_numpy()
    area = auroc(scores, labels)
    at = counts_at(counts_table(scores, labels), 0.5)
    odds = logit(scores.clip(1e-16, 1 - 1e-16))  # a share of 1 has no finite logit
    judged = (odds, labels) if "attention" in told else (told["logit"], tune["label"].to_numpy(float))
    pair = [torch.tensor(values) for values in judged]
    return {
        "tune_loss": float(functional.binary_cross_entropy_with_logits(*pair)),
        "tune_auroc": area.value,
        "tune_auroc_low": area.low,
        "tune_auroc_high": area.high,
        "tune_accuracy": share(at["tp"] + at["tn"], len(studies)),
        "tune_precision": share(at["tp"], at["tp"] + at["fp"]),
        "tune_recall": share(at["tp"], at["tp"] + at["fn"]),
        "tune_studies": len(studies),
    }


def share(part: int, whole: int) -> float:
    """NaN where there is nothing to divide by."""
    return part / whole if whole else np.nan
