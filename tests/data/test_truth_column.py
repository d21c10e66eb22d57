"""The truth of single radiographs beside labels of studies: named at indexing, it judges and never becomes a label."""

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from core.__main__ import app
from core.data.index import SourceTables, build_index, read_index
from tests.conftest import write_radiograph
from tests.refusals import refused

LABELS, TRUTH = [1, 1, 0, 0], ["yes", "no", "no", ""]


@pytest.fixture
def table(tmp_path):
    """Two studies of two radiographs each."""
    rows = pd.DataFrame({"path": [f"{n}.png" for n in range(4)], "bone": "knee", "label": LABELS, "seen": TRUTH})
    rows["patient"], rows["study"] = [f"p{n // 2}" for n in range(4)], "s"
    for number, path in enumerate(rows["path"]):
        write_radiograph(tmp_path / path, np.random.default_rng(number), bool(LABELS[number]))
    rows.to_csv(tmp_path / "labels.csv", index=False)
    return tmp_path / "labels.csv"


def test_a_truth_column_is_kept_apart_from_the_labels(table, workspace):
    indexed = build_index(table, SourceTables(columns={"truth": "seen"}), folds=2)
    assert list(indexed.frame["label"]) == LABELS and "seen" not in indexed.frame
    assert indexed.frame["image_label"].tolist()[:3] == [1, 0, 0] and indexed.frame["image_label"].isna().iloc[3]
    notes = [str(note) for note in indexed.notes if note.code == "truth-kept"]
    assert len(notes) == 1 and "3 radiographs" in notes[0]
    result = CliRunner().invoke(app, ["index", str(table), "--name", "knees", "--truth-column", "seen", "--json"])
    assert result.exit_code == 0 and json.loads(result.stdout)["label_level"] == "study"
    assert read_index("knees")["image_label"].sum() == 1


def test_a_column_is_not_label_and_truth(table, workspace):
    with refused("truth-is-label", "label"):
        build_index(table, SourceTables(columns={"truth": "label"}))
    with refused("image-label-invalid", "'p0'", "4"):
        build_index(table, SourceTables(columns={"truth": "patient"}))
    with refused("column-missing", "grade"):
        build_index(table, SourceTables(columns={"truth": "grade"}))
