"""A sweep drawn on the Runs page: its rows, its curve, and tables that cannot be read."""

import numpy as np
import pandas as pd
import pytest

from core import paths
from core.workflows.sweeps import read_sweep, sweep_names
from dashboard.runs.sweeps import picture
from tests.refusals import refused


@pytest.fixture
def folder(workspace):
    (paths.home() / "sweeps").mkdir(parents=True)
    return paths.home() / "sweeps"


def question() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "figure": ["study_auroc"] * 3 + ["brier"], "variant": ["a", "b", "c", "a"], "seeds": 3, "n": 413,
            "value": [0.8, 0.9, 0.7, 0.2], "low": [0.75, 0.85, 0.6, 0.1], "high": [0.85, 0.95, 0.8, 0.3],
            "p_holm": [np.nan, 0.01, 0.2, np.nan],
        }
    )  # fmt: skip


def test_a_question_is_a_row_for_each_variant(folder):
    question().to_csv(folder / "q.csv", index=False)
    table = read_sweep("q")
    assert sweep_names() == ["q"] and table.figures == ["study_auroc", "brier"] and table.reference == "a"
    drawn = picture(table, "study_auroc")
    filled, open_ = drawn.data
    assert (
        list(filled.y) == ["b"] and set(open_.y) == {"a", "c"} and list(filled.error_x.array) == pytest.approx([0.05])
    )
    assert list(drawn.layout.yaxis.categoryarray) == ["c", "a", "b"] and drawn.layout.shapes[0].x0 == 0.8


def test_a_grid_over_a_number_is_a_curve_for_each_other_setting(folder):
    grid = pd.DataFrame(
        {
            "size": [64, 32, 64, 32], "balance": ["none", "none", "weight", "weight"], "seeds": 1, "n": 100,
            "abnormal": 40, "auroc": [0.8, 0.7, 0.75, 0.6], "auroc_low": 0.5, "auroc_high": 0.9,
            "verdict": ["best", "behind the best", "not distinguishable from the best", "behind the best"],
        }
    )  # fmt: skip
    grid.to_csv(folder / "g.csv", index=False)
    table = read_sweep("g")
    drawn = picture(table, "study_auroc")
    assert table.axis == "size" and [trace.name for trace in drawn.data] == ["balance=none", "balance=weight"]
    assert list(drawn.data[0].x) == [32, 64] and list(drawn.data[0].y) == [0.7, 0.8]
    grid.drop(columns="size").to_csv(folder / "h.csv", index=False)
    assert read_sweep("h").axis == "" and len(picture(read_sweep("h"), "study_auroc").data) == 2


def test_a_table_of_something_else_is_refused(folder):
    (folder / "bad.csv").write_text("one,two\n1,2\n")
    with refused("sweep-unreadable", "bad.csv"):
        read_sweep("bad")
