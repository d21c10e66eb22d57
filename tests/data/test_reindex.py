"""Indexing again: only changed files are read, and patients stay in their split. Splits of random sets."""

import os
import shutil

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from core.checksums import checksum_file
from core.data import file_facts as room
from core.data.index import build_index, read_dataset, read_earlier_index, read_index, write_dataset
from core.data.split import assign_folds, assign_splits, linked_group_ids
from tests.conftest import write_radiograph


@pytest.fixture
def folder(tmp_path, workspace):
    """40 patients with two radiographs each, in a manifest, written a while ago."""
    root = tmp_path / "set"
    for number in range(80):
        write_radiograph(root / f"{number}.png", np.random.default_rng(number), number % 4 < 2)
    manifest(root, range(80))
    age(root)
    return root


def manifest(root, numbers):
    rows = [
        f"{number}.png,{int(number % 4 < 2)},{('wrist', 'elbow')[number % 3 == 0]},p{number // 2}" for number in numbers
    ]
    (root / "labels.csv").write_text("path,label,bone,patient\n" + "\n".join(rows) + "\n")


def age(root):
    for file in root.iterdir():
        os.utime(file, ns=(10**18, 10**18))


def index_again(root, monkeypatch=None, read=None):
    if monkeypatch:
        inspect = room.inspect_file
        monkeypatch.setattr(room, "inspect_file", lambda path: read.append(path.name) or inspect(path))
    indexed = build_index(root, earlier=read_earlier_index("set", root))
    write_dataset("set", indexed)
    return indexed


def test_only_added_or_changed_files_are_read(folder, monkeypatch):
    first = index_again(folder)
    assert first.changes == {"added": 80, "changed": 0, "unchanged": 0, "removed": 0}
    for number in range(80, 90):
        write_radiograph(folder / f"{number}.png", np.random.default_rng(number), number % 4 < 2)
    write_radiograph(folder / "7.png", np.random.default_rng(1007), True)
    os.utime(folder / "7.png", ns=(11**17, 11**17))
    manifest(folder, [number for number in range(90) if number not in (3, 4)])
    read = []
    again = index_again(folder, monkeypatch, read)
    assert sorted(read) == sorted([*(f"{number}.png" for number in range(80, 90)), "7.png"])
    assert again.changes == {"added": 10, "changed": 1, "unchanged": 77, "removed": 2}
    # Equal to a first indexing, except for splits and folds.
    fresh = build_index(folder)
    same = [name for name in fresh.frame.columns if name not in ("split", "fold")]
    pd.testing.assert_frame_equal(again.frame[same], fresh.frame[same])


def test_patients_keep_their_split_when_files_are_added(folder):
    first = index_again(folder).frame.set_index("image_id")
    for number in range(80, 120):
        write_radiograph(folder / f"{number}.png", np.random.default_rng(number), number % 4 < 2)
    manifest(folder, range(120))
    again = index_again(folder).frame.set_index("image_id")
    assert (again.loc[first.index, "split"] == first["split"]).all()
    assert (again.loc[first.index, "fold"] == first["fold"]).all()
    assert again.groupby("patient_id")["split"].nunique().max() == 1
    # New patients go to the split that lacks them, so the shares hold for the whole set.
    assert (again["split"] == "valid").mean() == pytest.approx(0.2, abs=0.06)


def test_another_seed_gives_other_splits(folder):
    first = index_again(folder).frame["split"]
    other = build_index(folder, seed=5, earlier=read_earlier_index("set", folder)).frame["split"]
    assert (first != other).any()


def test_a_file_just_written_is_read_again_next_time(folder, monkeypatch):
    write_radiograph(folder / "5.png", np.random.default_rng(5), False)  # modified now, within the tick of the clock
    index_again(folder)
    read = []
    index_again(folder, monkeypatch, read)
    assert read == ["5.png"]


def test_another_source_under_the_same_name_reads_everything(folder, tmp_path, monkeypatch):
    index_again(folder)
    shutil.copytree(folder, tmp_path / "other")
    assert read_earlier_index("set", tmp_path / "other") is None


def test_damaged_file_facts_are_read_again(folder, workspace):
    index_again(folder)
    (workspace / "datasets" / "set" / "files.parquet").write_bytes(b"PAR1 cut off")
    assert index_again(folder).changes["added"] == 80
    assert len(read_index("set")) == 80


def sets():
    """Random rows of few patients, files, bones and labels, so that all combinations occur."""
    row = st.tuples(
        st.sampled_from([None, *"abcdefgh"]),
        st.integers(0, 12),
        st.integers(0, 25),
        st.sampled_from(["wrist", "elbow", "hip"]),
        st.sampled_from([0.0, 1.0, np.nan]),
    )
    return st.lists(row, min_size=1, max_size=60)


def grouped_frame(rows):
    frame = pd.DataFrame(rows, columns=["patient_id", "study", "file", "bone", "label"])
    frame["patient_id"] = frame["patient_id"].astype("str")
    frame["study_id"] = frame["patient_id"].fillna("") + "/" + frame["study"].astype(str)
    frame["sha1"] = [f"{file:040x}" for file in frame["file"]]
    frame["group_id"] = linked_group_ids(frame["patient_id"], frame["study_id"], frame["sha1"])
    return frame


@settings(max_examples=200, deadline=None)
@given(sets(), st.integers(0, 5), st.floats(0.1, 0.6), st.integers(2, 10))
def test_no_patient_study_or_copy_is_in_two_splits(rows, seed, fraction, folds):
    frame = grouped_frame(rows)
    frame["split"] = assign_splits(frame, fraction, seed)
    frame["fold"] = assign_folds(frame, folds, seed)
    for key in ("patient_id", "study_id", "sha1"):
        assert frame.groupby(key)["split"].nunique().max() in (1, np.nan) or frame[key].isna().all()
        assert frame.groupby(key)["fold"].nunique().max() in (1, np.nan) or frame[key].isna().all()
    assert set(frame.loc[frame["split"] == "train", "fold"]) <= set(range(folds))
    assert (frame.loc[frame["split"] != "train", "fold"] == -1).all()


@settings(max_examples=100, deadline=None)
@given(sets(), sets(), st.integers(0, 3))
def test_added_rows_never_put_a_group_in_two_splits(first, later, seed):
    old = grouped_frame(first)
    old["split"] = assign_splits(old, 0.3, seed)
    new = grouped_frame(first + later)
    before = pd.Series([*old["split"], *[None] * len(later)], dtype="str")
    new["split"] = assign_splits(new, 0.3, seed, before)
    for key in ("patient_id", "study_id", "sha1"):
        assert frame_max(new, key) <= 1
    # A group without new rows keeps its split.
    unchanged = new.iloc[: len(first)]["group_id"].to_numpy() == old["group_id"].to_numpy()
    untouched = unchanged & ~old["group_id"].isin(set(new.iloc[len(first) :]["group_id"])).to_numpy()
    assert (new.iloc[: len(first)]["split"].to_numpy()[untouched] == old["split"].to_numpy()[untouched]).all()


def frame_max(frame, key):
    counts = frame.dropna(subset=[key]).groupby(key)["split"].nunique()
    return counts.max() if len(counts) else 0


def test_small_sets_fill_every_fold():
    frame = pd.DataFrame(
        {
            "group_id": [f"p{number}" for number in range(35)],
            "bone": [f"bone{number % 9}" for number in range(35)],
            "label": [float(number % 2) for number in range(35)],
            "split": "train",
        }
    )
    sizes = assign_folds(frame, 10, 0).value_counts()
    assert len(sizes) == 10 and sizes.max() <= 5


def test_copies_of_two_patients_stay_in_one_split():
    patient = pd.Series(["a", "b", None, "c"], dtype="str")
    groups = linked_group_ids(patient, pd.Series(["a/1", "b/1", "s", "c/1"]), pd.Series(["x", "x", "y", "z"]))
    assert groups.tolist() == ["a+1", "a+1", "copies:y", "c"]


def test_files_that_an_earlier_version_inspected_are_inspected_again(tmp_path, workspace, monkeypatch):
    root = tmp_path / "set"
    for number in range(3):
        write_radiograph(root / f"{number}.png", np.random.default_rng(number), False)
        Image.open(root / f"{number}.png").save(root / f"{number}.jpg")
    data = (root / "1.jpg").read_bytes()
    (root / "1.jpg").write_bytes(data[: len(data) // 2] + b"\xff\xd9")
    (root / "labels.csv").write_text("path,label,bone\n0.jpg,0,wrist\n1.jpg,0,wrist\n2.jpg,0,wrist\n")
    age(root)
    with monkeypatch.context() as earlier:
        earlier.setattr(room.jpeg, "is_truncated", lambda data: False)
        assert len(index_again(root).frame) == 3
    same_version = index_again(root)
    assert len(same_version.frame) == 3 and not same_version.unreadable
    file = read_dataset("set").folder / "files.parquet"
    table = pq.read_table(file)
    pq.write_table(table.replace_schema_metadata({b"source": table.schema.metadata[b"source"]}), file)
    checksum_file(file).unlink()  # that version wrote none
    splits = read_index("set").set_index("image_id")["split"]
    again = index_again(root)
    assert [row["path"] for row in again.unreadable] == ["1.jpg"]
    assert again.changes == {"added": 0, "changed": 0, "unchanged": 2, "removed": 1}
    assert (read_index("set").set_index("image_id")["split"] == splits.drop("1.jpg")).all()
