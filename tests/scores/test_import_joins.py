"""Tables of scores say what joining them did, collapse repeated rows, and lose no label that was known."""

import json

import pandas as pd
import pytest

from core.data.index import build_index, read_index, write_dataset
from core.scores.import_frame import Columns
from core.scores.import_join import JoinOptions
from core.scores.imports import imported_predictions, read_imported
from core.workflows.import_scores import import_scores
from tests.refusals import refused

COLUMNS = Columns("y", "p", image="image")


def stored(tmp_path, rows, columns=COLUMNS, **more):
    pd.DataFrame(rows).to_csv(tmp_path / "scores.csv", index=False)
    return import_scores(tmp_path / "scores.csv", "other", columns, **more)


@pytest.fixture
def index(mura, workspace):
    write_dataset("tree", build_index(mura, folds=4))
    return read_index("tree")


def test_the_report_of_a_data_set_counts_rows_and_radiographs(tmp_path, index):
    rows = pd.DataFrame({"image": index["image_id"].iloc[:10], "y": 0, "p": 0.5})
    rows = pd.concat(
        [rows, rows.head(2), rows.iloc[[2]].assign(y=1), pd.DataFrame({"image": ["gone"], "y": 0, "p": 0})]
    )
    about = stored(tmp_path, rows, data="tree")
    repeated, joined = about.joins
    assert (repeated.duplicates, repeated.contradictions) == (2, 1)
    assert (joined.matched, joined.unmatched_rows, joined.items_without_row) == (10, 1, len(index) - 10)
    assert about.abnormal + about.normal + about.unknown == about.studies
    again = read_imported("other")
    assert [report.matched for report in again.joins] == [14, 10] and "gone" not in json.dumps(
        [report.to_dict() for report in again.joins]
    )
    assert all(note.code != "note" for note in again.notes)


def test_rows_of_one_radiograph_with_different_labels_are_unlabelled(tmp_path, workspace):
    rows = {"image": ["a", "a", "b", "b", "c"], "y": ["0", "1", "1", "", "0"], "p": [0.1, 0.1, 0.9, 0.9, 0.2]}
    about = stored(tmp_path, rows)
    label = imported_predictions(about).set_index("image_id")["label"]
    assert label.isna().to_dict() == {"a": True, "b": False, "c": False} and label["b"] == 1
    assert about.joins[0].contradictions == 1 and about.unknown == 1
    with refused("rows-invalid", "'a'"):
        stored(tmp_path, {**rows, "p": [0.1, 0.2, 0.9, 0.9, 0.2]})


def test_scores_of_another_data_set_are_refused_unless_allowed(tmp_path, index):
    rows = {"image": ["x1", "x2"], "y": [0, 1], "p": [0.1, 0.9]}
    with refused("no-radiograph-matched", "2 rows", "'x1'", "'x2'", "--allow-unmatched"):
        stored(tmp_path, rows, data="tree")
    about = stored(tmp_path, rows, data="tree", options=JoinOptions(allow_unmatched=True))
    assert about.dataset == "" and about.joins[0].matched == 0 and about.rows == 2


def test_a_near_match_is_offered_and_applied_if_asked(tmp_path, index):
    rows = {"image": index["image_id"].str.replace(".png", ".jpg"), "p": 0.5}
    columns = Columns("", "p", image="image")
    with refused("no-radiograph-matched", "--match-ignoring extension"):
        stored(tmp_path, rows, columns, data="tree")
    about = stored(tmp_path, rows, columns, data="tree", options=JoinOptions(("extension",)))
    assert about.rows == len(index) and about.joins[0].matched == len(index)


def test_labels_that_were_known_are_not_lost(tmp_path, index):
    rows = pd.DataFrame({"image": ["a", "b"], "y": ["0", "1"], "p": [0.1, 0.9]})
    stored(tmp_path, rows)
    with refused("labels-lost", "1 of 2", "'b'", "--allow-lost-labels"):
        stored(tmp_path, rows.assign(y=["0", ""]))
    assert read_imported("other").abnormal == 1
    about = stored(tmp_path, rows.assign(y=["0", ""]), options=JoinOptions(allow_lost_labels=True))
    assert about.unknown == 1 and "labels-lost" in [note.code for note in about.notes]
    blank = pd.DataFrame({"image": index["image_id"], "y": "", "p": 0.5})
    about = stored(tmp_path, blank, data="tree")
    known = imported_predictions(about)
    assert known["label"].notna().sum() == index["label"].notna().sum()
    assert "labels-of-data-set" in [note.code for note in about.notes]
