"""Test-time augmentation: the mean logit over draws of an augmentation, and what it changes in AUROC."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from core.among import among
from core.data.augment import Augmentation, apply
from core.errors import OverreadError
from core.metrics.ranking import auroc_difference
from core.metrics.studies import labelled, study_table
from core.plural import count_clause
from core.scores.classifier import Classifier


@dataclass(frozen=True)
class AugmentedDraws:
    """An augmentation, and the number of its samples that are averaged for each radiograph."""

    augmentation: Augmentation
    draws: int = 8

    def __post_init__(self) -> None:
        """OverreadError where the augmentation mixes radiographs, or no draw was asked for."""
        if self.augmentation.mixes:
            raise OverreadError(
                "The augmentation mixes radiographs (mixup, cutmix), and a score belongs to one radiograph; expected "
                "mixup 0 and cutmix 0.",
                code="augmentation-mixes",
            )
        if self.draws < 1:
            raise OverreadError(
                f"{count_clause(self.draws, 'draw', 'were')} asked for; expected 1 or more.", code="draws-out-of-range"
            )


def augmented_scores(
    classifier: Classifier, wanted: AugmentedDraws, pixels: np.ndarray, image_ids, seed: int = 0
) -> np.ndarray:
    """Mean of `classifier.columns`, float64 [n, columns], over the samples of the first epochs of uint8 [n, s, s]."""
    grey = torch.from_numpy(np.ascontiguousarray(pixels)).to(classifier.device)
    total = np.zeros((len(pixels), len(classifier.columns)))
    for epoch in range(wanted.draws):
        total += classifier.scores_of_units(apply(wanted.augmentation, grey, list(image_ids), seed, epoch))
    return total / wanted.draws


def augmentation_gain(plain: pd.DataFrame, augmented: pd.DataFrame, split: str, aggregation: str = "") -> dict:
    """AUROC of the augmented minus AUROC of the plain scores on the same labelled studies (paired, DeLong 1988).

    `core.metrics.ranking.auroc_difference` with `split`; a positive difference is a gain. Both are PREDICTIONS.
    """
    sides = []
    for frame in (augmented, plain):
        part = frame[
            (frame["split"] == split) & among(frame["image_id"], set(plain["image_id"]) & set(augmented["image_id"]))
        ]
        sides.append(labelled(study_table(part, aggregation)).set_index("study_id"))
    after, before = sides
    before = before.loc[after.index]
    found = auroc_difference(after["score"].to_numpy(), before["score"].to_numpy(), after["label"].to_numpy())
    return {
        "split": split,
        **{key.replace("_a", "_tta").replace("_b", "_plain"): value for key, value in found.items()},
    }


def gain_sentence(gain: dict) -> str:
    """The difference with its interval and p value in words, or why it cannot be estimated."""
    if gain["difference"] != gain["difference"]:
        return f"gain on {gain['split']} not estimable: {gain['why'].removeprefix('not estimable: ')}"
    interval = f" ({gain['low']:+.4f} to {gain['high']:+.4f})" if gain["low"] == gain["low"] else ""
    p = f", p = {gain['p']:.3g}" if gain["p"] == gain["p"] else ""
    return (
        f"study AUROC on {gain['split']} {gain['auroc_tta']:.4f} against {gain['auroc_plain']:.4f} "
        f"without augmentation: {gain['difference']:+.4f}{interval}{p}, n = {gain['n']}"
    )
