"""An exported network gives the same scores, for any number of radiographs; a failed export is an error."""

import json

import numpy as np
import onnx
import pytest
import torch
from typer.testing import CliRunner

from core.__main__ import app
from core.errors import OverreadError
from core.models.checkpoint import load_model, read_checkpoint
from core.scores import onnx_export as room
from core.scores.classifier import load_classifier
from core.scores.onnx_export import export_onnx, scores_of
from core.training.recipe import Recipe
from tests.refusals import refused
from tests.scores.test_predict import untrained

SMALL = {"members": [{"architecture": "small_cnn", "model_kwargs": {"width": width}} for width in (2, 4)]}
TWO = {"members": [{"architecture": name, "model_kwargs": {}} for name in ("lcnet_035", "resnet10t")]}


@pytest.mark.parametrize(
    ("architecture", "arguments"),
    [
        ("small_cnn", {"width": 4}),
        pytest.param("mobilenetv2_035", {}, marks=pytest.mark.slow),
        ("ensemble", SMALL),
        pytest.param("ensemble", TWO, marks=pytest.mark.slow),
        pytest.param("vit_tiny_patch16_224", {"img_size": 32}, marks=pytest.mark.slow),
    ],
)
def test_the_same_scores_from_onnx(architecture, arguments, tmp_path, workspace):
    checkpoint = untrained(tmp_path / "checkpoints" / "model", Recipe("r", architecture, arguments, size=32))
    facts = export_onnx(checkpoint, tmp_path / "model.onnx")
    pixels = np.random.default_rng(1).integers(0, 256, (7, 32, 32)).astype(np.uint8)
    expected = load_classifier(checkpoint, "cpu").logits(pixels)
    assert scores_of(tmp_path / "model.onnx", pixels[:, None])[:, 0] == pytest.approx(expected, abs=1e-4)
    assert scores_of(tmp_path / "model.onnx", pixels[:1, None])[0, 0] == pytest.approx(expected[0], abs=1e-4)
    props = {entry.key: entry.value for entry in onnx.load(str(tmp_path / "model.onnx")).metadata_props}
    assert props["reference"] == checkpoint.reference == facts["reference"]
    assert json.loads(props["input_spec"])["size"] == 32


def test_the_exported_formula_gives_the_study_score_of_an_attention_network(tmp_path, workspace):
    recipe = Recipe("r", "attention:small_cnn", {"width": 4}, size=32)
    checkpoint = untrained(tmp_path / "checkpoints" / "model", recipe)
    export_onnx(checkpoint, tmp_path / "model.onnx")
    pixels = np.random.default_rng(1).integers(0, 256, (3, 1, 32, 32)).astype(np.uint8)
    logit, attention = scores_of(tmp_path / "model.onnx", pixels).astype(np.float64).T
    model = load_model(checkpoint)
    unit = checkpoint.input_spec.normalise(torch.from_numpy(pixels).float() / 255)
    with torch.inference_mode():
        expected = float(model(unit, torch.zeros(3, dtype=torch.long), 1))
    weight = np.exp(attention) / np.exp(attention).sum()
    assert weight.std() > 0 and (weight * logit).sum() == pytest.approx(expected, abs=1e-4)
    props = {entry.key: entry.value for entry in onnx.load(str(tmp_path / "model.onnx")).metadata_props}
    assert "softmax(attention) * logit" in props["study_score"]


def test_an_export_with_other_scores_is_not_kept(tmp_path, workspace, monkeypatch):
    checkpoint = untrained(tmp_path / "checkpoints" / "model", Recipe("r", "small_cnn", {"width": 4}, size=16))
    monkeypatch.setattr(room, "scores_of", lambda file, pixels: np.full((len(pixels), 1), 9.0))
    with refused("onnx-scores-differ"):
        export_onnx(checkpoint, tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()


def test_the_commands_list_and_verify(tmp_path, workspace):
    run = CliRunner().invoke
    assert run(app, ["checkpoints"]).stdout == "No checkpoints yet.\n"
    checkpoint = untrained(tmp_path / "checkpoints" / "model", Recipe("r", "small_cnn", {"width": 4}, size=16))
    listed = run(app, ["checkpoints", "--json"])
    assert listed.exit_code == 0 and json.loads(listed.stdout)["checkpoints"][0]["reference"] == checkpoint.reference
    assert run(app, ["export", "model", "--out", str(tmp_path / "a.onnx"), "--json"]).exit_code == 0
    assert isinstance(run(app, ["export", "model", "--out", str(tmp_path / "a.pt")]).exception, OverreadError)
    (checkpoint.folder / "recipe.json").write_text("{}")
    broken = run(app, ["checkpoints", "--json"])
    assert broken.exit_code == 1 and "was altered: recipe.json" in json.loads(broken.stdout)["broken"]["model"]
    with refused("checkpoint-altered", "recipe.json"):
        read_checkpoint("model")
