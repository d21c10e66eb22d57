"""A checkpoint that fits its hashes and is no checkpoint is listed with its reason, and spoils no other."""

import json

import pandas as pd
import pytest

from core.data.input_spec import InputSpec
from core.models import checkpoint as room
from core.models.checkpoint import begin_checkpoint, load_model, read_checkpoint, save_weights
from core.models.networks import build
from core.models.weights_header import count_elements, read_header
from tests.refusals import refused

RECIPE = {"name": "tiny", "architecture": "small_cnn", "model_kwargs": {"width": 2, "hidden": 4}, "epochs": 1}


def write(folder, recipe: object = RECIPE, weights: bytes | None = None) -> None:
    """A checkpoint whose manifest has the hashes of its files, whatever these are."""
    learned = pd.DataFrame({"sha1": [], "part": []}, dtype="str")
    manifest = begin_checkpoint(folder, json.dumps(recipe), InputSpec(16), learned)
    save_weights(folder, manifest, build("small_cnn", RECIPE["model_kwargs"]).state_dict())
    if weights is not None:
        (folder / room.WEIGHTS).write_bytes(weights)
        room.write_manifest(folder, {**manifest, "weights": [room.file_hash(folder / room.WEIGHTS)]})


def without(name: str) -> dict:
    return {key: value for key, value in RECIPE.items() if key != name}


@pytest.mark.parametrize(
    ("recipe", "figure"),
    [
        (without("architecture"), "architecture"),
        (without("name"), "name"),
        ({**RECIPE, "architecture": 7}, "architecture is '7'"),
        ({**RECIPE, "model_kwargs": []}, "model_kwargs"),
        ({**RECIPE, "model_kwargs": "width"}, "model_kwargs"),
        ({**RECIPE, "epochs": True}, "epochs"),
        ({**RECIPE, "pooling": True}, "pooling"),
        ({**RECIPE, "augmentation": "strong"}, "augmentation"),
    ],
)
def test_a_recipe_that_lacks_what_every_reader_needs_is_refused(tmp_path, recipe, figure):
    write(tmp_path / "bad", recipe)
    with refused("recipe-invalid", "recipe.json", figure):
        read_checkpoint(tmp_path / "bad")


def test_an_input_specification_that_is_no_text_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(InputSpec, "to_json", lambda spec: '{"size": 16, "fit": "p\udce4d", "mean": 0.5, "std": 0.2}')
    monkeypatch.setattr(
        room.Path, "write_text", lambda path, text: path.write_bytes(text.encode(errors="surrogateescape"))
    )
    write(tmp_path / "bad")
    monkeypatch.undo()
    with refused("fit-unknown"):
        read_checkpoint(tmp_path / "bad")


@pytest.mark.parametrize("weights", [b"", b"no weights", b"\xff" * 64, (9).to_bytes(8, "little") + b'{"a": 1} '])
def test_weights_that_are_no_safetensors_are_refused_when_the_checkpoint_is_listed(workspace, weights):
    write(workspace / "checkpoints" / "bad", weights=weights)
    write(workspace / "checkpoints" / "good")
    whole, broken = room.list_checkpoints()
    assert [found.name for found in whole] == ["good"] and "safetensors" in broken["bad"]


def test_the_header_of_weights_names_their_tensors(tmp_path):
    write(tmp_path / "good")
    state = build("small_cnn", RECIPE["model_kwargs"]).state_dict()
    header = read_header(tmp_path / "good" / room.WEIGHTS)
    assert {name: shape for name, (_, shape) in header.items()} == {
        name: tuple(value.shape) for name, value in state.items()
    }
    assert count_elements(header) == sum(value.numel() for value in state.values())
    assert load_model(read_checkpoint(tmp_path / "good")).blocks[0].weight.shape == (2, 1, 5, 5)


@pytest.mark.parametrize(
    "arguments", [{"width": 30_000, "hidden": 30_000}, {"width": 10**9}, {"width": 4, "hidden": 60_000}]
)
def test_a_giant_network_is_refused_before_memory_is_asked_for(tmp_path, arguments):
    write(tmp_path / "giant", {**RECIPE, "model_kwargs": arguments})
    with refused("network-too-large", "small_cnn"):
        load_model(read_checkpoint(tmp_path / "giant"))


def test_a_giant_network_is_refused_in_training_too():
    with refused("network-too-large", "resnet18"):
        build("resnet18", {"block_args": {"base_width": 10**7}})
    with refused("network-too-large", "ensemble"):
        build("ensemble", {"members": [{"architecture": "small_cnn", "model_kwargs": {"width": 10**6}}]})
