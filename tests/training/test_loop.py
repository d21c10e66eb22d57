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
from safetensors.torch import load_file

from core.data.index import build_index, read_dataset, read_index, write_dataset
from core.errors import OverreadError
from core.models import checkpoint as room
from core.models.checkpoint import load_model, read_checkpoint, save_weights
from core.scores.classifier import load_classifier
from core.scores.predictions import effective_splits, read_file, read_predictions
from core.training import loop, validation
from core.training.loop import train
from core.training.loss import tuning_figures
from core.training.margins import read_margins
from core.training.preflight import alone
from core.training.recipe import Recipe
from tests.conftest import write_radiograph

RECIPE = Recipe("tiny", "small_cnn", {"width": 4, "hidden": 8}, size=16, epochs=6, batch_size=8, learning_rate=0.02)
TRANSFER = replace(
    RECIPE, architecture="lcnet_035", model_kwargs={}, size=32, head_epochs=1, epochs=2, backbone_rate=0.5
)


@pytest.fixture
def tree(mura, workspace):
    return write_dataset("tree", build_index(mura, folds=4))


def test_a_signal_that_is_there_is_learned_and_scored(tree, tmp_path):
    checkpoint = train(RECIPE, tree, tmp_path / "out")
    scores = read_file(checkpoint.folder / "predictions.parquet")
    valid = scores[scores["split"] == "valid"]
    assert set(scores["split"]) == {"tune", "valid"} and len(valid) == 16
    assert valid.loc[valid["label"] == 1, "logit"].min() > valid.loc[valid["label"] == 0, "logit"].max()
    history = checkpoint.history()
    assert len(history) == 6 and history["train_loss"].iloc[-1] < history["train_loss"].iloc[0]
    assert checkpoint.manifest["epoch"] == history.loc[history["best"], "epoch"].iloc[-1]
    assert {file.name for file in checkpoint.folder.iterdir()} == {
        "weights.safetensors",
        "recipe.json",
        "input_spec.json",
        "learned.parquet",
        "history.csv",
        "predictions.parquet",
        "margins.parquet",
        "checkpoint.json",
    }


def test_what_tunes_is_not_learned_from(tree, tmp_path, monkeypatch):
    seen, real = set(), loop.batches

    def remembered(*arguments):
        for batch in real(*arguments):
            seen.update(batch.ids)
            yield batch

    monkeypatch.setattr(loop, "batches", remembered)
    train(replace(RECIPE, epochs=1, holdout_fold=2), tree, tmp_path / "out")
    index = read_index("tree")
    assert seen == set(index.loc[(index["split"] == "train") & (index["fold"] != 2), "image_id"])


def test_scores_from_files_equal_scores_in_training(tree, tmp_path):
    checkpoint = train(replace(RECIPE, epochs=1), tree, tmp_path / "out")
    scores = read_file(checkpoint.folder / "predictions.parquet")
    pixels = np.stack([checkpoint.input_spec.pixels(f"{tree.root}/{path}") for path in scores["path"]])
    assert load_classifier(checkpoint, "cpu").logits(pixels) == pytest.approx(scores["logit"].to_numpy(), abs=1e-6)
    assert read_predictions(checkpoint, tree).equals(scores)


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
def test_a_stopped_run_goes_on_to_the_same_bits(tree, tmp_path, monkeypatch, recipe):
    straight = train(recipe, tree, tmp_path / "straight", device="cpu")
    learn, calls = loop._learn, []

    def stop_in_the_last_epoch(*arguments):
        calls.append(1)
        if len(calls) == recipe.epochs:
            raise KeyboardInterrupt
        return learn(*arguments)

    monkeypatch.setattr(loop, "_learn", stop_in_the_last_epoch)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, tree, tmp_path / "stopped", device="cpu")
    monkeypatch.setattr(loop, "_learn", learn)
    torch.manual_seed(99)
    resumed = train(recipe, tree, tmp_path / "stopped", resume=True, device="cpu")
    assert resumed.weights_hash == straight.weights_hash
    clock = ["seconds", "images_per_second"]
    pd.testing.assert_frame_equal(resumed.history().drop(columns=clock), straight.history().drop(columns=clock))
    pd.testing.assert_frame_equal(read_margins(resumed), read_margins(straight), check_exact=True)


def test_kill_nine_leaves_a_whole_checkpoint_that_goes_on(tree, tmp_path):
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
    # Until there is something to lose; it would end by itself, or fail.
    while running.poll() is None and not (history.exists() and history.read_text().count("\n") > 5):
        time.sleep(0.1)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    done = read_checkpoint(tmp_path / "killed").history()
    assert 5 <= len(done) < 400 and not read_checkpoint(tmp_path / "killed").manifest["complete"]
    again = replace(Recipe.from_json((tmp_path / "killed" / "recipe.json").read_text()))
    with pytest.raises(OverreadError, match="another recipe"):
        train(replace(again, epochs=9), tree, tmp_path / "killed", resume=True)
    with pytest.raises(OverreadError, match="already holds a checkpoint; go on with --resume"):
        train(again, tree, tmp_path / "killed")


def judge(monkeypatch, area):
    found = lambda tune, told: {**tuning_figures(tune, told), "tune_auroc": area()}  # noqa: E731
    monkeypatch.setattr(validation, "tuning_figures", found)


def test_a_resumed_run_that_goes_another_way_still_ends_whole(tree, tmp_path, monkeypatch):
    """A kill after an epoch's weights and before its state; then the epoch comes out worse, as on another machine."""
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
    done = train(recipe, tree, tmp_path / "out", resume=True)
    assert done.manifest["complete"]
    assert done.manifest["epoch"] == 2


def test_what_a_killed_run_was_writing_is_cleared_away(tree, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / ".weights.safetensors.99.1.tmp").write_bytes(b"half")
    (out / "notes.tmp").write_text("somebody's")
    train(replace(RECIPE, epochs=1), tree, out, device="cpu")
    assert [file.name for file in out.iterdir() if file.name.endswith(".tmp")] == ["notes.tmp"]


@pytest.mark.parametrize(
    ("room_of", "name", "epoch", "kept"),
    [(loop, "save_state", 0, 1), (loop, "save_state", 2, 3), (room, "write_atomically", 2, 3)],
    ids=["state of the first epoch", "state", "weights that the manifest names"],
)
def test_killed_in_the_smallest_of_windows_it_ends_the_same(tree, tmp_path, monkeypatch, room_of, name, epoch, kept):
    """Between an epoch's weights and its state; in the first epoch there is then nothing to go on with. And between the
    manifest that names new weights and those weights: the old ones lie there under the new epoch's name."""
    recipe = replace(RECIPE, epochs=4)
    judge(monkeypatch, iter([0.5, 0.6, 0.7, 0.6]).__next__)
    straight = train(recipe, tree, tmp_path / "straight", device="cpu")
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
        train(recipe, tree, tmp_path / "out", device="cpu")
    assert read_checkpoint(tmp_path / "out").manifest["epoch"] == kept
    monkeypatch.setattr(room_of, name, save)
    judge(monkeypatch, iter([0.5, 0.6, 0.7, 0.6][epoch:]).__next__)
    done = train(recipe, tree, tmp_path / "out", resume=True, device="cpu")
    assert done.weights_hash == straight.weights_hash
    assert done.history()["best"].tolist() == straight.history()["best"].tolist() == [True, True, True, False]
    with pytest.raises(OverreadError, match="it was finished"):
        train(recipe, tree, tmp_path / "out", resume=True)


def test_two_runs_do_not_share_a_folder(tree, tmp_path):
    with alone(tmp_path / "out"), pytest.raises(OverreadError, match="Another run is writing"):
        train(RECIPE, tree, tmp_path / "out")
    assert train(replace(RECIPE, epochs=1), tree, tmp_path / "out").manifest["complete"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"architecture": "vit_tiny_patch16_224", "model_kwargs": {}},
            'does not take 16 px .*set size=224, or where it takes one model_kwargs={"img_size": 16}',
        ),
        ({"model_kwargs": {"width": 0}}, "small_cnn does not take 16 px"),
        ({"model_kwargs": {"dropout": 2}}, "cannot be built"),
        ({"architecture": "resnet18.bogus", "model_kwargs": {}}, "cannot be built"),
    ],
)
def test_a_network_that_cannot_be_is_refused_before_decoding(tree, tmp_path, change, said):
    with pytest.raises(OverreadError, match=said):
        train(replace(RECIPE, **change), tree, tmp_path / "out")
    assert not list((tmp_path / "workspace").rglob("pixels.npy"))
    assert not (tmp_path / "out").exists()


def test_a_device_that_is_not_there_is_one_sentence(tree, tmp_path):
    with pytest.raises(OverreadError, match="device 'bogus' cannot be used"):
        train(RECIPE, tree, tmp_path / "out", device="bogus")


def test_a_place_that_is_a_file_is_one_sentence(tree, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OverreadError, match="could not be written"):
        train(RECIPE, tree, tmp_path / "file")


def test_weights_are_whole_at_every_moment_of_being_replaced(tree, tmp_path, monkeypatch):
    """The process may end before or after any single write; what lies there then must read."""
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


def test_a_loss_that_is_no_number_stops_and_keeps_the_best(tree, tmp_path, monkeypatch):
    learn, calls = loop._learn, []

    def spoil(model, *arguments):
        calls.append(1)
        if len(calls) == 2:
            with torch.no_grad():
                next(model.model.parameters()).fill_(float("nan"))
        return learn(model, *arguments)

    monkeypatch.setattr(loop, "_learn", spoil)
    with pytest.raises(OverreadError, match="not a number in epoch 2"):
        train(RECIPE, tree, tmp_path / "out")
    assert all(torch.isfinite(value).all() for value in load_file(tmp_path / "out" / "weights.safetensors").values())
    assert read_checkpoint(tmp_path / "out").manifest["epoch"] == 1


def test_a_patient_on_two_sides_refuses_to_start(mura, workspace, tmp_path):
    indexed = build_index(mura, folds=4)
    indexed.frame.loc[indexed.frame["patient_id"] == "patient00000", "split"] = ["train", "valid"]
    with pytest.raises(OverreadError, match="split .patient00000 in train, valid.; .*--allow-patient-over"):
        train(RECIPE, write_dataset("tree", indexed), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    allowed = train(RECIPE, read_dataset("tree"), tmp_path / "out", allow_overlap=True)
    # Allowed or not, what was learned from is not judged as valid.
    splits = effective_splits(indexed.frame, allowed)[indexed.frame["patient_id"] == "patient00000"]
    assert set(splits) <= {"train", "tune"}


def test_nothing_to_learn_is_one_sentence(mura, workspace, tmp_path):
    indexed = build_index(mura, folds=4)
    indexed.frame["label"] = 1.0
    with pytest.raises(OverreadError, match="expected normal and abnormal"):
        train(RECIPE, write_dataset("tree", indexed), tmp_path / "out")
    with pytest.raises(OverreadError, match="Fold 9 holds 0 of 44"):
        train(replace(RECIPE, holdout_fold=9), write_dataset("tree", build_index(mura, folds=4)), tmp_path / "out")


def test_resuming_nothing_is_one_sentence(tree, tmp_path):
    with pytest.raises(OverreadError, match="no run to go on with"):
        train(RECIPE, tree, tmp_path / "none", resume=True)


@pytest.fixture
def finished(tree, tmp_path):
    return train(replace(RECIPE, epochs=1), tree, tmp_path / "checkpoints" / "finished")


@pytest.mark.parametrize(
    "name", ["weights.safetensors", "recipe.json", "input_spec.json", "learned.parquet", "checkpoint.json"]
)
def test_a_missing_file_is_named(finished, name):
    (finished.folder / name).unlink()
    with pytest.raises(OverreadError, match=f"lacks {name}.*train it again"):
        read_checkpoint(finished.folder)


@pytest.mark.parametrize("name", ["weights.safetensors", "recipe.json", "input_spec.json"])
def test_an_altered_file_is_named(finished, name):
    file = finished.folder / name
    content = bytearray(file.read_bytes())
    content[-3] ^= 1
    file.write_bytes(bytes(content))
    with pytest.raises(OverreadError, match=f"was altered: {name}"):
        read_checkpoint(finished.folder)


def test_a_checkpoint_is_found_by_name_and_a_broken_one_is_listed(finished):
    assert read_checkpoint("finished").reference == finished.reference
    (finished.folder / "checkpoint.json").write_text(json.dumps({"format": 1, "weights": [], "files": {}}))
    assert "lacks the hashes" in room.list_checkpoints()[1]["finished"]
    (finished.folder / "checkpoint.json").write_text(json.dumps({"format": 99}))
    whole, broken = room.list_checkpoints()
    assert whole == [] and "has format 99" in broken["finished"]
    with pytest.raises(OverreadError, match="no checkpoint 'other' .there: finished"):
        read_checkpoint("other")


def test_a_set_that_holds_copies_of_a_file_trains_to_its_end(mura, workspace, tmp_path):
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


def test_two_small_batches_make_the_step_of_a_large_one(tree, tmp_path):
    """With a network without norms or dropout, sums of gradients are all there is."""
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
    whole = load_model(train(plain, tree, tmp_path / "whole", device="cpu")).state_dict()
    parts = load_model(
        train(replace(plain, batch_size=4, accumulate=2), tree, tmp_path / "parts", device="cpu")
    ).state_dict()
    start = [name for name in whole if not torch.allclose(whole[name], parts[name], atol=2e-4)]
    assert not start


def test_training_stops_when_nothing_gets_better(tree, tmp_path, monkeypatch):
    judge(monkeypatch, lambda: 0.6)
    said = []
    done = train(replace(RECIPE, patience=2), tree, tmp_path / "out", say=said.append)
    assert (
        len(done.history()) == 3 and done.manifest["epoch"] == 1 and "no better epoch in the last 2" in " ".join(said)
    )
