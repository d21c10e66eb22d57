"""What whoever watches a run is told, and what is optional."""

import sys
import types
from dataclasses import replace

import pytest
import torch

from core.data.index import build_index, write_dataset
from core.errors import OverreadError
from core.training.compiled import compiling
from core.training.loop import train
from core.training.preflight import duration, left
from core.training.tensorboard import event_files
from tests.training.test_loop import RECIPE


@pytest.fixture
def tree(mura, workspace):
    return write_dataset("tree", build_index(mura, folds=4))


def test_progress_says_how_good_it_is_and_how_long_it_takes(tree, tmp_path):
    told, rows = [], []
    train(
        replace(RECIPE, epochs=2),
        tree,
        tmp_path / "out",
        progress=lambda *step: told.append(step),
        watch=rows.append,
        device="cpu",
    )
    assert [row["epoch"] for row in rows] == [1, 2] and {"train_loss", "tune_auroc", "images_per_second"} <= set(
        rows[0]
    )
    words = [what for _, _, what in told if what.startswith("epoch 2")]
    assert words[0].startswith(f"epoch 2 of 2, best AUROC {rows[0]['tune_auroc']:.3f}, about ") and "left" in words[0]
    assert [duration(seconds) for seconds in (3.2, 89, 600, 7200)] == ["3 s", "89 s", "10 min", "2.0 h"]
    assert left({"history": [{"tune_auroc": float("nan"), "seconds": 2.0}]}, RECIPE) == ", about 10 s left"


def test_event_files_need_what_writes_them(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(OverreadError, match="TensorBoard is not installed.*leave --tensorboard out"):
        event_files(tmp_path / "events").__enter__()
    with event_files(None) as watch:
        watch({"epoch": 1})


def test_every_figure_of_an_epoch_is_an_event(tmp_path, monkeypatch):
    kept = []

    class Writer:
        def __init__(self, folder, purge_step):
            kept.append((folder, purge_step))

        def add_scalar(self, name, value, step):
            kept.append((name, value, step))

        def flush(self):
            kept.append("flushed")

        def close(self):
            kept.append("closed")

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", types.SimpleNamespace(SummaryWriter=Writer))
    with event_files(tmp_path / "events") as watch:
        watch({"epoch": 3, "best": True, "train_loss": 0.5, "tune_auroc": 0.8})
    # From the third epoch on: what a killed run had written of it is shown no more.
    assert kept == [
        (str(tmp_path / "events"), 3),
        ("train/loss", 0.5, 3),
        ("tune/auroc", 0.8, 3),
        "flushed",
        "closed",
    ]


def test_a_compiled_step_learns_the_same(tree, tmp_path, monkeypatch):
    """Through Dynamo's graphs, without the C++ compiler that not every machine has."""
    call = torch.compile
    monkeypatch.setattr(torch, "compile", lambda model: call(model, backend="aot_eager"))
    recipe = replace(RECIPE, epochs=1, precision="float32")  # in bfloat16 what is fused is rounded otherwise
    plain = train(recipe, tree, tmp_path / "plain", device="cpu").history()
    fast = train(replace(recipe, compile=True), tree, tmp_path / "fast", device="cpu").history()
    assert fast["train_loss"].to_numpy() == pytest.approx(plain["train_loss"].to_numpy(), abs=1e-5)


def test_what_cannot_be_compiled_is_one_sentence():
    recipe = replace(RECIPE, compile=True)
    said = "torch.compile failed on small_cnn .*no compiler.*compile=false"
    with pytest.raises(OverreadError, match=said), compiling(recipe):
        raise torch._dynamo.exc.InternalTorchDynamoError("no compiler")
    with pytest.raises(RuntimeError, match="something else"), compiling(recipe):
        raise RuntimeError("something else")
