"""Augmentations by name are read as written, and refused if they changed."""

import json
from dataclasses import replace

import pytest

from core.data.augment import PRESETS, Augmentation, find_augmentation, list_named, save_named
from core.data.augment.named import named_file
from core.errors import OverreadError
from core.training.preflight import check_folder
from core.training.recipe import with_settings
from core.training.recipes import ORIGINAL_CNN_64, with_augmentation
from core.training.state import STATE_FILE, RunState
from tests.refusals import refused

SPEC = Augmentation(rotation=12.5, blur=0.01)


def test_a_saved_augmentation_is_found_by_name_file_and_hash(workspace):
    file = save_named("hands", SPEC)
    for wanted in ("hands", str(file), f"hands@{SPEC.hash()}", "rotation:12.5,blur:0.01"):
        assert find_augmentation(wanted) == SPEC
    assert find_augmentation("light") == PRESETS["light"] and list_named() == ({"hands": SPEC}, {})
    assert json.loads(file.read_text())["hash"] == SPEC.hash()


def test_a_name_cannot_be_used_twice(workspace):
    save_named("hands", SPEC)
    save_named("hands", SPEC)
    with refused("augmentation-name-taken", SPEC.hash(), PRESETS["strong"].hash()):
        save_named("hands", PRESETS["strong"])
    with refused("augmentation-name-taken", "light"):
        save_named("light", SPEC)
    assert find_augmentation("hands") == SPEC
    for name in ("../away", "", "a/b", "x" * 300):
        with refused("name-invalid", repr(name)[:40]):
            save_named(name, SPEC)


def test_an_altered_file_is_refused(workspace):
    file = save_named("hands", SPEC)
    file.write_text(file.read_text().replace("12.5", "13.5"))
    with refused("augmentation-altered", "hands.json"):
        find_augmentation("hands")
    assert "it was altered" in list_named()[1]["hands"]
    named_file("hands").write_text('{"rotation": 13.5}')
    with refused("augmentation-changed", SPEC.hash()):
        find_augmentation(f"hands@{SPEC.hash()}")


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"[]", b"x" * 10_000_000, b'{"rotation": 999}'])
def test_a_damaged_file_is_refused_in_a_short_sentence(tmp_path, workspace, content):
    file = tmp_path / "spec.json"
    file.write_bytes(content)
    with pytest.raises(OverreadError, match="spec.json") as caught:
        find_augmentation(str(file))
    assert len(str(caught.value)) < 600
    with refused("augmentation-missing", "'nobody'", "found: none, original_study"):
        find_augmentation("nobody")
    with refused("augmentation-missing", "away.json"):
        find_augmentation(str(tmp_path / "away.json"))


def test_a_named_augmentation_excludes_settings_of_it(workspace, tmp_path):
    save_named("hands", SPEC)
    assert with_augmentation(ORIGINAL_CNN_64, "hands", []).augmentation == SPEC
    assert with_augmentation(ORIGINAL_CNN_64, "", []) == ORIGINAL_CNN_64
    settings = ["augmentation.rotation=3", "epochs=2"]
    with refused("augmentation-twice", f"hands is {SPEC.hash()}", "augmentation.rotation=3"):
        with_augmentation(with_settings(ORIGINAL_CNN_64, settings), "hands", settings)


def test_a_resumed_run_must_keep_its_augmentation(workspace, tmp_path, monkeypatch):
    begun = replace(ORIGINAL_CNN_64, augmentation=SPEC)
    (tmp_path / "recipe.json").write_text(begun.to_json())
    (tmp_path / STATE_FILE).touch()
    monkeypatch.setattr("core.training.preflight.read_state", lambda out: RunState("", "float32"))
    with refused("augmentation-changed", SPEC.hash(), ORIGINAL_CNN_64.augmentation.hash()):
        check_folder(tmp_path, ORIGINAL_CNN_64, None, resume=True)
