"""Test-time augmentation: the mean over draws, its record, and the gain by a paired test."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from core.data.augment import PRESETS, Augmentation
from core.data.index import build_index, write_dataset
from core.metrics.ranking import auroc_difference
from core.metrics.studies import labelled, study_table
from core.scores.augmentation_stability import draw_logits
from core.scores.classifier import load_classifier
from core.scores.predict import predict
from core.scores.predictions import read_file, store_predictions
from core.scores.source import source_of
from core.scores.test_time_augmentation import AugmentedDraws, augmentation_gain, gain_sentence
from core.training.loop import train
from core.training.options import RunOptions
from tests.refusals import refused
from tests.training.test_loop import RECIPE


@pytest.fixture
def trained(mura, workspace, tmp_path):
    tree = write_dataset("tree", build_index(mura, folds=4))
    return train(replace(RECIPE, epochs=2), tree, tmp_path / "out", RunOptions(device="cpu")), tree


def test_each_logit_is_the_mean_over_its_draws(trained):
    checkpoint, tree = trained
    found = predict(source_of(checkpoint, tree), ["valid"], device="cpu", tta=AugmentedDraws(PRESETS["strong"], 5))
    classifier = load_classifier(checkpoint, "cpu")
    for row in found.head(4).itertuples():
        pixels = checkpoint.input_spec.pixels(f"{tree.root}/{row.path}")
        draws = draw_logits(classifier, PRESETS["strong"], pixels, row.image_id, 0, range(5))
        assert row.logit == pytest.approx(draws.mean(), abs=1e-4)
    assert set(found["tta"]) == {PRESETS["strong"].to_text()} and set(found["draws"]) == {5}
    plain = predict(source_of(checkpoint, tree), ["valid"], device="cpu")
    none = predict(source_of(checkpoint, tree), ["valid"], device="cpu", tta=AugmentedDraws(Augmentation(), 3))
    assert none["logit"].to_numpy() == pytest.approx(plain["logit"].to_numpy(), abs=1e-5) and "tta" not in plain


def test_plain_and_augmented_scores_are_never_mixed_in_a_file(trained, tmp_path):
    checkpoint, tree = trained
    plain = predict(source_of(checkpoint, tree), ["valid"], device="cpu")
    found = predict(source_of(checkpoint, tree), ["valid"], device="cpu", tta=AugmentedDraws(PRESETS["light"], 2))
    file = source_of(checkpoint, tree).tta_file(PRESETS["light"].hash(), 2)
    assert file != source_of(checkpoint, tree).scores_file
    store_predictions(found, file)
    store_predictions(found, file)
    with refused("augmentation-differs", "horizontal_flip", "x 2", "none"):
        store_predictions(plain, file)
    assert len(read_file(file)) == len(found) and set(read_file(file)["draws"]) == {2}
    other = predict(source_of(checkpoint, tree), ["valid"], device="cpu", tta=AugmentedDraws(PRESETS["light"], 3))
    with refused("augmentation-differs", "x 3", "--out"):
        store_predictions(other, file)


def test_the_gain_is_the_paired_difference_over_studies(trained):
    checkpoint, tree = trained
    plain = predict(source_of(checkpoint, tree), ["valid"], device="cpu")
    random = np.random.default_rng(0)
    plain = pd.concat(
        [plain.assign(study_id=plain["study_id"] + str(n), image_id=plain["image_id"] + str(n)) for n in range(8)]
    )
    plain["logit"] = plain["label"] + random.normal(size=len(plain))
    better = plain.assign(logit=plain["logit"] + plain["label"]).sample(frac=1, random_state=1)
    gain = augmentation_gain(plain, better, "valid")
    sides = [labelled(study_table(frame)).sort_values("study_id") for frame in (better, plain)]
    wanted = auroc_difference(sides[0]["score"], sides[1]["score"], sides[0]["label"])
    assert gain["difference"] == wanted["difference"] > 0 and gain["p"] == wanted["p"]
    assert gain["auroc_tta"] > gain["auroc_plain"] and f"n = {gain['n']}" in gain_sentence(gain)
    same = augmentation_gain(plain, plain, "valid")
    assert same["difference"] == 0 and same["p"] == 1
    assert "not estimable" in gain_sentence(augmentation_gain(plain[plain["label"] == 1], better, "valid"))


def test_an_augmentation_that_mixes_radiographs_is_refused():
    with refused("augmentation-mixes"):
        AugmentedDraws(Augmentation(mixup=0.1))
    with refused("draws-out-of-range", 0):
        AugmentedDraws(PRESETS["light"], 0)
