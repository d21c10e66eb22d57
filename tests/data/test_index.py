"""Building an Index from a MURA tree or a manifest, and writing and reading it as a data set."""

import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from core.data import index as index_room
from core.data.index import SourceTables, build_index, read_dataset, read_index, write_dataset
from core.data.split import assign_bins, group_ids, overlap_table
from tests.conftest import write_radiograph
from tests.refusals import refused


def test_a_mura_tree_gives_one_row_a_radiograph(mura):
    indexed = build_index(mura)
    row = indexed.frame.set_index("image_id").loc["train/XR_ELBOW/patient00000/study1_positive/image1.png"]
    assert len(indexed.frame) == 60 and not indexed.unreadable + indexed.stray + indexed.conflicts
    assert (row["bone"], row["patient_id"], row["study_id"]) == (
        "elbow",
        "patient00000",
        "train/elbow/patient00000/study1",
    )
    assert (row["label"], row["split"], row["width"], row["height"]) == (1.0, "train", 60, 80)
    assert indexed.frame.groupby("split").size().to_dict() == {"train": 44, "valid": 16}


def test_the_parent_of_the_tree_works_too(mura):
    assert build_index(mura.parent).frame.equals(build_index(mura).frame)


def test_folds_keep_patients_together_and_exclude_valid(mura):
    frame = build_index(mura, folds=4).frame
    train = frame[frame["split"] == "train"]
    assert set(train["fold"]) == {0, 1, 2, 3} and set(frame.loc[frame["split"] == "valid", "fold"]) == {-1}
    assert (train.groupby("group_id")["fold"].nunique() == 1).all()


@pytest.fixture
def broken(mura, tmp_path):
    """A copy of the tree with one fault of each kind."""
    root = tmp_path / "broken"
    shutil.copytree(mura, root)
    study = root / "train/XR_ELBOW/patient00000/study1_positive"
    whole = (study / "image1.png").read_bytes()
    (study / "image2.png").write_bytes(whole[: len(whole) // 2])
    (study / "image3.png").write_bytes(b"")
    (study / "image4.png").write_text("not an image")
    (study / "image5.png").write_bytes(whole[:60] + bytes([whole[60] ^ 255]) + whole[61:])
    (study / "notes.txt").write_text("a stray file")
    (study / "._image1.png").write_bytes(b"\0\5\26\7")
    write_radiograph(root / "train/XR_ELBOW/patient00000/study9/image1.png", np.random.default_rng(1), False)
    (root / "Thumbs.db").write_text("outside every split")
    (root / "train_labeled_studies.csv").write_text("MURA-v1.1/train/XR_ELBOW/patient00000/study1_positive/,0\n")
    return root


def test_every_fault_is_named_and_the_rest_is_indexed(broken):
    indexed = build_index(broken)
    reasons = {entry["path"].rsplit("/", 1)[-1]: entry["reason"] for entry in indexed.unreadable}
    assert set(reasons) == {"image2.png", "image3.png", "image4.png", "image5.png"}
    assert reasons["image3.png"] == "the file is empty (0 bytes)"
    assert "not recognised" in reasons["image4.png"]
    stray = {entry["path"].rsplit("/", 1)[-1]: entry["reason"] for entry in indexed.stray}
    assert set(stray) == {"notes.txt", "._image1.png", "image1.png"}
    assert "neither positive nor negative" in stray["image1.png"]
    wrong, *unlisted = indexed.conflicts
    assert wrong["path"] == "train/XR_ELBOW/patient00000/study1_positive" and "its label is '0'" in wrong["reason"]
    # The table lists one of the 22 studies.
    assert len(unlisted) == 21 and all("does not list it" in entry["reason"] for entry in unlisted)
    assert len(indexed.frame) == 59


def test_one_study_with_both_labels_is_a_conflict(mura, tmp_path):
    root = tmp_path / "both"
    shutil.copytree(mura, root)
    write_radiograph(root / "train/XR_ELBOW/patient00000/study1_negative/image1.png", np.random.default_rng(1), False)
    assert [entry["path"] for entry in build_index(root).conflicts] == ["train/elbow/patient00000/study1"]


def manifest(tmp_path, rows: str):
    random = np.random.default_rng(2)
    for number in range(12):
        write_radiograph(tmp_path / f"{number}.png", random, number % 2 == 1)
    file = tmp_path / "labels.csv"
    file.write_text(rows)
    return file


def test_a_manifest_maps_names_and_keeps_other_columns(tmp_path):
    rows = "path,body_part,label,who,exam,site\n" + "".join(
        f"{n}.png,Hip,{n % 2},{n // 4}.0,{n // 2},A\n" for n in range(12)
    )
    frame = build_index(manifest(tmp_path, rows), SourceTables({"patient": "who", "study": "exam"})).frame
    assert list(frame["patient_id"].unique()) == ["0", "1", "2"] and list(frame["site"].unique()) == ["A"]
    assert frame["study_id"].iloc[0] == "0/hip/0" and frame["bone"].unique() == ["hip"]
    assert frame["study_id"].nunique() == 6 and overlap_table(frame).empty


def test_a_manifest_without_patients_keeps_exact_copies_in_one_split(tmp_path):
    file = manifest(tmp_path, "path,bone,label\n" + "".join(f"{n}.png,hip,{n % 2}\n" for n in range(12)))
    shutil.copy(tmp_path / "0.png", tmp_path / "8.png")
    frame = build_index(file, valid_fraction=0.5).frame.set_index("path")
    assert frame.loc["0.png", "group_id"] == frame.loc["8.png", "group_id"]
    assert frame["group_id"].nunique() == 11 and frame["patient_id"].isna().all()
    assert set(frame["split"]) == {"train", "valid"}


def test_without_a_valid_split_all_rows_are_in_folds_of_train(tmp_path):
    file = manifest(tmp_path, "path,bone,label,patient\n" + "".join(f"{n}.png,hip,{n % 2},{n}\n" for n in range(12)))
    frame = build_index(file, valid_fraction=0, folds=3).frame
    assert set(frame["split"]) == {"train"} and set(frame["fold"]) == {0, 1, 2}
    with refused("split-settings-invalid", "fraction 1, 10 folds"):
        build_index(file, valid_fraction=1)


def test_invalid_rows_are_left_out_with_their_reason(tmp_path):
    rows = "path,bone,label\n0.png,hip,2\n1.png,hip,1\n2.png,,0\n3.png,hip,\n"
    rows += "none.png,hip,0\n,hip,0\n1.png,hip,0\n5.png,hip,0\n"
    indexed = build_index(manifest(tmp_path, rows))
    reasons = {entry["path"]: entry["reason"] for entry in indexed.unreadable}
    assert sorted(indexed.frame["path"]) == ["1.png", "3.png", "5.png"]
    assert np.isnan(indexed.frame.set_index("path").loc["3.png", "label"])
    assert "label is '2'" in reasons["0.png"] and "bone is empty" in reasons["2.png"]
    assert "no such file" in reasons["none.png"] and reasons[""] == "row 7 has no path"


@pytest.mark.parametrize(
    ("rows", "columns", "code", "figure"),
    [
        ("path,label\n0.png,1\n", {}, "column-missing", "bone or body_part"),
        ("path,bone,label\n0.png,hip,1\n", {"patient": "who"}, "column-missing", "'who'"),
        ("path,bone,label\n0.png,hip,1\n", {"age": "label"}, "column-unknown", "'age'"),
        ("path,bone,label\n", {}, "no-readable-radiograph", "labels.csv"),
    ],
)
def test_a_manifest_with_wrong_columns_is_refused(tmp_path, rows, columns, code, figure):
    with refused(code, figure):
        build_index(manifest(tmp_path, rows), SourceTables(columns))


def test_a_source_without_data_is_refused(tmp_path):
    with refused("source-missing", tmp_path / "nowhere"):
        build_index(tmp_path / "nowhere")
    with refused("source-not-recognised", tmp_path):
        build_index(tmp_path)


def test_a_data_set_is_read_as_it_was_written(mura, workspace):
    indexed = build_index(mura)
    dataset = write_dataset("tree", indexed)
    assert read_dataset("tree") == dataset and read_index("tree").equals(indexed.frame)
    assert dataset.patients_known == 30 and dataset.problems()["unreadable"] == []


def test_a_kill_between_two_files_never_mixes_data_sets(mura, workspace, tmp_path, monkeypatch):
    write_dataset("tree", build_index(mura))
    shutil.copytree(mura, tmp_path / "other")
    shutil.rmtree(tmp_path / "other" / "valid")
    newer, write = build_index(tmp_path / "other"), index_room.write_json

    def stop_before_the_description(path, *values, **options):
        if path.name == "dataset.json":
            raise KeyboardInterrupt
        return write(path, *values, **options)

    monkeypatch.setattr(index_room, "write_json", stop_before_the_description)
    with pytest.raises(KeyboardInterrupt):
        write_dataset("tree", newer)
    assert len(read_index("tree")) == len(newer.frame)
    assert read_dataset("tree").root == str(tmp_path / "other")
    assert read_dataset("tree").index_hash == index_room.index_hash(newer.frame)


@pytest.mark.parametrize("column", ["bone", "patient_id", "group_id", "view", "label", "split", "fold", "sha1"])
def test_every_column_that_decides_a_result_changes_the_hash(mura, column):
    frame = build_index(mura).frame
    before = index_room.index_hash(frame)
    frame.loc[0, column] = 7 if column in ("label", "fold") else "other"
    assert index_room.index_hash(frame) != before


@pytest.mark.parametrize("name", ["../up", "", "a b", "x" * 101])
def test_an_invalid_name_is_refused(mura, workspace, name):
    with refused("name-invalid", repr(name)):
        write_dataset(name, build_index(mura))


def test_a_damaged_index_is_refused(mura, workspace):
    dataset = write_dataset("tree", build_index(mura))
    file = dataset.folder / "index.parquet"
    file.write_bytes(file.read_bytes()[:200])
    with refused("index-unreadable", file):
        read_index("tree")
    (dataset.folder / "problems.json").unlink()
    with refused("problems-unreadable", "problems.json"):
        dataset.problems()
    with refused("dataset-missing", "'other'", "found: tree"):
        read_index("other")


def test_bins_have_their_share_of_every_stratum():
    random = np.random.default_rng(0)
    groups = pd.Series(random.integers(0, 400, 2000).astype(str))
    strata = pd.Series(random.choice(["hand 0", "hand 1", "wrist 0"], 2000, p=[0.6, 0.3, 0.1]))
    bins = assign_bins(groups, strata, [0.8, 0.2], 0)
    share = pd.Series(bins).groupby(strata).mean()
    assert (abs(share - 0.2) < 0.02).all()
    assert (pd.Series(bins).groupby(groups).nunique() == 1).all()


def test_bins_do_not_depend_on_the_order_of_rows():
    groups, strata = pd.Series([f"p{n // 3}" for n in range(90)]), pd.Series(["a", "b"] * 45)
    order = np.random.default_rng(3).permutation(90)
    assert (
        assign_bins(groups, strata, [0.5, 0.5], 1)[order] == assign_bins(groups[order], strata[order], [0.5, 0.5], 1)
    ).all()


def test_copies_join_studies_without_patients():
    found = group_ids(
        pd.Series([None, None, None, None, "p"], dtype="str"),
        pd.Series(["s1", "s1", "s2", "s3", "s9"]),
        pd.Series(["x", "y", "y", "z", "x"]),
    )
    assert found[0] == found[1] == found[2] != found[3] and found[4] == "p"


def test_real_radiographs_are_indexed_and_truncated_ones_named(shared):
    folder = shared / "data" / "radiographs"
    indexed = build_index(folder, SourceTables({"patient": "patient_or_study_id"}))
    assert len(indexed.frame) == 3420 and indexed.unreadable == []
    flagged = pd.read_csv(folder / "fracatlas" / "labels.csv")["duplicate_of"].notna().sum()
    assert len(indexed.frame) - indexed.frame["group_id"].nunique() == flagged > 0
    with refused("no-readable-radiograph", "image file is truncated"):
        build_index(folder / "fracatlas" / "truncated.csv")


def test_all_fifty_real_truncated_files_are_unreadable(shared, tmp_path):
    folder = shared / "data" / "radiographs" / "fracatlas"
    table = pd.read_csv(folder / "truncated.csv")
    whole = Image.new("L", (20, 20))
    whole.save(tmp_path / "whole.png")
    rows = [f"{folder / path},leg,0" for path in table["path"]] + [f"{tmp_path / 'whole.png'},leg,1"]
    (tmp_path / "labels.csv").write_text("path,bone,label\n" + "\n".join(rows))
    indexed = build_index(tmp_path, SourceTables(allow_outside=True))
    assert len(indexed.frame) == 1 and len(indexed.unreadable) == len(table) == 50
    assert all("truncated" in entry["reason"] for entry in indexed.unreadable)
