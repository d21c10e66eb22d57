"""Networks that weigh the views of a study learn from whole studies; margins of training studies."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import expit
from typer.testing import CliRunner

from core.__main__ import app
from core.data.index import build_index, read_index, write_dataset
from core.errors import OverreadError
from core.metrics.evaluation import evaluate
from core.metrics.studies import attention_weights, study_table
from core.models.checkpoint import load_model, read_checkpoint
from core.scores.predictions import read_file
from core.training import loop
from core.training.folds import train_folds
from core.training.loop import train
from core.training.margins import MarginSums, margin_table, read_margins
from core.training.options import RunOptions
from core.training.parallel import Team
from core.training.samples import samples_of
from tests.refusals import refused
from tests.training.test_loop import RECIPE

ATTENTION = replace(RECIPE, architecture="attention:small_cnn", batch_size=6)


@pytest.fixture
def tree(mura, workspace):
    return write_dataset("tree", build_index(mura, folds=4))


@pytest.fixture
def trained(tree, tmp_path):
    return train(ATTENTION, tree, tmp_path / "checkpoints" / "weighs", RunOptions(device="cpu"))


def test_a_batch_holds_whole_studies(tree, tmp_path, monkeypatch):
    seen, real = [], loop.training_batches

    def remembered(*arguments):
        for batch in real(*arguments):
            seen.append(batch.image_ids.tolist())
            yield batch

    monkeypatch.setattr(loop, "training_batches", remembered)
    train(replace(ATTENTION, epochs=1), tree, tmp_path / "out", RunOptions(device="cpu"))
    study_of = read_index("tree").set_index("image_id")["study_id"]
    batches = [[study_of[name] for name in batch] for batch in seen]
    assert max(len(set(batch)) for batch in batches) == 6
    assert all(batch.count(study) == 2 for batch in batches for study in batch)
    everything = [study for batch in batches for study in set(batch)]
    assert len(everything) == len(set(everything))


def test_the_score_of_a_study_uses_the_attention_of_training(trained, tree):
    scores = read_file(trained.folder / "predictions.parquet")
    valid = scores[scores["split"] == "valid"]
    model = load_model(trained)
    pixels = np.stack([trained.input_spec.pixels(f"{tree.root}/{path}") for path in valid["path"]])
    owner, names = pd.factorize(valid["study_id"])
    tensor = trained.input_spec.normalise(torch.from_numpy(pixels)[:, None].float() / 255)
    with torch.inference_mode():
        expected = expit(model(tensor, torch.from_numpy(owner), len(names))[:, 0].numpy())
    studies = study_table(valid).set_index("study_id").loc[list(names)]
    assert studies["score"].to_numpy() == pytest.approx(expected, abs=1e-5)
    facts = evaluate(valid)
    assert facts["aggregation"] == "attention" and facts["auroc"] == 1.0
    assert attention_weights(valid).reshape(-1, 2).sum(1) == pytest.approx(1)
    assert trained.history()["tune_auroc"].max() == trained.manifest["tune_auroc"]


def test_commands_accept_a_network_that_weighs_views(trained, tree):
    run = CliRunner().invoke
    figures = json.loads(run(app, ["evaluate", "weighs", "--json"], catch_exceptions=False).stdout)
    assert figures["aggregation"] == "attention"
    plain = json.loads(run(app, ["evaluate", "weighs", "--aggregation", "mean", "--json"]).stdout)
    assert plain["aggregation"] == "mean" and plain["n"] == figures["n"]
    train(replace(RECIPE, epochs=2), tree, trained.folder.with_name("each"), RunOptions(device="cpu"))
    both = json.loads(run(app, ["compare", "weighs", "each", "--json"], catch_exceptions=False).stdout)
    assert both["aggregation"] == "attention and mean"
    chosen = ["threshold", "weighs", "--rule", "youden", "--lock", "--author", "me", "--json"]
    assert json.loads(run(app, chosen, catch_exceptions=False).stdout)["aggregation"] == "attention"
    assert isinstance(run(app, ["evaluate", "each", "--aggregation", "attention"]).exception, OverreadError)


def test_an_ensemble_of_them_weighs_views_as_well(tree, tmp_path):
    whole = train_folds(replace(ATTENTION, epochs=2), tree, tmp_path / "folds", 2, RunOptions(device="cpu"))
    scores = read_file(whole.folder / "predictions.parquet")
    assert np.isfinite(scores["attention"]).all() and {"tune", "valid"} == set(scores["split"])
    assert evaluate(scores[scores["split"] == "tune"])["aggregation"] == "attention"
    # Each member learned from the share of the other, without the fold that chose its epoch.
    margins, index = read_margins(whole), read_index("tree")
    assert set(margins["study_id"]) < set(index.loc[index["split"] == "train", "study_id"])


def test_mixing_radiographs_is_refused_for_studies():
    with refused("mixing-unsupported", "attention:small_cnn"):
        replace(ATTENTION, augmentation=replace(ATTENTION.augmentation, mixup=0.4))


@pytest.mark.parametrize("size", [1, 2, 3])
def test_processes_share_a_batch_by_studies(size):
    learn = pd.DataFrame({"study_id": list("aabbbcddde"), "label": 1.0})
    units = samples_of(learn, True)
    shares = [units.radiographs(Team(rank, size, None, "").share(np.arange(5))) for rank in range(size)]
    assert sorted(np.concatenate(shares)) == list(range(10))
    whose = [set(learn["study_id"][share]) for share in shares]
    assert sum(map(len, whose)) == 5
    owner, count = units.study_arguments(np.array([3, 0]), torch.device("cpu"))
    assert units.radiographs(np.array([3, 0])).tolist() == [6, 7, 8, 0, 1]
    assert owner.tolist() == [0, 0, 0, 1, 1] and count == 2


def test_margins_are_means_over_steps():
    """By hand: study a has radiographs with logits 1, 3 and -1, so 1; b is normal with 2 twice, so -2."""
    rows = pd.DataFrame({"study_id": list("aab"), "bone": "wrist", "group_id": "p", "label": [1.0, 1.0, 0.0]})
    logged = MarginSums(4, torch.device("cpu"))
    logged.add(torch.tensor([0, 2]), torch.tensor([1.0, 2.0]))
    logged.add(torch.tensor([1, 0, 2]), torch.tensor([3.0, -1.0, 2.0]))
    table = margin_table(
        pd.concat([rows, rows.tail(1).assign(study_id="unseen")]), *(each.numpy() for each in logged.tensors().values())
    ).set_index("study_id")
    assert list(table.index) == ["a", "b"] and table["steps"].tolist() == [3, 2]
    assert table["logit"].tolist() == pytest.approx([1, 2]) and table["aum"].tolist() == pytest.approx([1, -2])


def test_a_wrong_label_has_the_lowest_margin(mura, workspace, tmp_path):
    indexed = build_index(mura, folds=4)
    rows = indexed.frame
    wrong = rows.loc[(rows["split"] == "train") & (rows["fold"] == 2), "study_id"].iloc[0]
    rows.loc[rows["study_id"] == wrong, "label"] = 1 - rows.loc[rows["study_id"] == wrong, "label"]
    dataset = write_dataset("tree", indexed)
    train(RECIPE, dataset, tmp_path / "checkpoints" / "small", RunOptions(device="cpu"))
    command = ["label-audit", "small", "--data", "tree", "--order", "aum", "--json"]
    figures = json.loads(CliRunner().invoke(app, command, catch_exceptions=False).stdout)
    assert figures["ranked"][0]["study_id"] == wrong and figures["ranked"][0]["aum"] < 0
    assert figures["studies"] == read_checkpoint("small").learned().eq("train").sum() // 2
    (tmp_path / "checkpoints" / "small" / "margins.parquet").unlink()
    error = CliRunner().invoke(app, command).exception
    assert isinstance(error, OverreadError) and error.code == "margins-missing"
