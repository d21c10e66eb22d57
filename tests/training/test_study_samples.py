"""A study as one sample: the loss is on the pooled score, and labels of radiographs train or judge as they should."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from core.data.index import SourceTables, build_index, read_dataset, read_index, write_dataset
from core.data.label_levels import LabelRule
from core.metrics.studies import own_aggregation, study_table
from core.models.networks import POOLINGS
from core.scores.predictions import read_file
from core.training import loop, steps
from core.training.loop import train
from core.training.options import RunOptions
from core.training.recipe import Recipe, with_settings
from tests.refusals import refused
from tests.training.test_loop import RECIPE

QUICK, POOLED = RunOptions(device="cpu"), replace(RECIPE, epochs=1, batch_size=6, pooling="noisy_or")


def manifest(mura, image_label=None, name="knees"):
    """A data set of the tree as a table of labels by study; image_label: the truth of each radiograph."""
    tree = build_index(mura, folds=4).frame
    table = tree[["path", "bone", "label", "view", "split"]].assign(
        patient=tree["patient_id"], study=tree["study_id"], path=[str(mura.parent / path) for path in tree["path"]]
    )
    if image_label is not None:
        table["image_label"] = image_label(len(table))
    file = mura.parent / f"{name}.csv"
    table.to_csv(file, index=False)
    return file


def test_the_loss_is_on_the_pooled_score_of_whole_studies(mura, workspace, tmp_path, monkeypatch):
    dataset = write_dataset("tree", build_index(mura, folds=4))
    seen, real = [], steps.loss_of

    def remembered(recipe, logits, target, weights):
        seen.append((logits.detach().clone(), target))
        return real(recipe, logits, target, weights)

    monkeypatch.setattr(steps, "loss_of", remembered)
    called = []
    monkeypatch.setitem(
        POOLINGS, "noisy_or", lambda logits, study, count: called.append((logits, study)) or logits[::2]
    )
    checkpoint = train(POOLED, dataset, tmp_path / "checkpoints" / "pooled", QUICK)
    assert all(len(views) == 2 * len(scores) for (views, _), (scores, _) in zip(called, seen))
    assert all(study.tolist() == sorted(2 * list(range(len(scores)))) for (_, study), (scores, _) in zip(called, seen))
    scores = read_file(checkpoint.folder / "predictions.parquet")
    assert set(scores["pooling"]) == {"noisy_or"} and own_aggregation(scores) == "noisy_or"
    pd.testing.assert_frame_equal(study_table(scores), study_table(scores, "noisy_or"))
    assert own_aggregation(scores.drop(columns="pooling")) == "mean"


def test_a_pooling_of_the_network_is_part_of_the_architecture():
    recipe = with_settings(Recipe("r", "small_cnn"), ["pooling=attention"])
    assert recipe.architecture == "attention:small_cnn" and recipe.learns_studies and not recipe.view_pooling
    assert Recipe.from_json(recipe.to_json()) == recipe
    assert replace(recipe, architecture="ensemble", model_kwargs={"members": []}).architecture == "ensemble"
    old = Recipe("r", "attention:small_cnn")
    assert old.learns_studies and old.architecture == "attention:small_cnn"
    with refused("pooling-twice", "max", "attention:small_cnn"):
        Recipe("r", "attention:small_cnn", pooling="max")
    with refused("setting-value", "median"):
        Recipe("r", "small_cnn", pooling="median")
    with refused("label-level-unfit", "max"):
        Recipe("r", "small_cnn", pooling="max", label_level="image")


def test_a_recipe_written_before_poolings_opens_unchanged():
    import json

    text = json.loads(RECIPE.to_json())
    del text["pooling"], text["label_level"], text["prevalence"]
    assert Recipe.from_json(json.dumps(text)) == RECIPE


def test_the_truth_of_radiographs_never_reaches_the_weights(mura, workspace, tmp_path):
    """Two trainings that differ only in the truth column end at the same bits, and the truth is refused as a label."""
    weights = []
    for name, truth in (("zeros", np.zeros), ("ones", np.ones)):
        file = manifest(mura, truth, name)
        dataset = write_dataset(name, build_index(file, SourceTables(rule=LabelRule("study")), folds=4))
        assert set(read_index(name)["image_label"]) == {truth(1)[0]}
        checkpoint = train(replace(RECIPE, epochs=1), dataset, tmp_path / "checkpoints" / name, QUICK)
        weights.append(load_file(checkpoint.folder / "weights.safetensors"))
        with refused("truth-never-trains", name, "image_label"):
            train(replace(RECIPE, label_level="image"), read_dataset(name), tmp_path / "out" / name, QUICK)
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
    plain = write_dataset("plain", build_index(mura, folds=4))
    with refused("image-labels-missing", "plain"):
        train(replace(RECIPE, label_level="image"), plain, tmp_path / "out" / "plain", QUICK)


def test_radiographs_that_are_labelled_singly_can_learn_their_own_labels(mura, workspace, tmp_path, monkeypatch):
    """In studies with both labels, one radiograph learns 1 and the other 0; the epoch is chosen by studies."""
    file = manifest(mura)
    table = pd.read_csv(file)
    first = ~table["study"].duplicated()
    table.loc[(table["label"] == 1) & ~first, "label"] = 0
    table.to_csv(file, index=False)
    dataset = write_dataset("single", build_index(file, SourceTables(rule=LabelRule("image")), folds=4))
    targets, real = [], loop.training_batches

    def remembered(*arguments):
        for batch in real(*arguments):
            targets.extend(zip(batch.image_ids, batch.target.tolist()))
            yield batch

    monkeypatch.setattr(loop, "training_batches", remembered)
    recipe = replace(RECIPE, epochs=1, label_level="image")
    checkpoint = train(recipe, dataset, tmp_path / "checkpoints" / "single", QUICK)
    index = read_index("single").set_index("image_id")
    assert len(targets) > 20 and all(index.loc[name, "image_label"] == target for name, target in targets)
    assert {index.loc[name, "label"] for name, target in targets if target == 0} == {0.0, 1.0}
    assert (
        checkpoint.history()["tune_studies"].iloc[0]
        == index.query("split == 'train' and fold == 0")["study_id"].nunique()
    )


@pytest.mark.parametrize("pooling", ["mean", "patch_attention"])
def test_pooled_networks_learn_a_clear_signal(mura, workspace, tmp_path, pooling):
    dataset = write_dataset("tree", build_index(mura, folds=4))
    recipe = replace(RECIPE, epochs=8, batch_size=4, pooling=pooling)
    checkpoint = train(recipe, dataset, tmp_path / "checkpoints" / "learned", QUICK)
    scores = study_table(read_file(checkpoint.folder / "predictions.parquet").query("split == 'valid'"))
    assert scores.loc[scores["label"] == 1, "score"].min() > scores.loc[scores["label"] == 0, "score"].max()
