"""Progress and history of a run, TensorBoard files and torch.compile."""

import sys
import types
from dataclasses import replace

import pytest
import torch

from core.data.index import build_index, write_dataset
from core.training.loop import train
from core.training.options import RunOptions, duration_text
from core.training.state import RunState
from core.training.tensorboard import event_files
from core.training.validation import outlook_text
from tests.refusals import refused
from tests.training.test_loop import RECIPE


@pytest.fixture
def tree(mura, workspace):
    return write_dataset("tree", build_index(mura, folds=4))


def test_progress_names_the_best_auroc_and_is_that_of_the_whole_run(tree, tmp_path):
    steps, rows = [], []
    train(
        replace(RECIPE, epochs=2),
        tree,
        tmp_path / "out",
        RunOptions(progress=lambda *step: steps.append(step), watch=rows.append, device="cpu"),
    )
    assert [row["epoch"] for row in rows] == [1, 2] and {"train_loss", "tune_auroc", "images_per_second"} <= set(
        rows[0]
    )
    told = [step for step in steps if step[2].startswith("epoch")]
    second = next(what for _, _, what in told if what.startswith("epoch 2"))
    assert second == f"epoch 2 of 2, best AUROC {rows[0]['tune_auroc']:.3f}"
    assert [done for done, _, _ in told] == sorted(done for done, _, _ in told)
    assert len({total for _, total, _ in told}) == 1 and told[-1][0] == told[-1][1]
    assert [duration_text(seconds) for seconds in (3.2, 89, 600, 7200)] == ["3 s", "89 s", "10 min", "2.0 h"]
    one_class = RunState("", "", history=({"tune_auroc": float("nan"), "seconds": 2.0},))
    assert outlook_text(one_class) == outlook_text(RunState("", "")) == ""


def test_event_files_need_tensorboard(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with refused("tensorboard-missing", "--tensorboard"):
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
    # From the third epoch on: TensorBoard hides what a killed run had written of that epoch.
    assert kept == [
        (str(tmp_path / "events"), 3),
        ("train/loss", 0.5, 3),
        ("tune/auroc", 0.8, 3),
        "flushed",
        "closed",
    ]


def test_a_compiled_network_learns_the_same(tree, tmp_path, monkeypatch):
    """With the graphs of Dynamo only, since not every machine has a C++ compiler."""
    call = torch.compile
    monkeypatch.setattr(torch, "compile", lambda model: call(model, backend="aot_eager"))
    recipe = replace(RECIPE, epochs=1, precision="float32")  # in bfloat16 fused operations round differently
    plain = train(recipe, tree, tmp_path / "plain", RunOptions(device="cpu")).history()
    fast = train(replace(recipe, compile=True), tree, tmp_path / "fast", RunOptions(device="cpu")).history()
    assert fast["train_loss"].to_numpy() == pytest.approx(plain["train_loss"].to_numpy(), abs=1e-5)


def test_where_compilation_fails_the_run_continues_without_it(tree, tmp_path, monkeypatch):
    """The weights are then those of a run that was never to be compiled, and the manifest says what happened."""

    def fails(*inputs):
        raise torch._dynamo.exc.InternalTorchDynamoError("no compiler")

    monkeypatch.setattr(torch, "compile", lambda model: fails)
    recipe, messages = replace(RECIPE, epochs=1), []
    plain = train(recipe, tree, tmp_path / "plain", RunOptions(device="cpu"))
    options = RunOptions(device="cpu", say=messages.append)
    done = train(replace(recipe, compile=True), tree, tmp_path / "fallen", options)
    assert done.weights_hash == plain.weights_hash
    assert done.manifest["step"]["compiled"] is False and done.manifest["complete"]
    assert any("torch.compile failed on small_cnn (no compiler)" in message for message in messages)
