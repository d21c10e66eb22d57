"""A run that begins from the weights of a checkpoint: what it learned before is known, and cannot choose the epoch."""

from dataclasses import replace

import numpy as np
import pytest

from core.data.index import build_index, read_index, write_dataset
from core.models.architecture_names import known_architectures
from core.training.estimate import estimate_run
from core.training.folds import train_folds
from core.training.loop import train
from core.training.options import RunOptions
from core.training.recipe import Recipe, with_settings
from core.training.recipes import RECIPES
from core.workflows.runs import continue_run, enqueue_run, estimate, find_estimate, free_name, settings_between
from tests.refusals import refused

TINY = Recipe("tiny", "small_cnn", {"width": 4, "hidden": 8}, size=16, epochs=1, batch_size=8)
CPU = RunOptions(device="cpu")


@pytest.fixture
def tree(workspace, mura):
    return write_dataset("tree", build_index(mura, folds=4))


def test_a_run_begins_from_a_checkpoint_and_knows_what_that_learned(tree, tmp_path):
    first = train(TINY, tree, tmp_path / "first", CPU)
    # The second run holds out another fold, from which the first one has learned: those rows choose no epoch.
    second = replace(TINY, weights=str(first.folder), holdout_fold=1, learning_rate=1e-9)
    with refused("fold-unusable", "Fold 1 holds 0"):
        train(second, tree, tmp_path / "second", CPU)
    third = train(replace(second, holdout_fold=0), tree, tmp_path / "third", CPU)
    assert third.manifest["start"] == first.reference
    index = read_index("tree")
    assert third.learned().to_dict() == first.learned().to_dict() and set(third.learned().index) <= set(index["sha1"])
    # With hardly any steps, the weights are still those of the first run.
    assert abs(third.history()["tune_loss"].iloc[-1] - first.history()["tune_loss"].iloc[-1]) < 0.05
    with refused("folds-start-learned", str(int((first.learned() == "train").sum()))):
        train_folds(second, tree, tmp_path / "folds", 2, CPU)


def test_names_are_the_same_as_those_that_torch_would_give():
    from core.models.networks import architecture_names

    assert set(known_architectures()) == set(architecture_names()) - {"attention", "ensemble", "patch_attention"}


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_settings_between_recipes_are_the_inverse_of_with_settings(recipe):
    start = RECIPES["original-cnn-64"]
    settings = settings_between(start, recipe)
    assert replace(with_settings(start, settings), name=recipe.name) == recipe
    assert settings_between(recipe, recipe) == []


def test_a_run_is_estimated_from_its_own_steps(tree):
    found = estimate_run(TINY, tree, "cpu")
    learned = int((read_index("tree")["split"] == "train").sum())
    assert found.epochs == 1 and 0 < found.epoch_seconds < 60 and found.memory_bytes > 50_000_000
    assert found.decode_seconds < 10 and learned > 0 and found.seconds(3) > 2 * found.seconds()
    # Nothing is left to decode once the whole set is in the cache.
    train(TINY, tree, tree.folder / "run", CPU)
    assert estimate_run(TINY, tree, "cpu").decode_seconds == 0
    recipe = with_settings(RECIPES["fast-cpu"], ["size=16", "epochs=2", "batch_size=8", "weights="])
    kept = estimate(recipe, tree, "cpu")
    assert find_estimate(recipe, tree) == kept and find_estimate(replace(recipe, seed=1), tree) is None
    assert np.isclose(kept.seconds(), kept.decode_seconds + 2 * kept.epoch_seconds + kept.score_seconds)


def test_an_ensemble_is_not_continued_and_names_stay_free(tree, monkeypatch, tmp_path):
    monkeypatch.setattr("core.jobs.queue.start_worker", lambda lane: None)
    job = enqueue_run("fast-cpu", "tree", "several", folds=2)
    with refused("continue-ensemble", "2 networks"):
        continue_run(job, 3)
    assert free_name("new") == "new"
