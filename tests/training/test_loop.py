"""The training loop: learning, stopping, resuming bit for bit, and every error before and during a run."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

from core.data.index import build_index, read_dataset, read_index, write_dataset
from core.device import LOGIT_TOLERANCE
from core.models import checkpoint as room
from core.models.checkpoint import load_model, read_checkpoint, save_weights
from core.scores.classifier import load_classifier
from core.scores.predictions import read_file
from core.scores.source import source_of
from core.scores.stored_scores import effective_splits, read_predictions
from core.training import loop, validation
from core.training.loop import train
from core.training.loss import tuning_figures
from core.training.margins import read_margins
from core.training.options import RunOptions
from core.training.preflight import exclusive_folder
from core.training.recipe import Recipe
from core.training.state import STATE_FILE, RunState, read_state
from tests.conftest import write_radiograph
from tests.refusals import refused

RECIPE = Recipe("tiny", "small_cnn", {"width": 4, "hidden": 8}, size=16, epochs=6, batch_size=8, learning_rate=0.02)
TRANSFER = replace(
    RECIPE, architecture="lcnet_035", model_kwargs={}, size=32, head_epochs=1, epochs=2, backbone_rate=0.5
)


@pytest.fixture
def tree(mura, workspace):
    return write_dataset("tree", build_index(mura, folds=4))


def test_a_clear_signal_is_learned_and_scored(tree, tmp_path):
    checkpoint = train(RECIPE, tree, tmp_path / "out")
    scores = read_file(checkpoint.folder / "predictions.parquet")
    valid = scores[scores["split"] == "valid"]
    assert set(scores["split"]) == {"tune", "valid"} and len(valid) == 16
    assert valid.loc[valid["label"] == 1, "logit"].min() > valid.loc[valid["label"] == 0, "logit"].max()
    history = checkpoint.history()
    assert len(history) == 6 and history["train_loss"].iloc[-1] < history["train_loss"].iloc[0]
    assert checkpoint.manifest["epoch"] == history.loc[history["best"], "epoch"].iloc[-1]
    names = {file.name for file in checkpoint.folder.iterdir() if not file.name.startswith(".")}
    assert {name for name in names if name.endswith(".sha256")} == {
        f"{name}.sha256" for name in ("history.csv", "margins.parquet", "predictions.parquet")
    }
    assert {name for name in names if not name.endswith(".sha256")} == {
        "weights.safetensors",
        "recipe.json",
        "input_spec.json",
        "learned.parquet",
        "history.csv",
        "predictions.parquet",
        "margins.parquet",
        "checkpoint.json",
    }


def test_the_held_out_fold_is_not_learned_from(tree, tmp_path, monkeypatch):
    seen, real = set(), loop.training_batches

    def record(*arguments):
        for batch in real(*arguments):
            seen.update(batch.image_ids)
            yield batch

    monkeypatch.setattr(loop, "training_batches", record)
    train(replace(RECIPE, epochs=1, holdout_fold=2), tree, tmp_path / "out")
    index = read_index("tree")
    assert seen == set(index.loc[(index["split"] == "train") & (index["fold"] != 2), "image_id"])


def test_scores_from_files_equal_scores_in_training(tree, tmp_path):
    checkpoint = train(replace(RECIPE, epochs=1), tree, tmp_path / "out")
    scores = read_file(checkpoint.folder / "predictions.parquet")
    pixels = np.stack([checkpoint.input_spec.pixels(f"{tree.root}/{path}") for path in scores["path"]])
    found, stored = load_classifier(checkpoint, "cpu").logits(pixels), scores["logit"].to_numpy()
    # On a GPU the training scored in bfloat16.
    close = LOGIT_TOLERANCE["bfloat16"] * np.maximum(1, np.abs(stored)) if torch.cuda.is_available() else 1e-6
    assert (np.abs(found - stored) <= close).all()
    assert read_predictions(source_of(checkpoint, tree)).equals(scores)


@pytest.mark.parametrize(
    "recipe",
    [
        replace(RECIPE, epochs=4),
        TRANSFER,
        replace(RECIPE, epochs=3, balance="sampler", optimiser="sgd"),
        replace(RECIPE, epochs=4, ema=0.9, accumulate=2, loss="focal", clip_norm=1.0, precision="bfloat16"),
        replace(RECIPE, epochs=3, architecture="attention:small_cnn", balance="sampler"),
        replace(TRANSFER, epochs=3, layer_decay=0.7, freeze_stages=1, schedule="plateau", ema=0.5),
    ],
    ids=["adamw", "transfer", "sgd", "mean, focal, bfloat16", "attention", "stages, plateau"],
)
def test_a_resumed_run_has_the_same_weights(tree, tmp_path, monkeypatch, recipe):
    straight = train(recipe, tree, tmp_path / "straight", RunOptions(device="cpu"))
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
    torch.manual_seed(99)
    resumed = train(recipe, tree, tmp_path / "stopped", RunOptions(resume=True, device="cpu"))
    assert resumed.weights_hash == straight.weights_hash
    clock = ["seconds", "images_per_second"]
    pd.testing.assert_frame_equal(resumed.history().drop(columns=clock), straight.history().drop(columns=clock))
    pd.testing.assert_frame_equal(read_margins(resumed), read_margins(straight), check_exact=True)


def test_a_killed_run_leaves_a_whole_checkpoint(tree, tmp_path):
    command = [
        sys.executable,
        "-m",
        "core",
        "train",
        "original-cnn-64",
        "--data",
        "tree",
        "--out",
        str(tmp_path / "killed"),
        "--device",
        "cpu",
    ]
    settings = ["--set", "size=16", "--set", "epochs=400", "--set", 'model_kwargs={"width": 4}']
    running = subprocess.Popen([*command, *settings], stderr=subprocess.PIPE)
    history = tmp_path / "killed" / "history.csv"
    # Until some epochs are saved, or the process ends.
    while running.poll() is None and not (history.exists() and history.read_text().count("\n") > 5):
        time.sleep(0.1)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    done = read_checkpoint(tmp_path / "killed").history()
    assert 5 <= len(done) < 400 and not read_checkpoint(tmp_path / "killed").manifest["complete"]
    again = replace(Recipe.from_json((tmp_path / "killed" / "recipe.json").read_text()))
    with refused("recipe-changed", "killed"):
        train(replace(again, epochs=9), tree, tmp_path / "killed", RunOptions(resume=True))
    with refused("checkpoint-exists", "killed", "--resume"):
        train(again, tree, tmp_path / "killed")


def judge(monkeypatch, area):
    found = lambda tune, scores, pooling: {**tuning_figures(tune, scores, pooling), "tune_auroc": area()}  # noqa: E731
    monkeypatch.setattr(validation, "tuning_figures", found)


def test_a_resumed_run_with_other_scores_ends_whole(tree, tmp_path, monkeypatch):
    """A kill between the weights of an epoch and its state; repeated, the epoch is worse, as on another machine."""
    recipe, save = replace(RECIPE, epochs=3), loop.save_state
    calls = []

    def stop_at_the_second(*arguments):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return save(*arguments)

    monkeypatch.setattr(loop, "save_state", stop_at_the_second)
    judge(monkeypatch, lambda: 0.5 + 0.1 * len(calls))
    with pytest.raises(KeyboardInterrupt):
        train(recipe, tree, tmp_path / "out")
    assert read_checkpoint(tmp_path / "out").manifest["epoch"] == 2
    judge(monkeypatch, lambda: 0.3)
    monkeypatch.setattr(loop, "save_state", save)
    done = train(recipe, tree, tmp_path / "out", RunOptions(resume=True))
    assert done.manifest["complete"]
    assert done.manifest["epoch"] == 2


def test_half_written_files_of_a_killed_run_are_removed(tree, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / ".weights.safetensors.99.1.tmp").write_bytes(b"half")
    (out / "notes.tmp").write_text("somebody's")
    train(replace(RECIPE, epochs=1), tree, out, RunOptions(device="cpu"))
    assert [file.name for file in out.iterdir() if file.name.endswith(".tmp")] == ["notes.tmp"]


@pytest.mark.parametrize(
    ("room_of", "name", "epoch", "kept"),
    [(loop, "save_state", 0, 1), (loop, "save_state", 2, 3), (room, "write_atomically", 2, 3)],
    ids=["state of the first epoch", "state", "weights that the manifest names"],
)
def test_a_run_killed_between_two_writes_resumes_the_same(tree, tmp_path, monkeypatch, room_of, name, epoch, kept):
    """Killed between the weights of an epoch and its state (in the first epoch there is then nothing to resume), or
    between the manifest that names new weights and those weights."""
    recipe = replace(RECIPE, epochs=4)
    judge(monkeypatch, iter([0.5, 0.6, 0.7, 0.6]).__next__)
    straight = train(recipe, tree, tmp_path / "straight", RunOptions(device="cpu"))
    save, calls = getattr(room_of, name), []

    def stop(*arguments):
        # Of the files of a checkpoint, only the weights.
        if name == "save_state" or arguments[0].name == "weights.safetensors":
            calls.append(1)
        if len(calls) == epoch + 1:
            raise KeyboardInterrupt
        return save(*arguments)

    monkeypatch.setattr(room_of, name, stop)
    judge(monkeypatch, iter([0.5, 0.6, 0.7]).__next__)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, tree, tmp_path / "out", RunOptions(device="cpu"))
    assert read_checkpoint(tmp_path / "out").manifest["epoch"] == kept
    monkeypatch.setattr(room_of, name, save)
    judge(monkeypatch, iter([0.5, 0.6, 0.7, 0.6][epoch:]).__next__)
    done = train(recipe, tree, tmp_path / "out", RunOptions(resume=True, device="cpu"))
    assert done.weights_hash == straight.weights_hash
    assert done.history()["best"].tolist() == straight.history()["best"].tolist() == [True, True, True, False]
    with refused("nothing-to-resume", "resume.safetensors"):
        train(recipe, tree, tmp_path / "out", RunOptions(resume=True))


def test_two_runs_do_not_share_a_folder(tree, tmp_path):
    with exclusive_folder(tmp_path / "out"), refused("folder-busy", tmp_path / "out"):
        train(RECIPE, tree, tmp_path / "out")
    assert train(replace(RECIPE, epochs=1), tree, tmp_path / "out").manifest["complete"]


@pytest.mark.parametrize(
    ("change", "code", "figure"),
    [
        (
            {"architecture": "vit_tiny_patch16_224", "model_kwargs": {}},
            "size-unsupported",
            'size=224, or where it takes one model_kwargs={"img_size": 16}',
        ),
        ({"model_kwargs": {"width": 0}}, "size-unsupported", "16 px"),
        ({"model_kwargs": {"dropout": 2}}, "arguments-unsupported", "small_cnn"),
        ({"architecture": "resnet18.bogus", "model_kwargs": {}}, "arguments-unsupported", "resnet18.bogus"),
    ],
)
def test_an_impossible_network_is_refused_before_decoding(tree, tmp_path, change, code, figure):
    with refused(code, figure):
        train(replace(RECIPE, **change), tree, tmp_path / "out")
    assert not list((tmp_path / "workspace").rglob("pixels.npy"))
    assert not (tmp_path / "out").exists()


def test_a_missing_device_is_refused(tree, tmp_path):
    with refused("device-unavailable", "bogus"):
        train(RECIPE, tree, tmp_path / "out", RunOptions(device="bogus"))


def test_a_file_in_place_of_the_folder_is_refused(tree, tmp_path):
    (tmp_path / "file").write_text("x")
    with refused("file-unwritable", tmp_path / "file"):
        train(RECIPE, tree, tmp_path / "file")


def test_a_checkpoint_is_readable_after_each_write(tree, tmp_path, monkeypatch):
    """The process may end before or after any single write; the checkpoint must be readable each time."""
    train(replace(RECIPE, epochs=1), tree, tmp_path / "out")
    first = read_checkpoint(tmp_path / "out")
    model = load_model(first)
    write, done = room.write_atomically, []

    def stop(path, call, at):
        done.append(path.name)
        if len(done) == at:
            raise KeyboardInterrupt
        return write(path, call)

    for at in (1, 2, 3):
        done.clear()
        monkeypatch.setattr(room, "write_atomically", lambda path, call, at=at: stop(path, call, at))
        changed = {name: value + at for name, value in model.state_dict().items()}
        with pytest.raises(KeyboardInterrupt):
            save_weights(first.folder, read_checkpoint(first.folder).manifest, changed)
        assert read_checkpoint(first.folder).weights_hash
    assert done == ["checkpoint.json", "weights.safetensors", "checkpoint.json"]


def test_an_infinite_loss_stops_and_keeps_the_best_epoch(tree, tmp_path, monkeypatch):
    learn, calls = loop.learn_epoch, []

    def spoil(epoch, *arguments):
        calls.append(1)
        if len(calls) == 2:
            with torch.no_grad():
                next(epoch.learner.model.parameters()).fill_(float("nan"))
        return learn(epoch, *arguments)

    monkeypatch.setattr(loop, "learn_epoch", spoil)
    with refused("loss-not-finite", "epoch 2"):
        train(RECIPE, tree, tmp_path / "out")
    assert all(torch.isfinite(value).all() for value in load_file(tmp_path / "out" / "weights.safetensors").values())
    assert read_checkpoint(tmp_path / "out").manifest["epoch"] == 1


def test_a_patient_in_two_splits_is_refused(mura, workspace, tmp_path):
    indexed = build_index(mura, folds=4)
    indexed.frame.loc[indexed.frame["patient_id"] == "patient00000", "split"] = ["train", "valid"]
    with refused("patient-overlap", "patient00000 in train, valid", "--allow-patient-overlap"):
        train(RECIPE, write_dataset("tree", indexed), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    allowed = train(RECIPE, read_dataset("tree"), tmp_path / "out", RunOptions(allow_overlap=True))
    # Even then, no radiograph of the patient counts as valid.
    splits = effective_splits(indexed.frame, allowed)[indexed.frame["patient_id"] == "patient00000"]
    assert set(splits) <= {"train", "tune"}


def test_a_single_class_or_an_empty_fold_is_refused(mura, workspace, tmp_path):
    indexed = build_index(mura, folds=4)
    indexed.frame["label"] = 1.0
    with refused("one-class-only", "tree"):
        train(RECIPE, write_dataset("tree", indexed), tmp_path / "out")
    with refused("fold-unusable", "Fold 9", "0 of 44"):
        train(replace(RECIPE, holdout_fold=9), write_dataset("tree", build_index(mura, folds=4)), tmp_path / "out")


def test_resuming_without_a_run_is_refused(tree, tmp_path):
    with refused("nothing-to-resume", "none"):
        train(RECIPE, tree, tmp_path / "none", RunOptions(resume=True))


def test_a_run_that_was_killed_before_it_wrote_its_recipe_begins_again(tree, tmp_path):
    out, short = tmp_path / "out", replace(RECIPE, epochs=1)
    out.mkdir()
    (out / ".lock").touch()  # as after a kill while the radiographs were decoded
    said = []
    done = train(short, tree, out, RunOptions(resume=True, device="cpu", say=said.append))
    assert done.manifest["complete"] and any("starting again" in line for line in said)
    (out / ".lock").touch()
    with refused("nothing-to-resume"):
        train(short, tree, out, RunOptions(resume=True, device="cpu"))


def test_a_state_of_version_01_is_read(tmp_path):
    history = [{"epoch": 1, "tune_auroc": 0.75, "best": True}]
    stored = {
        **{"epoch": 0, "best": 0.75, "manifest": {"epoch": 1}, "history": history, "judged": [0.75]},
        **{"index_hash": "ab", "precision": "float32"},
    }
    save_file({"random": torch.zeros(1)}, tmp_path / STATE_FILE, {"facts": json.dumps(stored)})
    state = read_state(tmp_path)
    assert state == RunState("ab", "float32", {"epoch": 1}, 0, 0.75, (0.75,), tuple(history))
    assert json.loads(state.to_json()) == stored and RunState.from_json(state.to_json()) == state
    save_file({"random": torch.zeros(1)}, tmp_path / STATE_FILE, {"facts": "{}"})
    with refused("state-damaged", STATE_FILE):
        read_state(tmp_path)


@pytest.fixture
def finished(tree, tmp_path):
    return train(replace(RECIPE, epochs=1), tree, tmp_path / "checkpoints" / "finished")


@pytest.mark.parametrize(
    "name", ["weights.safetensors", "recipe.json", "input_spec.json", "learned.parquet", "checkpoint.json"]
)
def test_a_missing_file_is_named(finished, name):
    (finished.folder / name).unlink()
    with refused("checkpoint-incomplete", name):
        read_checkpoint(finished.folder)


@pytest.mark.parametrize("name", ["weights.safetensors", "recipe.json", "input_spec.json"])
def test_an_altered_file_is_named(finished, name):
    file = finished.folder / name
    content = bytearray(file.read_bytes())
    content[-3] ^= 1
    file.write_bytes(bytes(content))
    with refused("checkpoint-altered", name):
        read_checkpoint(finished.folder)


def test_a_checkpoint_is_found_by_name_and_a_broken_one_is_listed(finished):
    assert read_checkpoint("finished").reference == finished.reference
    (finished.folder / "checkpoint.json").write_text(json.dumps({"format": 1, "weights": [], "files": {}}))
    assert "lacks the hashes" in room.list_checkpoints()[1]["finished"]
    (finished.folder / "checkpoint.json").write_text(json.dumps({"format": 99}))
    whole, broken = room.list_checkpoints()
    assert whole == [] and "has format 99" in broken["finished"]
    with refused("checkpoint-missing", "other", "finished"):
        read_checkpoint("other")


def test_a_data_set_with_copies_of_a_file_can_be_trained_on(mura, workspace, tmp_path):
    rows, made = [], 0
    for number in range(24):
        name, abnormal = f"{number}.png", number % 2
        study = mura / "train" / "XR_ELBOW" / "patient00000" / "study1_positive"
        data = (study / "image1.png").read_bytes() if number in (4, 6) else None
        if data is None:
            made += 1
            write_radiograph(tmp_path / "set" / name, np.random.default_rng(number), bool(abnormal))
        else:
            (tmp_path / "set" / name).write_bytes(data)
        rows.append(f"{name},{abnormal},wrist")
    (tmp_path / "set" / "labels.csv").write_text("path,label,bone\n" + "\n".join(rows))
    dataset = write_dataset("copies", build_index(tmp_path / "set", folds=3))
    index = read_index("copies")
    assert index["sha1"].nunique() == made + 1 == len(index) - 1
    checkpoint = train(replace(RECIPE, epochs=1), dataset, tmp_path / "out")
    assert checkpoint.learned().index.is_unique
    assert set(read_file(checkpoint.folder / "predictions.parquet")["image_id"]) < set(index["image_id"])


def test_accumulated_batches_equal_one_large_batch(tree, tmp_path):
    """In a network without norms and dropout only the sums of gradients matter."""
    plain = replace(
        RECIPE,
        epochs=1,
        optimiser="sgd",
        schedule="constant",
        learning_rate=0.05,
        architecture="vit_tiny_patch16_224",
        size=32,
        model_kwargs={"img_size": 32, "patch_size": 8, "embed_dim": 16, "depth": 1, "num_heads": 2},
    )
    whole = load_model(train(plain, tree, tmp_path / "whole", RunOptions(device="cpu"))).state_dict()
    parts = load_model(
        train(replace(plain, batch_size=4, accumulate=2), tree, tmp_path / "parts", RunOptions(device="cpu"))
    ).state_dict()
    start = [name for name in whole if not torch.allclose(whole[name], parts[name], atol=2e-4)]
    assert not start


def test_training_stops_after_epochs_without_improvement(tree, tmp_path, monkeypatch):
    judge(monkeypatch, lambda: 0.6)
    messages = []
    done = train(replace(RECIPE, patience=2), tree, tmp_path / "out", RunOptions(say=messages.append))
    assert (
        len(done.history()) == 3
        and done.manifest["epoch"] == 1
        and "no better epoch in the last 2" in " ".join(messages)
    )
