"""A sweep trains every combination once, and its table says which differences are more than chance."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score
from typer.testing import CliRunner

from core import paths
from core.__main__ import app
from core.data.index import build_index, write_dataset
from core.models.checkpoint import read_checkpoint
from core.scores.predictions import read_file
from core.training import sweep as room
from core.training.options import RunOptions
from core.training.recipes import ORIGINAL_CNN_64
from core.training.sweep import compare_runs, grid_points, run_sweep
from tests.refusals import refused
from tests.training.test_loop import RECIPE

SHORT = replace(RECIPE, epochs=2)


@pytest.fixture
def tree(mura, workspace):
    return write_dataset("tree", build_index(mura, folds=4))


def test_a_grid_has_every_combination():
    points = grid_points(SHORT, ["size=16,32", "balance=none,weight", "bones=wrist,all"])
    assert len(points) == 8 and len({point.slug for point in points}) == 8
    assert {(point.recipe.size, point.recipe.balance, point.recipe.bones) for point in points} == {
        (size, balance, bones) for size in (16, 32) for balance in ("none", "weight") for bones in ((), ("wrist",))
    }


def test_commas_in_brackets_and_braces_belong_to_a_value_of_the_grid():
    points = grid_points(SHORT, ["left_out=[],[1],[1,2]", 'model_kwargs={},{"pad_type": "same", "drop_rate": 0.1}'])
    assert [point.recipe.left_out for point in points[::2]] == [(), (1,), (1, 2)]
    assert points[1].recipe.model_kwargs == {"pad_type": "same", "drop_rate": 0.1}
    assert len({point.slug for point in points}) == 6


@pytest.mark.parametrize(
    ("grid", "code", "figure"),
    [
        ([], "grid-empty", "--grid"),
        (["size"], "grid-invalid", "key=value"),
        (["size=16,16"], "grid-repeated", "once"),
        (["size=16", "size=32"], "grid-repeated", "size"),
        (["siez=16"], "setting-unknown", "siez"),
        (["size=8"], "setting-value", "16 or more"),
    ],
)
def test_an_invalid_grid_is_refused_before_training(grid, code, figure):
    with refused(code, figure):
        grid_points(SHORT, grid)


def test_a_sweep_is_trained_stored_and_resumed(tree, workspace, monkeypatch):
    table = run_sweep(SHORT, tree, "sizes", ["size=16,32"], seeds=2, split="valid", options=RunOptions(device="cpu"))
    names = {folder.name for folder in paths.own_checkpoints().iterdir()}
    assert names == {f"sizes-size_{size}-seed{seed}" for size in (16, 32) for seed in (0, 1)}
    assert (table["auroc"].diff().dropna() <= 0).all() and table["verdict"].iloc[0] == "best"
    for row in table.itertuples():
        areas = []
        for reference in row.checkpoints.split():
            scores = read_file(read_checkpoint(reference.split("@")[0]).folder / "predictions.parquet")
            valid = scores[scores["split"] == "valid"]
            valid = valid.assign(score=1 / (1 + np.exp(-valid["logit"]))).groupby("study_id")[["score", "label"]].mean()
            areas.append(roc_auc_score(valid["label"], valid["score"]))
        assert row.auroc == pytest.approx(np.mean(areas)) and row.spread == pytest.approx(np.std(areas, ddof=1))
    kept = pd.read_csv(workspace / "sweeps" / "sizes.csv")
    assert kept["checkpoints"].tolist() == table["checkpoints"].tolist()
    with refused("checkpoint-exists", "sizes-size_16"):
        run_sweep(SHORT, tree, "sizes", ["size=16,32"], seeds=2)
    monkeypatch.setattr(room, "train", lambda *arguments: pytest.fail("a finished run was trained again"))
    again = run_sweep(SHORT, tree, "sizes", ["size=16,32"], seeds=2, split="valid", options=RunOptions(resume=True))
    pd.testing.assert_frame_equal(again, table)


class Known:
    """A run whose scores are made up."""

    def __init__(self, name, scores):
        self.reference, self.scores = name, scores

    def history(self):
        return pd.DataFrame({"seconds": [1.0]})


def made_up(monkeypatch, qualities: dict[str, float], studies: int = 400):
    random = np.random.default_rng(0)
    label = (random.random(studies) < 0.4).astype(float)
    base = pd.DataFrame(
        {
            "study_id": [f"s{n:04}" for n in range(studies)],
            "group_id": [f"p{n // 2}" for n in range(studies)],
            "bone": "hand",
            "label": label,
        }
    )
    shared = random.normal(0, 1, studies)
    runs = []
    for point in grid_points(SHORT, [f"name={','.join(qualities)}"]):
        scores = qualities[point.settings["name"]] * label + shared + random.normal(0, 0.3, studies)
        runs.append((point, Known(point.settings["name"], base.assign(score=scores))))
    monkeypatch.setattr(room, "_studies", lambda checkpoint, split: checkpoint.scores)
    return compare_runs(runs).set_index("name")


def test_only_a_worse_run_is_behind_the_best(monkeypatch):
    table = made_up(monkeypatch, {"good": 1.5, "same": 1.49, "bad": 0.5})
    assert table.loc["bad", "verdict"] == "behind the best" and table.loc["bad", "p_holm"] < 0.01
    assert {table.loc["good", "verdict"], table.loc["same", "verdict"]} == {"best", "not distinguishable from the best"}
    assert table.loc["bad", "behind_low"] < table.loc["bad", "behind"] < table.loc["bad", "behind_high"]


def test_runs_that_differ_by_chance_are_not_behind(monkeypatch):
    table = made_up(monkeypatch, {name: 1.0 for name in "abcdefgh"})
    assert (table["verdict"] == "behind the best").sum() == 0


def test_runs_on_one_bone_and_on_all_are_compared_on_that_bone(tree):
    table = run_sweep(SHORT, tree, "bones", ["bones=wrist,all"], split="valid", options=RunOptions(device="cpu"))
    scores = read_file(read_checkpoint("bones-bones_all").folder / "predictions.parquet")
    wrists = scores[(scores["split"] == "valid") & (scores["bone"] == "wrist")]["study_id"].nunique()
    assert set(table["n"]) == {wrists}
    learned = read_checkpoint("bones-bones_wrist").learned()
    assert len(learned) < len(read_checkpoint("bones-bones_all").learned())
    with refused("bone-missing", "toe", "elbow, wrist"):
        run_sweep(SHORT, tree, "toes", ["bones=toe"])


def test_the_command_prints_the_table(tree):
    done = CliRunner().invoke(
        app,
        [
            "sweep",
            ORIGINAL_CNN_64.name,
            "--data",
            "tree",
            "--name",
            "s",
            "--grid",
            "size=16,24",
            "--set",
            "epochs=1",
            "--json",
        ],
    )
    rows = json.loads(done.stdout)["rows"]
    assert done.exit_code == 0 and {row["size"] for row in rows} == {"16", "24"} and rows[0]["p"] is None
