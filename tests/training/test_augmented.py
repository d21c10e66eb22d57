"""Training pixels equal the preview bit for bit: for any augmentation, in any batch, after a resume."""

from dataclasses import replace
from functools import cache

import pytest
import torch

from core.data.augment import LIMITS, Augmentation, preview
from core.data.index import build_index, read_index, write_dataset
from core.training import loop, steps
from core.training.loop import train
from core.training.options import RunOptions
from tests.refusals import refused
from tests.training.test_loop import RECIPE

EVERYTHING = Augmentation(**{name: max(low, min(0.5, high)) for name, (low, high) in LIMITS.items()})
SPECS = {"everything": EVERYTHING, "mixing": Augmentation(mixup=0.5, cutmix=0.5), "alone": EVERYTHING.without_mixing}


@pytest.fixture
def tree(mura, workspace):
    return write_dataset("tree", build_index(mura, folds=4))


@cache
def learned(dataset, holdout_fold: int):
    """The image ids that training reads, with their paths. A data set is equal to another only with the same index."""
    index = read_index(dataset.name)
    learn = index[(index["split"] == "train") & (index["fold"] != holdout_fold)]
    return learn["image_id"].to_list(), learn.set_index("image_id")["path"].to_dict()


def shown(augmentation, recipe, dataset, image_id, epoch):
    """One radiograph as the page shows it: read from its file and augmented alone; so is its mixing partner."""
    names, paths = learned(dataset, recipe.holdout_fold)

    def read(name):
        return recipe.input_spec().pixels(f"{dataset.root}/{paths[name]}")

    return preview(augmentation, read, image_id, recipe.seed, [epoch], names)[0][0]


@pytest.fixture
def seen(monkeypatch):
    """Every training batch in order: its radiographs, its epoch and its pixels."""
    found, real = [], loop.training_batches

    def remembered(recipe, data, epoch, *more):
        for batch in real(recipe, data, epoch, *more):
            found.append((batch.image_ids.tolist(), epoch, batch.pixels.clone()))
            yield batch

    monkeypatch.setattr(loop, "training_batches", remembered)
    return found


ALL = [
    # One size of a batch shows what threads change; the others with threads are for `make test-all`.
    pytest.param(size, threads, marks=[pytest.mark.slow] if threads > 1 and size != 7 else [])
    for threads in (1, 3)
    for size in (2, 7, 64)
]


@pytest.mark.parametrize(("batch_size", "threads"), ALL)
@pytest.mark.parametrize("name", SPECS)
def test_training_pixels_equal_the_preview(tree, tmp_path, seen, name, batch_size, threads):
    recipe = replace(RECIPE, epochs=2, batch_size=batch_size, augmentation=SPECS[name], size=20)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        train(recipe, tree, tmp_path / "out", RunOptions(device="cpu"))
    finally:
        torch.set_num_threads(before)
    assert {epoch for _, epoch, _ in seen} == {0, 1}
    for ids, epoch, units in seen[:: max(1, len(seen) // 6)]:
        for image_id, unit in zip(ids, units):
            wanted = recipe.input_spec().normalise(shown(SPECS[name], recipe, tree, image_id, epoch))
            assert torch.equal(unit, wanted), (image_id, epoch)


def test_after_a_resume_the_samples_and_the_weights_are_the_same(tree, tmp_path, seen, monkeypatch):
    recipe = replace(RECIPE, epochs=3, augmentation=EVERYTHING, size=20, balance="weight", label_smoothing=0.1)
    straight = train(recipe, tree, tmp_path / "straight", RunOptions(device="cpu"))
    wanted = [batch for batch in seen if batch[1] == 2]
    learn, calls = loop.learn_epoch, []

    def stop_in_the_last_epoch(*arguments):
        calls.append(1)
        if len(calls) == recipe.epochs:
            raise KeyboardInterrupt
        return learn(*arguments)

    monkeypatch.setattr(loop, "learn_epoch", stop_in_the_last_epoch)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, tree, tmp_path / "stopped", RunOptions(device="cpu"))
    monkeypatch.setattr(loop, "learn_epoch", learn)
    seen.clear()
    torch.manual_seed(99)
    resumed = train(recipe, tree, tmp_path / "stopped", RunOptions(resume=True, device="cpu"))
    assert resumed.weights_hash == straight.weights_hash and len(seen) == len(wanted)
    for one, other in zip(seen, wanted):
        assert one[:2] == other[:2] and torch.equal(one[2], other[2])


def test_a_mixed_label_reaches_the_loss(tree, tmp_path, monkeypatch):
    targets = []
    loss = steps.loss_of
    monkeypatch.setattr(
        steps,
        "loss_of",
        lambda recipe, logits, target, weights: targets.append(target) or loss(recipe, logits, target, weights),
    )
    train(replace(RECIPE, epochs=1, augmentation=Augmentation(mixup=1, mixup_alpha=1)), tree, tmp_path / "out")
    soft = torch.cat(targets)
    assert ((soft > 0.01) & (soft < 0.99)).any()


def test_focal_loss_refuses_mixed_labels():
    with refused("mixing-unsupported", "focal"):
        replace(RECIPE, loss="focal", augmentation=Augmentation(cutmix=0.5))
