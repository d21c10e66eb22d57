"""Training and scoring on a GPU: replayed steps, memory, resuming, and scores that agree with the CPU's."""

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from core.data.augment import PRESETS, Augmentation
from core.data.index import build_index, write_dataset
from core.device import LOGIT_TOLERANCE
from core.models.checkpoint import load_model
from core.scores.classifier import load_classifier
from core.scores.predict import scores_in_order
from core.scores.predictions import read_file
from core.training import loop
from core.training.loop import train
from core.training.options import RunOptions
from core.training.recipe import Recipe

# With a high learning rate, a change of the weights by a millionth changes the third epoch's loss by a third.
RECIPE = Recipe("tiny", "resnet10t", size=32, epochs=3, batch_size=4, learning_rate=1e-4, precision="float32")
GPU = RunOptions(device="cuda")


@pytest.fixture
def tree(mura, workspace):
    return write_dataset("tree", build_index(mura, folds=4))


VARIANTS = {
    "adamw": {},
    "sgd": {"optimiser": "sgd"},
    "mean": {"ema": 0.9, "clip_norm": 1.0},
    "focal, bfloat16": {"loss": "focal", "precision": "bfloat16", "label_smoothing": 0.1},
    "weights": {"balance": "weight", "augmentation": PRESETS["strong"]},
    "mixing": {"augmentation": Augmentation(mixup=0.5, cutmix=0.5, rotation=10)},
    "stages": {"head_epochs": 1, "unfreeze_epochs": 1, "layer_decay": 0.7, "backbone_rate": 0.5},
    "dropout": {"model_kwargs": {"drop_rate": 0.2}},
}


@pytest.mark.parametrize("name", VARIANTS)
def test_replayed_steps_learn_as_single_ones(card, tree, tmp_path, monkeypatch, name):
    recipe = replace(RECIPE, **VARIANTS[name])
    graphed = train(recipe, tree, tmp_path / "graphed", GPU)
    assert graphed.manifest["step"]["graph"] and graphed.manifest["step"]["device"] == torch.cuda.get_device_name()
    monkeypatch.setattr(loop, "step_graph", lambda plan, samples: None)
    single = train(recipe, tree, tmp_path / "single", GPU)
    assert not single.manifest["step"]["graph"]
    if name == "dropout":  # a graph draws other masks
        assert np.isfinite(graphed.history()["train_loss"]).all()
        return
    close = 2e-2 if recipe.precision == "bfloat16" else 1e-2
    assert graphed.history()["train_loss"].to_numpy() == pytest.approx(single.history()["train_loss"], rel=close)


@pytest.mark.parametrize("pooling", ["noisy_or", "attention"])
def test_studies_as_samples_are_computed_without_a_graph(card, tree, tmp_path, pooling):
    done = train(replace(RECIPE, epochs=1, architecture="small_cnn", pooling=pooling), tree, tmp_path / "out", GPU)
    assert not done.manifest["step"]["graph"] and done.manifest["complete"]


def test_a_resumed_run_continues_where_it_stopped(card, tree, tmp_path, monkeypatch):
    recipe = replace(RECIPE, ema=0.5)
    straight = train(recipe, tree, tmp_path / "straight", GPU)
    learn, calls = loop.learn_epoch, []

    def stop_in_the_last_epoch(*arguments):
        calls.append(1)
        if len(calls) == recipe.epochs:
            raise KeyboardInterrupt
        return learn(*arguments)

    monkeypatch.setattr(loop, "learn_epoch", stop_in_the_last_epoch)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, tree, tmp_path / "stopped", GPU)
    monkeypatch.setattr(loop, "learn_epoch", learn)
    resumed = train(recipe, tree, tmp_path / "stopped", replace(GPU, resume=True))
    losses = [done.history()["train_loss"].to_numpy() for done in (resumed, straight)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_a_batch_that_does_not_fit_is_computed_in_parts(card, tree, tmp_path):
    """The memory of this process is limited to a little more than half of a step."""
    recipe = replace(RECIPE, architecture="resnet18", size=640, batch_size=12, epochs=1)
    train(recipe, tree, tmp_path / "whole", GPU)
    torch.cuda.empty_cache()
    total, most = torch.cuda.mem_get_info()[1], torch.cuda.max_memory_allocated()
    messages = []
    try:
        torch.cuda.set_per_process_memory_fraction(0.7 * most / total)
        done = train(recipe, tree, tmp_path / "parts", replace(GPU, say=messages.append))
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert done.manifest["step"]["parts"] > 1 and done.manifest["complete"]
    assert any("does not fit into the memory of the GPU" in message for message in messages)


def test_a_compiled_network_learns_the_same_and_is_captured(card, tree, tmp_path):
    recipe = replace(RECIPE, architecture="small_cnn", epochs=2, learning_rate=1e-4)
    plain = train(recipe, tree, tmp_path / "plain", GPU)
    fast = train(replace(recipe, compile=True), tree, tmp_path / "fast", GPU)
    assert fast.manifest["step"] == {**plain.manifest["step"], "compiled": True} and fast.manifest["step"]["graph"]
    assert fast.history()["train_loss"].to_numpy() == pytest.approx(plain.history()["train_loss"], rel=1e-2)


def test_scores_agree_with_those_of_the_cpu_and_of_another_batch(card, tree, tmp_path):
    checkpoint = train(replace(RECIPE, epochs=1, precision="auto"), tree, tmp_path / "out", GPU)
    scores = read_file(checkpoint.folder / "predictions.parquet")
    pixels = np.stack([checkpoint.input_spec.pixels(f"{tree.root}/{path}") for path in scores["path"]])
    here, there = load_classifier(checkpoint, "cuda"), load_classifier(checkpoint, "cpu")
    stored, close = scores["logit"].to_numpy(), LOGIT_TOLERANCE["bfloat16"]
    for found in (here.logits(pixels), here.logits(pixels, 3), there.logits(pixels)):
        assert (np.abs(found - stored) <= close * np.maximum(1, np.abs(stored))).all()
    parts = ((pixels[start : start + 2], scores.iloc[start : start + 2].assign(member=-1)) for start in range(0, 8, 2))
    assert np.concatenate(list(scores_in_order(here, parts)))[:, 0] == pytest.approx(stored[:8], abs=close)


def test_in_float32_the_gpu_computes_float32(card, tree, tmp_path):
    """Not in TensorFloat-32, which has the mantissa of a float16."""
    checkpoint = train(replace(RECIPE, epochs=1), tree, tmp_path / "out", GPU)
    pixels = np.random.default_rng(0).integers(0, 256, (16, 32, 32), dtype=np.uint8)
    one, other = load_classifier(checkpoint, "cuda"), load_classifier(checkpoint, "cpu")
    with torch.inference_mode():
        found = [side.model(side.tensor(pixels)).cpu() for side in (one, other)]
    assert torch.allclose(*found, atol=LOGIT_TOLERANCE["float32"], rtol=LOGIT_TOLERANCE["float32"])
    assert load_model(checkpoint) is not None


def test_two_processes_share_one_gpu(card, tree, workspace, tmp_path):
    """They learn what one process learns, in float32."""
    for processes in (1, 2):
        launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"]
        command = ["-m", "core", "train", "original-cnn-64", "--data", "tree", "--out", str(tmp_path / str(processes))]
        settings = ["size=32", "epochs=1", "batch_size=8", "precision=float32", "learning_rate=0.0001"]
        done = subprocess.run(
            [sys.executable, *launcher, *command, *(part for one in settings for part in ("--set", one))],
            capture_output=True,
            text=True,
            env={**os.environ, "OVERREAD_HOME": str(workspace), "CUDA_VISIBLE_DEVICES": "0"},
            timeout=200,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        assert processes == 1 or "in 2 processes, which share GPUs" in done.stdout + done.stderr
    losses = [pd.read_csv(tmp_path / name / "history.csv")["train_loss"].to_numpy() for name in ("1", "2")]
    assert losses[0] == pytest.approx(losses[1], rel=5e-2)  # batch norm sees half of the batch in each process


def test_a_hidden_gpu_is_reported(card):
    code = "from core.device import pick_device; print(*pick_device())"
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    found = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert found.stdout.strip() == "cpu the CPU, since CUDA_VISIBLE_DEVICES= hides every GPU from torch"
    assert not found.stderr
