"""The commands `explain` and `trust`: every method gets a bad verdict on random weights, and bad input is refused."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from core import paths
from core.__main__ import app
from core.data.index import build_index, write_dataset
from core.errors import OverreadError
from core.models.checkpoint import begin_checkpoint, save_weights, write_manifest
from core.models.networks import build
from core.training.recipe import Recipe
from tests.refusals import refused


@pytest.fixture(scope="module")
def house(tmp_path_factory, mura):
    """The small tree, indexed, and a checkpoint with random weights."""
    root = tmp_path_factory.mktemp("house")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OVERREAD_HOME", str(root / "workspace"))
        patch.setattr(paths, "CHECKPOINTS", root / "checkpoints")
        dataset = write_dataset("tree", build_index(mura, folds=4))
        recipe = Recipe("random", "resnet10t", {}, size=32)
        torch.manual_seed(0)
        folder = root / "checkpoints" / "random"
        learned = pd.DataFrame(columns=["sha1", "part"], dtype="str")
        manifest = begin_checkpoint(folder, recipe.to_json(), recipe.input_spec(), learned)
        manifest |= {"dataset": "tree", "index_hash": dataset.index_hash, "phantom": False, "parameters": 1}
        write_manifest(folder, save_weights(folder, manifest, build("resnet10t").state_dict()))
        yield root


def run(*arguments) -> dict:
    done = CliRunner().invoke(app, [*map(str, arguments), "--json"])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return json.loads(done.stdout)


@pytest.fixture
def film(mura):
    return next(mura.rglob("*.png"))


def test_no_method_is_trusted_on_random_weights(house, film, thorough):
    names = ["hires_cam", "occlusion", "guided_backprop", "grad_cam", "saliency", "layer_activation", "deep_lift"]
    names = names if thorough else names[:3]
    facts = run("explain", "random", film, *(part for name in names for part in ("--method", name)))
    assert [one["method"] for one in facts["maps"]] == names
    for one in facts["maps"]:
        assert one.get("refused") or (one["verdict"] == "do not trust" and "no known AUROC" in one["why"])


def test_the_auroc_on_a_data_set_shows_that_random_weights_learned_nothing(house, film):
    """The AUROC on the named data set decides, whatever the maps look like."""
    (one,) = run("explain", "random", film, "--method", "grad_cam", "--data", "tree", "--baseline", "mean")["maps"]
    assert one["verdict"] == "do not trust" and "AUROC" in one["why"]
    table = run("trust", "random", "--data", "tree", "--sample", 2, "--method", "occlusion")["methods"]
    assert table[0]["verdict"] == "do not use" and "AUROC" in table[0]["why"]


@pytest.mark.parametrize(
    ("options", "code", "figure"),
    [
        (("--method", "tea_leaves"), "saliency-method-unknown", "tea_leaves"),
        (("--method", "grad_cam", "--layer", "layer44"), "layer-unknown", "layer44"),
        (("--baseline", "mean"), "mean-without-data", "--data"),
        (("--baseline", "snow"), "baseline-unknown", "snow"),
    ],
)
def test_a_bad_option_is_refused(house, film, options, code, figure):
    with refused(code, figure):
        run("explain", "random", film, *options)


def test_an_unknown_data_set_is_named(house, film):
    with pytest.raises(OverreadError, match="nowhere"):
        run("explain", "random", film, "--data", "nowhere")


def test_a_radiograph_that_cannot_be_read_is_named(house, tmp_path):
    broken = tmp_path / "cut.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\nand no more")
    with pytest.raises(OverreadError, match="cut.png"):
        run("explain", "random", broken)


def test_the_maps_are_written_as_floats(house, film, tmp_path):
    run("explain", "random", film, "--method", "occlusion", "--out", tmp_path / "maps.npz")
    kept = np.load(tmp_path / "maps.npz")
    assert kept["occlusion"].dtype == np.float32 and kept["pixels"].shape == (32, 32)
    assert json.loads(bytes(kept["about"]))["occlusion"]["explains"] == "this radiograph's logit"
