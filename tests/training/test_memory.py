"""Runs that do not fit into the memory of a GPU: the same steps in smaller parts. No GPU is needed to test it."""

from dataclasses import replace

import pytest
import torch

from core.data.index import build_index, write_dataset
from core.models.checkpoint import load_model
from core.training import loop
from core.training.loop import train
from core.training.options import RunOptions
from core.training.steps import split_batch
from tests.refusals import refused
from tests.training.test_loop import RECIPE

# A network without norms and dropout, in which only the sums of gradients matter.
PLAIN = replace(
    RECIPE,
    epochs=2,
    optimiser="sgd",
    schedule="constant",
    learning_rate=0.05,
    architecture="vit_tiny_patch16_224",
    size=32,
    model_kwargs={"img_size": 32, "patch_size": 8, "embed_dim": 16, "depth": 1, "num_heads": 2},
    precision="float32",
)


@pytest.fixture
def tree(mura, workspace):
    return write_dataset("tree", build_index(mura, folds=4))


def short_of_memory(monkeypatch, fits: int, from_epoch: int = 0) -> list[tuple[int, int]]:
    """Make epochs fail whose batches are larger than `fits`. Returns the list that gets (epoch, parts) of each try."""
    learn, tries = loop.learn_epoch, []

    def limited(epoch, *more):
        tries.append((epoch.number, epoch.pieces))
        if epoch.number >= from_epoch and epoch.recipe.batch_size // epoch.pieces > fits:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB")
        return learn(epoch, *more)

    monkeypatch.setattr(loop, "learn_epoch", limited)
    return tries


def test_a_batch_in_parts_gives_the_weights_of_the_whole(tree, tmp_path, monkeypatch):
    whole = train(PLAIN, tree, tmp_path / "whole", RunOptions(device="cpu"))
    tries, messages = short_of_memory(monkeypatch, fits=PLAIN.batch_size // 4), []
    parts = train(PLAIN, tree, tmp_path / "parts", RunOptions(device="cpu", say=messages.append))
    assert tries == [(0, 1), (0, 2), (0, 4), (1, 4)]
    assert parts.manifest["step"]["parts"] == 4 and whole.manifest["step"]["parts"] == 1
    assert sum("does not fit into the memory of the GPU" in message for message in messages) == 2
    one, other = (load_model(checkpoint).state_dict() for checkpoint in (whole, parts))
    assert not [name for name in one if not torch.allclose(one[name], other[name], atol=2e-4)]
    losses = [checkpoint.history()["train_loss"].to_numpy() for checkpoint in (parts, whole)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-4)


def test_memory_that_ends_in_a_later_epoch_costs_no_finished_epoch(tree, tmp_path, monkeypatch):
    tries = short_of_memory(monkeypatch, fits=PLAIN.batch_size // 2, from_epoch=1)
    done = train(PLAIN, tree, tmp_path / "out", RunOptions(device="cpu"))
    assert tries == [(0, 1), (1, 1), (1, 2)]
    assert done.history()["epoch"].tolist() == [1, 2] and done.manifest["complete"]


def test_too_little_memory_for_two_samples_is_refused(tree, tmp_path, monkeypatch):
    short_of_memory(monkeypatch, fits=0)
    with refused("gpu-memory-short", "vit_tiny_patch16_224", "32 px", "2 samples", "Tried to allocate 9 GiB"):
        train(replace(PLAIN, batch_size=4), tree, tmp_path / "out", RunOptions(device="cpu"))


@pytest.mark.parametrize(
    ("count", "size", "pieces", "expected"),
    [(8, 8, 1, [8]), (8, 8, 2, [4, 4]), (7, 8, 2, [4, 3]), (3, 8, 4, [3]), (5, 8, 4, [3, 2]), (2, 8, 4, [2])],
)
def test_parts_are_even_and_have_at_least_two_samples(count, size, pieces, expected):
    assert list(map(len, split_batch(torch.arange(count).numpy(), size, pieces))) == expected
