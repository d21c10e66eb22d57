from dataclasses import replace

import numpy as np
import pytest
import torch

from core.data.index import build_index, write_dataset
from core.errors import OverreadError
from core.inference.classifier import Classifier
from core.inference.predict import predict
from core.inference.predictions import predictions_path, read_file, read_predictions, store_predictions
from core.inference.scores import scores_for
from core.models.checkpoint import begin_checkpoint, read_checkpoint, save_weights
from core.models.registry import build
from core.training.recipe import Recipe

RECIPE = Recipe("tiny", "small_cnn", {"width": 2, "hidden": 4}, size=16)


@pytest.fixture
def tree(mura, workspace):
    return write_dataset("tree", build_index(mura, folds=4))


@pytest.fixture
def checkpoint(tmp_path, tree):
    return untrained(tmp_path / "checkpoints" / "tiny", RECIPE)


def untrained(folder, recipe, **manifest):
    """A whole checkpoint with random weights."""
    torch.manual_seed(0)
    written = begin_checkpoint(folder, recipe.to_json(), recipe.input_spec()) | manifest
    save_weights(folder, written, build(recipe.architecture, recipe.model_kwargs).state_dict())
    return read_checkpoint(folder)


def test_a_checkpoint_that_learned_elsewhere_scores_everything(checkpoint, tree):
    scores = predict(checkpoint, tree)
    assert len(scores) == 60
    assert set(scores["split"]) == {"train", "valid"}


def test_a_checkpoint_that_learned_here_scores_what_it_has_not_seen(tmp_path, tree):
    own = untrained(tmp_path / "own", replace(RECIPE, holdout_fold=1), index_hash=tree.index_hash)
    assert set(predict(own, tree)["split"]) == {"tune", "valid"}
    assert set(predict(own, tree, ["train"])["split"]) == {"train"}


def test_an_unreadable_radiograph_is_left_out_and_the_rest_scored(checkpoint, mura, tmp_path, workspace):
    import shutil

    shutil.copytree(mura, tmp_path / "copy")
    other = write_dataset("copy", build_index(tmp_path / "copy"))
    (tmp_path / "copy/valid/XR_ELBOW/patient00022/study1_negative/image1.png").write_bytes(b"gone")
    assert len(predict(checkpoint, other)) == 59


def test_scores_do_not_depend_on_the_batch(checkpoint, tree):
    classifier = Classifier(build("small_cnn").eval(), checkpoint.input_spec, torch.device("cpu"))
    pixels = np.random.default_rng(0).integers(0, 256, (70, 16, 16)).astype(np.uint8)
    assert classifier.logits(pixels, 64) == pytest.approx(classifier.logits(pixels, 7), abs=1e-5)
    assert classifier.logits(pixels[:0]).shape == (0,)


def test_stored_scores_are_found_only_for_their_weights_and_index(checkpoint, tree, mura):
    store_predictions(predict(checkpoint, tree, ["valid"]), checkpoint, tree)
    store_predictions(predict(checkpoint, tree, ["train"]), checkpoint, tree)
    stored = read_predictions(checkpoint, tree)
    assert len(stored) == 60
    assert not stored["image_id"].duplicated().any()
    assert read_predictions(checkpoint, write_dataset("tree", build_index(mura, folds=5))) is None


def test_scores_kept_in_a_checkpoint_outlive_a_new_name_of_the_data_set(checkpoint, tree, mura):
    store_predictions(predict(checkpoint, tree), checkpoint, tree, checkpoint.folder / "predictions.parquet")
    renamed = write_dataset("renamed", build_index(mura, folds=4))
    assert len(read_predictions(checkpoint, renamed)) == 60


def test_a_damaged_score_file_is_named_and_made_anew(checkpoint, tree):
    store_predictions(predict(checkpoint, tree), checkpoint, tree)
    file = predictions_path(checkpoint, tree)
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(OverreadError, match="cannot be read as Parquet"):
        read_file(file)
    store_predictions(predict(checkpoint, tree), checkpoint, tree)
    assert len(read_file(file)) == 60


def test_the_split_meant_is_the_one_given(checkpoint, tree, tmp_path):
    frame, used = scores_for("tiny", "tree")
    assert used == "valid"
    assert len(frame) == 16
    assert scores_for("tiny", "tree", "train")[1] == "train"
    with pytest.raises(OverreadError, match="not of test; choose one with --split"):
        scores_for(str(predictions_path(checkpoint, tree)), split="test")
    with pytest.raises(OverreadError, match="carries no scores; name a data set"):
        scores_for("tiny")
    with pytest.raises(OverreadError, match="no radiograph in the split test"):
        predict(checkpoint, tree, ["test"])
    with pytest.raises(OverreadError, match="no predictions file"):
        scores_for(str(tmp_path / "none.parquet"))
