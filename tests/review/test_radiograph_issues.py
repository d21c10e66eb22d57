"""Radiographs of abnormal studies that are probably normal, ranked by their own scores."""

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from core.__main__ import app
from core.data.index import SourceTables, build_index, read_index, write_dataset
from core.data.label_levels import LabelRule
from core.review.radiograph_issues import hits_by_rank, rank_radiographs
from core.training.loop import train
from core.training.options import RunOptions
from tests.refusals import refused
from tests.training.test_loop import RECIPE
from tests.training.test_study_samples import manifest


def scored() -> pd.DataFrame:
    """Two abnormal studies of two and three views, one of one view, a normal one, and one that was trained on."""
    return pd.DataFrame(
        {
            "image_id": list("abcdefghi"),
            "study_id": ["1", "1", "2", "2", "2", "3", "4", "5", "5"],
            "logit": [-3.0, -2.0, 1.0, 0.0, 2.0, -9.0, -8.0, -7.0, -6.0],
            "label": [1, 1, 1, 1, 1, 1, 0, 1, 1],
            "split": ["valid"] * 7 + ["train"] * 2,
        }
    )


def test_the_highest_view_of_an_abnormal_study_is_the_last_suspect():
    ranked = rank_radiographs(scored())
    assert ranked["image_id"].tolist() == ["a", "d", "c", "b", "e"] and ranked["rank"].tolist() == [1, 2, 3, 4, 5]
    assert ranked["drives"].tolist() == [False, False, False, True, True]
    assert rank_radiographs(scored(), "score")["image_id"].tolist() == ["a", "b", "d", "c", "e"]
    assert rank_radiographs(scored().assign(attention=0.0)).equals(ranked)
    hits = hits_by_rank(ranked, pd.Series([0, 1, 1, 0, np.nan], list("abcde")), ks=(1, 2, 3))
    assert hits["found"].tolist() == [1, 2, 2] and hits["random"].iloc[0] == 0.5
    with refused("order-unknown", "aum"):
        rank_radiographs(scored(), "aum")
    with refused("no-study-of-several", "1"):
        rank_radiographs(scored().iloc[5:6])


def test_the_command_counts_normal_radiographs_among_the_first(mura, workspace, tmp_path, monkeypatch):
    file = manifest(mura, lambda count: 0, "audited")
    table = pd.read_csv(file)
    table["image_label"] = table["label"] * table["study"].duplicated()
    table.to_csv(file, index=False)
    dataset = write_dataset("audited", build_index(file, SourceTables(rule=LabelRule("study")), folds=4))
    train(RECIPE, dataset, tmp_path / "checkpoints" / "q", RunOptions(device="cpu"))
    arguments = [
        "label-audit",
        "q",
        "--data",
        "audited",
        "--level",
        "image",
        "--out",
        str(tmp_path / "o.csv"),
        "--json",
    ]
    result = CliRunner().invoke(app, [*arguments, "--truth", "image_label"])
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    assert {row["order"] for row in facts["judged"]} == {"within_study", "score"}
    index = read_index("audited").query("label == 1 and (split == 'valid' or fold == 0)")
    assert facts["radiographs"] == len(index) == len(pd.read_csv(tmp_path / "o.csv"))
    assert facts["judged"][0]["random"] == pytest.approx(0.5)
    with_truth_of_studies = CliRunner().invoke(app, ["label-audit", "q", "--data", "audited", "--truth", "image_label"])
    assert with_truth_of_studies.exit_code == 2
