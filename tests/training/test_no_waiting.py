"""Nothing in an epoch makes the processor wait for a GPU: tested by the operations of torch, on a CPU.

An operation that hands a value of a tensor to Python, or whose result has a size that depends on values, would wait for
all steps in the queue of a GPU, and could not be captured as a CUDA graph.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from core.data.augment import PRESETS, Augmentation, make_plan, network_input, send_plan
from core.data.index import build_index, write_dataset
from core.data.input_spec import InputSpec
from core.training import loop
from core.training.loop import train
from core.training.options import RunOptions
from tests.training.test_loop import RECIPE

WAITING = ("aten::_local_scalar_dense", "aten::nonzero", "aten::masked_select", "aten::is_nonzero", "aten::equal")
EVERYTHING = Augmentation(
    perspective=0.3, crop=0.7, blur=0.02, sharpness=0.5, equalisation=0.3, clahe=0.5, noise=0.1, erasing=0.5
)


class Waits(TorchDispatchMode):
    """Counts the operations for which a GPU would have to end its queue."""

    def __init__(self):
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.name().split(".")[0]
        if name in WAITING:
            self.found.append(name)
        return function(*args, **(kwargs or {}))


@pytest.fixture
def tree(mura, workspace):
    return write_dataset("tree", build_index(mura, folds=4))


@pytest.mark.parametrize(
    "changes",
    [{}, {"loss": "focal", "label_smoothing": 0.1}, {"clip_norm": 1.0, "balance": "weight"}, {"optimiser": "sgd"}],
    ids=["plain", "focal", "clipped", "sgd"],
)
def test_an_epoch_fetches_one_value_at_its_end(tree, tmp_path, monkeypatch, changes):
    real, found = loop.learn_epoch, []

    def counted(*arguments):
        with Waits() as waits:
            mean = real(*arguments)
        found.append(waits.found)
        return mean

    monkeypatch.setattr(loop, "learn_epoch", counted)
    train(replace(RECIPE, epochs=2, precision="float32", **changes), tree, tmp_path / "out", RunOptions(device="cpu"))
    assert found == [["aten::_local_scalar_dense"]] * 2


@pytest.mark.parametrize("augmentation", [*PRESETS.values(), EVERYTHING], ids=[*PRESETS, "everything"])
def test_augmentation_on_a_device_fetches_nothing(augmentation):
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (6, 40, 40), dtype=np.uint8))
    plan = send_plan(make_plan(augmentation, list("abcdef"), 0, 0, 40), 40, pixels.device)
    with Waits() as waits:
        made = network_input(plan, pixels, torch.tensor([3, 1, 2, 0, 5, 4]), InputSpec(40))
    assert not waits.found and made.shape == (6, 1, 40, 40)


def test_the_test_sees_a_value_that_is_fetched():
    with Waits() as waits:
        float(torch.ones(3).sum())
    assert waits.found == ["aten::_local_scalar_dense"]
