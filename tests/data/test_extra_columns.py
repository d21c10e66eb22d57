"""Further columns of a manifest are kept with a type; labels of radiographs become those of studies."""

import numpy as np
import pandas as pd
import pytest

from core.audit.audit import audit, measured_rows
from core.data.earlier_index import check_labels_kept, earlier_rule
from core.data.extra_columns import kind_of, typed
from core.data.index import SourceTables, build_index, conflicting_studies, read_dataset, read_index, write_dataset
from core.data.label_levels import LabelRule
from core.review.verdict_files import with_study_columns
from tests.conftest import write_radiograph
from tests.refusals import refused
from tests.test_command_line import core


@pytest.mark.parametrize(
    ("cells", "kind", "values"),
    [
        (["1", "2.5", "", "-3e2"], "number", [1, 2.5, np.nan, -300]),
        (["0", "1", "NA"], "number", [0, 1, np.nan]),
        (["014Y", "006M", ""], "number", [14, 0.5, np.nan]),
        ([True, False, None], "number", [1, 0, np.nan]),
        ([3, 4, 5], "number", [3, 4, 5]),
        (["12,5", "9"], "number", [12.5, 9]),
        (["1,234", "5"], "category", ["1,234", "5"]),
        (["007", "008"], "category", ["007", "008"]),
        (["M", "F", "unknown"], "category", ["M", "F", None]),
        (["1", "two"], "category", ["1", "two"]),
        (["", "-", None], "category", [None, None, None]),
        (["2024-01-31", ""], "date", [pd.Timestamp("2024-01-31"), pd.NaT]),
        (["31.01.2024", "01.02.2024"], "date", [pd.Timestamp("2024-01-31"), pd.Timestamp("2024-02-01")]),
        (["2024-13-31", "2024-01-31"], "category", ["2024-13-31", "2024-01-31"]),
    ],
)
def test_cells_get_the_type_that_fits_all_of_them(cells, kind, values):
    found = typed(pd.Series(cells, dtype=object) if kind != "number" or None in cells else pd.Series(cells))
    assert kind_of(found) == kind
    assert [None if pd.isna(cell) else cell for cell in found] == [None if pd.isna(cell) else cell for cell in values]


def manifest(folder, **columns):
    """Six radiographs of three studies, labelled singly: 0 1, 1 1, 0 0."""
    folder.mkdir(exist_ok=True)
    random, names = np.random.default_rng(0), [f"{at}.png" for at in range(6)]
    for name in names:
        write_radiograph(folder / name, random, False)
    frame = pd.DataFrame({"path": names, "bone": "wrist", "patient": [1, 1, 2, 2, 3, 3], "study": [1, 1, 2, 2, 3, 3]})
    frame = frame.assign(label=[0, 1, 1, 1, 0, 0], **columns)
    frame.to_csv(folder / "labels.csv", index=False)
    return folder


@pytest.mark.parametrize(("rule", "label"), [("any", 1), ("all", 0), ("drop", None)])
def test_labels_of_radiographs_are_stored_beside_the_study_label(tmp_path, workspace, rule, label):
    indexed = build_index(manifest(tmp_path / "set"), SourceTables(rule=LabelRule("image", rule)))
    dataset = write_dataset("set", indexed)
    frame = read_index("set")
    assert list(frame["image_label"]) == [0, 1, 1, 1, 0, 0]
    assert [None if pd.isna(one) else one for one in frame["label"]] == [label, label, 1, 1, 0, 0]
    assert (dataset.label_level, dataset.study_rule) == ("image", rule) == (
        read_dataset("set").label_level, read_dataset("set").study_rule)  # fmt: skip
    assert indexed.conflicts == [] and not conflicting_studies(frame)


def test_a_study_rule_loses_no_label(tmp_path, workspace):
    folder = manifest(tmp_path / "set")
    before = build_index(folder, SourceTables(rule=LabelRule("image", "any"))).frame
    dropped = build_index(folder, SourceTables(rule=LabelRule("image", "drop"))).frame
    assert check_labels_kept(dropped, before, "the earlier index") == []
    with refused("labels-lost", "2 of 6"):
        check_labels_kept(dropped.drop(columns="image_label"), before, "the earlier index")


def test_an_unreadable_radiograph_counts_for_the_label_of_its_study(tmp_path, workspace):
    folder = manifest(tmp_path / "set")
    (folder / "1.png").write_bytes(b"")
    frame = build_index(folder, SourceTables(rule=LabelRule("image"))).frame
    assert list(frame["path"][:2]) == ["0.png", "2.png"] and list(frame["label"]) == [1, 1, 1, 0, 0]


def test_labels_of_studies_that_contradict_each_other_are_still_conflicts(tmp_path, workspace):
    indexed = build_index(manifest(tmp_path / "set"), SourceTables(rule=LabelRule("study")))
    assert [entry["path"] for entry in indexed.conflicts] == ["1/wrist/1"]
    assert "image_label" not in indexed.frame and conflicting_studies(indexed.frame) == {"1/wrist/1"}


def test_copies_in_studies_with_different_labels_are_no_conflict_where_their_own_labels_agree(tmp_path, workspace):
    folder = manifest(tmp_path / "set")
    (folder / "4.png").write_bytes((folder / "0.png").read_bytes())
    for name, level, count in (("single", "image", 0), ("studies", "study", 1)):
        frame = pd.read_csv(folder / "labels.csv")
        frame["label"] = [0, 1, 1, 1, 0, 0] if level == "image" else [1, 1, 1, 1, 0, 0]
        frame.to_csv(folder / "labels.csv", index=False)
        dataset = write_dataset(name, build_index(folder, SourceTables(rule=LabelRule(level))))
        found = audit(dataset, measured_rows(dataset))
        assert len(found.duplicates_across) == 1 and len(found.label_conflicts) == count


def test_further_columns_keep_their_type_and_get_another_name_if_it_is_taken(tmp_path, workspace):
    folder = manifest(tmp_path / "set", age=[9, 9, 12.5, 12.5, "", ""], score=list("abcdef"), sha1="x", image_label=5)
    indexed = build_index(folder, SourceTables(rule=LabelRule("image")))
    write_dataset("set", indexed)
    frame = read_index("set")
    assert frame["age"].dtype == np.float64 and frame["age"].isna().sum() == 2
    assert list(frame["score_given"]) == list("abcdef") and frame["sha1_given"].eq("x").all()
    assert frame["image_label_given"].eq(5).all() and frame["image_label"].isin([0, 1]).all()
    assert {"columns-kept", "column-renamed", "study-rule"} <= {note.code for note in indexed.notes}


def test_further_columns_are_exported_with_verdicts(tmp_path, workspace):
    folder = manifest(tmp_path / "set", age=[9, 9, 12.5, 12.5, "", ""], score=list("aabbcd"))
    write_dataset("set", build_index(folder))
    entries = pd.DataFrame(
        {"dataset": ["set", "set", "gone"], "study_id": ["2/wrist/2", "3/wrist/3", "x"], "score": 0.5}
    )
    found, names = with_study_columns(entries)
    assert names == ("age", "score_given")
    assert found["age"].tolist() == [12.5, None, None] and found["score_given"].tolist() == ["b", None, None]
    assert list(found["study_id"]) == list(entries["study_id"])


def test_folders_in_muras_layout_have_labels_of_studies(mura):
    assert build_index(mura).label_level == "study"
    with refused("label-level-mura", "study"):
        build_index(mura, SourceTables(rule=LabelRule("image")))


def test_a_second_index_keeps_the_label_level_while_it_fits(tmp_path, workspace):
    folder = manifest(tmp_path / "set")

    def index(level="", rule=""):
        found = build_index(folder, SourceTables(rule=LabelRule(level, rule), stored=earlier_rule("set")))
        write_dataset("set", found)
        return found.label_level, found.study_rule, {note.code for note in found.notes}

    level, rule, codes = index("image", "all")
    assert (level, rule) == ("image", "all") and "label-level-kept" not in codes
    level, rule, codes = index()
    assert (level, rule) == ("image", "all") and "label-level-kept" in codes
    assert index("", "any")[:2] == ("image", "any")
    assert index("study")[:2] == ("study", "")
    level, rule, codes = index()  # studies with both labels were labelled as studies on purpose
    assert (level, rule) == ("study", "") and "label-level-kept" in codes
    table = pd.read_csv(folder / "labels.csv")
    table.assign(label=[1, 1, 1, 1, 0, 0]).to_csv(folder / "labels.csv", index=False)
    assert index()[:2] == ("study", "")
    table.to_csv(folder / "labels.csv", index=False)
    level, rule, codes = index()
    assert (level, rule) == ("image", "any") and "label-level-not-kept" in codes


def test_the_index_command_refuses_changed_labels(tmp_path, workspace):
    folder = manifest(tmp_path / "set")
    core(workspace, "index", folder, "--name", "set")
    before = read_index("set")
    table = pd.read_csv(folder / "labels.csv")
    table.assign(label=1 - table["label"]).to_csv(folder / "labels.csv", index=False)
    said = core(workspace, "index", folder, "--name", "set", status=1)
    assert "labels-changed" in said and "6 of 6" in said
    pd.testing.assert_frame_equal(read_index("set"), before)
    core(workspace, "index", folder, "--name", "set", "--allow-lost-labels")
    assert "labels-changed" in [note.code for note in read_dataset("set").notes()]
