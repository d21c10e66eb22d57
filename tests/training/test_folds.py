"""Cross-validation: no patient is scored by a network that learned from them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from core.data.index import build_index, read_index, write_dataset
from core.models.checkpoint import read_checkpoint
from core.scores.classifier import load_classifier
from core.scores.predict import predict
from core.scores.predictions import read_file
from core.scores.source import source_of
from core.training import folds as room
from core.training.folds import train_folds
from core.training.options import RunOptions
from tests.conftest import write_radiograph
from tests.refusals import refused
from tests.training.test_loop import RECIPE

SHORT = replace(RECIPE, epochs=2)


@pytest.fixture
def tree(mura, workspace):
    return write_dataset("tree", build_index(mura, folds=4))


@pytest.fixture
def kept(monkeypatch):
    """Keep the members, so that a test can read them."""
    monkeypatch.setattr(room.shutil, "rmtree", lambda folder: None)


def pixels_of(checkpoint, tree, rows):
    return np.stack([checkpoint.input_spec.pixels(f"{tree.root}/{path}") for path in rows["path"]])


def test_each_patient_is_scored_by_the_member_that_never_saw_them(tree, tmp_path, kept):
    out = tmp_path / "five"
    whole = train_folds(SHORT, tree, out, 4, RunOptions(device="cpu"))
    scores, index = read_file(out / "predictions.parquet"), read_index("tree").set_index("image_id")
    out_of_fold = scores[scores["split"] == "tune"]
    assert set(out_of_fold["image_id"]) == set(index.index[index["split"] == "train"])
    for number in range(4):
        member = read_checkpoint(out / "members" / f"fold{number}")
        mine = out_of_fold[index.loc[out_of_fold["image_id"], "fold"].to_numpy() == number]
        assert len(mine) and not set(index.loc[mine["image_id"], "sha1"]) & set(member.learned().index)
        assert load_classifier(member, "cpu").logits(pixels_of(member, tree, mine)) == pytest.approx(
            mine["logit"].to_numpy(), abs=1e-5
        )
    valid = scores[scores["split"] == "valid"]
    each = [
        load_classifier(read_checkpoint(out / "members" / f"fold{n}"), "cpu").logits(pixels_of(whole, tree, valid))
        for n in range(4)
    ]
    assert np.mean(each, axis=0) == pytest.approx(valid["logit"].to_numpy(), abs=1e-5)
    assert whole.manifest["complete"] and len(whole.manifest["members"]) == 4 and whole.manifest["tune_auroc"] > 0.7


def test_a_new_file_of_a_known_patient_is_scored_out_of_fold(tree, tmp_path):
    whole = train_folds(SHORT, tree, tmp_path / "two", 2, RunOptions(device="cpu"))
    assert not (tmp_path / "two" / "members").exists()
    before = predict(source_of(whole, tree), ["tune"], device="cpu")
    from pathlib import Path

    new = Path(tree.root) / "train/XR_ELBOW/patient00000/study1_positive/image7.png"
    write_radiograph(new, np.random.default_rng(3), True)
    try:
        again = write_dataset("tree", build_index(tree.root, folds=4))
        after = predict(source_of(whole, again), ["tune"], device="cpu").set_index("image_id")
        assert len(after) == len(before) + 1
        member = int(
            whole.unlearned_by()[
                read_index("tree")
                .set_index("image_id")
                .loc[before.loc[before["patient_id"] == "patient00000", "image_id"].iloc[0], "sha1"]
            ]
        )
        alone = load_classifier(whole, "cpu")
        alone = replace(alone, model=alone.model.members[member])
        expected = alone.logits(whole.input_spec.pixels(new)[None])
        assert after.loc["train/XR_ELBOW/patient00000/study1_positive/image7.png", "logit"] == pytest.approx(
            expected[0], abs=1e-5
        )
    finally:
        new.unlink()


def test_a_resumed_ensemble_has_the_same_weights(tree, tmp_path, monkeypatch):
    straight = train_folds(SHORT, tree, tmp_path / "straight", 3, RunOptions(device="cpu"))
    learn, calls = room.train.__globals__["learn_epoch"], []

    def stop_in_the_second_member(*arguments):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return learn(*arguments)

    monkeypatch.setitem(room.train.__globals__, "learn_epoch", stop_in_the_second_member)
    with pytest.raises(KeyboardInterrupt):
        train_folds(SHORT, tree, tmp_path / "stopped", 3, RunOptions(device="cpu"))
    monkeypatch.setitem(room.train.__globals__, "learn_epoch", learn)
    with refused("ensemble-unfinished", "--resume"):
        train_folds(SHORT, tree, tmp_path / "stopped", 3, RunOptions(device="cpu"))
    torch.manual_seed(5)
    resumed = train_folds(SHORT, tree, tmp_path / "stopped", 3, RunOptions(resume=True, device="cpu"))
    assert resumed.weights_hash == straight.weights_hash
    assert any(name.startswith("members.2.") for name in load_file(resumed.folder / "weights.safetensors"))


def test_an_impossible_number_of_folds_is_refused(tree, tmp_path):
    for folds in (1, 5):
        with refused("folds-out-of-range", folds, "2 to 4"):
            train_folds(SHORT, tree, tmp_path / "out", folds)
    with refused("folds-invalid", "[0]"):
        replace(SHORT, left_out=[0], holdout_fold=0)
