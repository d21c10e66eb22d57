"""Augmentations on the command line: checked on known masks, named for training, refused if the hash differs."""

import json

import pytest

from core.data.augment import PRESETS, Augmentation
from tests.test_command_line import core


@pytest.fixture(scope="module")
def home(tmp_path_factory, mura):
    home = tmp_path_factory.mktemp("home")
    core(home, "phantom", "--out", home / "phantoms", "--patients", 12, "--seed", 3)
    core(home, "index", home / "phantoms", "--name", "phantoms")
    core(home, "index", mura, "--name", "tree", "--folds", 4)
    return home


def test_augment_check_gives_one_json_object(home):
    found = json.loads(core(home, "augment-check", "strong", "--data", "phantoms", "--draws", 8, "--json"))
    assert found["hash"] == PRESETS["strong"].hash() and found["radiographs"] > 0 and found["draws"] == 8
    assert 0.8 < found["kept"] <= 1 and 0 <= found["lost"] < 0.2 and found["kept_low"] <= found["kept"]
    assert any("left becomes right" in text for text in found["warnings"])
    none = json.loads(core(home, "augment-check", "none", "--data", "phantoms", "--draws", 2, "--json"))
    assert none["kept"] == 1 and none["lost"] == 0 and none["warnings"] == []
    blind = json.loads(core(home, "augment-check", "light", "--data", "tree", "--json"))
    assert blind["radiographs"] == 0 and blind["kept"] is None
    assert "cannot be counted" in core(home, "augment-check", "light", "--data", "tree")
    assert "[augmentation-missing]" in core(home, "augment-check", "nobody", "--data", "tree", status=1)


def test_train_takes_the_named_augmentation_and_keeps_its_hash(home, tmp_path):
    file, spec = tmp_path / "mine.json", Augmentation(rotation=15, mixup=0.5, cutmix=0.2)
    file.write_text(spec.to_json())
    base = ("train", "original-cnn-64", "--data", "tree", "--set", "epochs=1", "--set", "size=16")
    core(home, *base, "--out", tmp_path / "run", "--augmentation", file)
    manifest = json.loads((tmp_path / "run" / "checkpoint.json").read_text())
    recipe = json.loads((tmp_path / "run" / "recipe.json").read_text())
    assert manifest["augmentation_hash"] == spec.hash() and Augmentation.from_dict(recipe["augmentation"]) == spec
    (home / "augmentations").mkdir()
    (home / "augmentations" / "hands.json").write_text(spec.to_json())
    text = core(home, *base, "--out", tmp_path / "other", "--augmentation", "hands@12345678", status=1)
    assert "[augmentation-changed]" in text and spec.hash() in text
    assert not (tmp_path / "other").exists()
    text = core(
        home, *base, "--set", "augmentation=strong", "--out", tmp_path / "x", "--augmentation", "hands", status=1
    )
    assert "leave one of them out" in text


def test_predict_reports_the_gain_of_test_time_augmentation(home, tmp_path):
    core(
        home,
        "train",
        "original-cnn-64",
        "--data",
        "tree",
        "--set",
        "epochs=1",
        "--set",
        "size=16",
        "--out",
        tmp_path / "m",
    )
    found = json.loads(
        core(
            home,
            "predict",
            tmp_path / "m",
            "--data",
            "tree",
            "--split",
            "valid",
            "--tta",
            "light",
            "--draws",
            3,
            "--json",
        )
    )
    assert found["draws"] == 3 and found["tta_hash"] == PRESETS["light"].hash() and found["radiographs"] == 16
    assert found["gain"]["n"] == 8 and "auroc_tta" in found["gain"] and "difference" in found["gain"]
    text = core(home, "predict", tmp_path / "m", "--data", "tree", "--tta", "mixup:0.5", status=1)
    assert "[augmentation-mixes]" in text
