"""Two processes on one processor learn from the same samples, in the same steps, as one process."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from core.__main__ import app
from core.data.index import build_index, write_dataset
from core.data.pixel_batches import cut_batches
from core.training.options import RunOptions
from core.training.parallel import Team, current_team, share_gpus
from tests.conftest import REPOSITORY
from tests.refusals import refused

SETTINGS = [
    "architecture=vit_tiny_patch16_224",
    'model_kwargs={"img_size": 32, "patch_size": 8, "embed_dim": 16, "depth": 1, "num_heads": 2}',
    "size=32",
    "epochs=2",
    "batch_size=8",
    "balance=weight",
    "augmentation=light",
    "augmentation.mixup=0.5",
    # In bfloat16 each process rounds its part of a batch by itself, and weights agree to a thousandth only.
    "precision=float32",
]


@pytest.fixture
def tree(mura, workspace):
    return write_dataset("tree", build_index(mura, folds=4))


def run(out, processes: int, workspace, *more: str, settings=SETTINGS, status=0) -> str:
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"] if processes > 1 else []
    arguments = [
        "-m",
        "core",
        "train",
        "original-cnn-64",
        "--data",
        "tree",
        "--out",
        str(out),
        "--device",
        "cpu",
        *more,
    ]
    if processes == 1 and status == 0:
        # The process of this test trains as well as another one would, and need not start.
        changed = [part for setting in settings for part in ("--set", setting)]
        alone = CliRunner().invoke(app, [*arguments[2:], *changed])
        assert alone.exit_code == 0, alone.output
        return alone.output
    done = subprocess.run(
        [sys.executable, *launcher, *arguments, *(part for setting in settings for part in ("--set", setting))],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        env={**os.environ, "OVERREAD_HOME": str(workspace), "OMP_NUM_THREADS": "1"},
        timeout=300,
    )
    assert (done.returncode == 0) == (status == 0), done.stderr[-3000:]
    assert "terminate called" not in done.stderr
    return done.stdout + done.stderr


def test_two_processes_learn_what_one_learns(tree, workspace, tmp_path):
    run(tmp_path / "one", 1, workspace)
    output = run(tmp_path / "two", 2, workspace)
    assert "cpu in 2 processes" in output and output.count("best epoch") == 1
    one, two = (load_file(tmp_path / name / "weights.safetensors") for name in ("one", "two"))
    assert set(one) == set(two)
    for name, value in one.items():
        assert torch.allclose(value, two[name], atol=2e-4), name
    history = [(tmp_path / name / "history.csv").read_text().splitlines()[-1].split(",")[1] for name in ("one", "two")]
    assert float(history[0]) == pytest.approx(float(history[1]), rel=1e-3)
    assert json.loads((tmp_path / "two" / "checkpoint.json").read_text())["complete"]


def test_more_processes_than_gpus_share_them(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for here, shared in (("2", False), ("3", True)):
        monkeypatch.setenv("LOCAL_WORLD_SIZE", here)
        assert share_gpus() is shared


@pytest.mark.slow
def test_two_processes_resume_a_stopped_run(tree, workspace, tmp_path, monkeypatch):
    """One process is stopped after an epoch; two processes resume it and reach the weights of a run without a stop."""
    run(tmp_path / "straight", 2, workspace)
    from core.training import loop
    from core.training.recipe import with_settings
    from core.training.recipes import named_recipe

    recipe = with_settings(named_recipe("original-cnn-64"), SETTINGS)
    learn, calls = loop.learn_epoch, []

    def stop(*arguments):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return learn(*arguments)

    monkeypatch.setattr(loop, "learn_epoch", stop)
    with pytest.raises(KeyboardInterrupt):
        loop.train(recipe, tree, tmp_path / "stopped", RunOptions(device="cpu"))
    run(tmp_path / "stopped", 2, workspace, "--resume")
    one, two = (load_file(tmp_path / name / "weights.safetensors") for name in ("straight", "stopped"))
    for name, value in one.items():
        assert torch.allclose(value, two[name], atol=2e-4), name


@pytest.mark.slow
def test_an_error_in_one_process_ends_all_of_them(tree, workspace, tmp_path):
    output = run(tmp_path / "out", 2, workspace, settings=["size=16", "holdout_fold=77"], status=1)
    assert "Fold 77 holds 0 of" in output


@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_the_shares_of_all_processes_make_the_batch(size):
    order = np.random.default_rng(0).permutation(103)
    parts = cut_batches(order, 10, 2 * size)
    for part in parts:
        shares = [Team(rank, size, torch.device("cpu"), "").share(part) for rank in range(size)]
        assert sorted(np.concatenate(shares)) == sorted(part) and max(map(len, shares)) - min(map(len, shares)) <= 1
    assert np.concatenate(parts).tolist() == order[: sum(map(len, parts))].tolist()
    assert len(order) - sum(map(len, parts)) < 2 * size


def test_a_device_that_processes_cannot_share_is_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with refused("device-unsupported", "mps", 2):
        current_team("mps")


def test_a_lost_process_is_reported():
    crew = Team(0, 2, torch.device("cpu"), "")
    with (
        refused("process-lost", 2, "--resume"),
        crew.explain_lost_process(),
    ):
        raise RuntimeError("[../third_party/gloo/gloo/transport/tcp/pair.cc:534] Connection closed by peer")
    with pytest.raises(RuntimeError, match="out of memory"), crew.explain_lost_process():
        raise RuntimeError("out of memory")


@pytest.mark.parametrize(
    ("arguments", "status"), [(["recipes"], 0), (["train", "bogus"], 2), (["evaluate", "none"], 1)]
)
def test_a_process_among_several_keeps_its_exit_status_and_output(workspace, arguments, status):
    """It skips Python's own shutdown, during which threads of torch could abort it."""
    environment = {**os.environ, "WORLD_SIZE": "2", "OVERREAD_HOME": str(workspace)}
    done = subprocess.run(
        [sys.executable, "-m", "core", *arguments], cwd=REPOSITORY, env=environment, capture_output=True, text=True
    )
    assert done.returncode == status
    assert {0: "original-cnn-64", 2: "Missing option", 1: "There is no"}[status] in done.stdout + done.stderr
