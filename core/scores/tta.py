"""Test-time augmentation: the mean logit over draws of an augmentation, and whether that was worth it."""

import numpy as np
import pandas as pd
import torch

from core.data.augment import Augmentation, apply
from core.errors import OverreadError
from core.metrics.ranking import auroc_difference
from core.metrics.studies import labelled, study_table
from core.scores.classifier import Classifier


def check_tta(augmentation: Augmentation, draws: int) -> None:
    """OverreadError where the augmentation cannot be used on a radiograph without a label, or not so often."""
    if augmentation.mixes:
        raise OverreadError(
            "The augmentation mixes radiographs (mixup, cutmix), and a score belongs to one radiograph; expected "
            "mixup 0 and cutmix 0."
        )
    if draws < 1:
        raise OverreadError(f"{draws} draws were asked for; expected 1 or more.")


def tta_scores(
    classifier: Classifier, augmentation: Augmentation, pixels: np.ndarray, image_ids, draws: int, seed: int = 0
) -> np.ndarray:
    """Mean of `classifier.columns`, float64 [n, columns], over the first `draws` epochs' samples of uint8 [n, s, s]."""
    grey = torch.from_numpy(np.ascontiguousarray(pixels)).to(classifier.device)
    total = np.zeros((len(pixels), len(classifier.columns)))
    for epoch in range(draws):
        total += classifier.scores_of_units(apply(augmentation, grey, list(image_ids), seed, epoch))
    return total / draws


def tta_gain(plain: pd.DataFrame, augmented: pd.DataFrame, split: str, aggregation: str = "") -> dict:
    """AUROC of the augmented less that of the plain scores on the same labelled studies (paired, DeLong 1988).

    `core.metrics.ranking.auroc_difference` with `split`; a positive difference is a gain. Both are PREDICTIONS.
    """
    sides = []
    for frame in (augmented, plain):
        part = frame[
            (frame["split"] == split) & frame["image_id"].isin(set(plain["image_id"]) & set(augmented["image_id"]))
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
    """In words: the difference with its interval and p, or why there is none."""
    if gain["difference"] != gain["difference"]:
        return f"gain on {gain['split']} not estimable: {gain['why'].removeprefix('not estimable: ')}"
    interval = f" ({gain['low']:+.4f} to {gain['high']:+.4f})" if gain["low"] == gain["low"] else ""
    p = f", p = {gain['p']:.3g}" if gain["p"] == gain["p"] else ""
    return (
        f"study AUROC on {gain['split']} {gain['auroc_tta']:.4f} against {gain['auroc_plain']:.4f} without: "
        f"{gain['difference']:+.4f}{interval}{p}, n = {gain['n']}"
    )
