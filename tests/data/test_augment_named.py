"""Augmentations by name: what is written is what is read, and a name that means something else now is refused."""

import json
from dataclasses import replace

import pytest

from core.data.augment import PRESETS, Augmentation, find_augmentation, list_named, save_named
from core.data.augment.named import named_file
from core.errors import OverreadError
from core.training.preflight import check_folder
from core.training.recipe import with_augmentation, with_settings
from core.training.recipes import ORIGINAL_CNN_64
from core.training.state import STATE_FILE, RunState
from tests.refusals import refused

SPEC = Augmentation(rotation=12.5, blur=0.01)


def test_a_saved_one_is_found_by_name_by_file_and_by_hash(workspace):
    file = save_named("hands", SPEC)
    for wanted in ("hands", str(file), f"hands@{SPEC.hash()}", "rotation:12.5,blur:0.01"):
        assert find_augmentation(wanted) == SPEC
    assert find_augmentation("light") == PRESETS["light"] and list_named() == ({"hands": SPEC}, {})
    assert json.loads(file.read_text())["hash"] == SPEC.hash()


def test_a_name_is_not_given_twice(workspace):
    save_named("hands", SPEC)
    save_named("hands", SPEC)
    with pytest.raises(OverreadError, match="names another augmentation already"):
        save_named("hands", PRESETS["strong"])
    with pytest.raises(OverreadError, match="is a preset"):
        save_named("light", SPEC)
    assert find_augmentation("hands") == SPEC
    for name in ("../away", "", "a/b", "x" * 300):
        with pytest.raises(OverreadError, match="cannot be a folder"):
            save_named(name, SPEC)


def test_one_that_was_altered_is_refused(workspace):
    file = save_named("hands", SPEC)
    file.write_text(file.read_text().replace("12.5", "13.5"))
    with pytest.raises(OverreadError, match="hands.json: .*it was altered"):
        find_augmentation("hands")
    assert "it was altered" in list_named()[1]["hands"]
    named_file("hands").write_text('{"rotation": 13.5}')
    with pytest.raises(OverreadError, match="it was changed since"):
        find_augmentation(f"hands@{SPEC.hash()}")


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"[]", b"x" * 10_000_000, b'{"rotation": 999}'])
def test_a_damaged_file_is_one_sentence_with_its_name(tmp_path, workspace, content):
    file = tmp_path / "spec.json"
    file.write_bytes(content)
    with pytest.raises(OverreadError, match="spec.json") as caught:
        find_augmentation(str(file))
    assert len(str(caught.value)) < 600
    with pytest.raises(OverreadError, match="no augmentation 'nobody'; choose one of none, original_study"):
        find_augmentation("nobody")
    with pytest.raises(OverreadError, match="no augmentation file"):
        find_augmentation(str(tmp_path / "away.json"))


def test_the_named_one_trains_or_the_run_is_refused(workspace, tmp_path):
    save_named("hands", SPEC)
    assert with_augmentation(ORIGINAL_CNN_64, "hands", []).augmentation == SPEC
    assert with_augmentation(ORIGINAL_CNN_64, "", []) == ORIGINAL_CNN_64
    settings = ["augmentation.rotation=3", "epochs=2"]
    with refused("augmentation-twice", f"hands is {SPEC.hash()}", "augmentation.rotation=3"):
        with_augmentation(with_settings(ORIGINAL_CNN_64, settings), "hands", settings)


def test_a_resumed_run_keeps_the_augmentation_it_was_begun_with(workspace, tmp_path, monkeypatch):
    begun = replace(ORIGINAL_CNN_64, augmentation=SPEC)
    (tmp_path / "recipe.json").write_text(begun.to_json())
    (tmp_path / STATE_FILE).touch()
    monkeypatch.setattr("core.training.preflight.read_state", lambda out: RunState("", "float32"))
    with refused("augmentation-changed", SPEC.hash(), ORIGINAL_CNN_64.augmentation.hash()):
        check_folder(tmp_path, ORIGINAL_CNN_64, None, resume=True)
