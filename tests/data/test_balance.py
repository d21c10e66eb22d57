"""Counts at three levels, compared with counts by hand, and MURA's published table."""

import csv

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.data.balance import balance_table, views_table
from core.data.mura_counts import is_mura, published_counts_table

INDEX = pd.DataFrame(
    {
        "image_id": list("abcde"),
        "study_id": ["s1", "s1", "s2", "s3", "s4"],
        "group_id": ["p1", "p1", "p1", "p2", "p3"],
        "bone": ["wrist"] * 3 + ["hand"] * 2,
        "label": [1.0, 1.0, 0.0, np.nan, 0.0],
        "split": "train",
    }
)


@pytest.mark.parametrize(("level", "rows", "abnormal"), [("radiograph", 5, 2), ("study", 4, 1), ("patient", 3, 1)])
def test_counts_at_each_level(level, rows, abnormal):
    counts = balance_table(INDEX, level)
    assert counts["n"].sum() == rows and counts.loc[counts["label"] == 1, "n"].sum() == abnormal


def test_a_study_whose_radiographs_disagree_is_unknown():
    counts = balance_table(INDEX.assign(label=[1.0, 0.0, 0.0, 0.0, 0.0]), "study")
    assert counts.loc[counts["label"].isna(), "n"].sum() == 1


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 2), st.sampled_from("hw"), st.sampled_from([0.0, 1.0, np.nan])),
        min_size=1,
        max_size=30,
    )
)
def test_counts_of_studies_and_patients_equal_a_loop(rows):
    # A study has one patient and one bone.
    frame = pd.DataFrame(rows, columns=["patient", "number", "bone", "label"]).assign(split="train")
    frame["group_id"] = frame["patient"].astype(str)
    frame["study_id"] = frame["group_id"] + frame["bone"] + frame["number"].astype(str)
    frame["image_id"] = [str(number) for number in range(len(frame))]
    studies, patients = {}, {}
    for row in frame.itertuples():
        known = set() if np.isnan(row.label) else {row.label}
        studies.setdefault((row.bone, row.study_id), set()).update(known)
        patients.setdefault((row.bone, row.group_id), set()).update(known)
    expected = {
        "study": [(bone, labels.copy().pop() if len(labels) == 1 else None) for (bone, _), labels in studies.items()],
        "patient": [(bone, max(labels, default=None)) for (bone, _), labels in patients.items()],
    }
    for level, units in expected.items():
        found = balance_table(frame, level)
        counted = {(row.bone, None if np.isnan(row.label) else row.label): row.n for row in found.itertuples()}
        assert counted == {unit: units.count(unit) for unit in units}
    assert views_table(frame).to_dict() == frame.groupby("study_id").size().value_counts().to_dict()


def tree_of(counts: pd.DataFrame) -> pd.DataFrame:
    """An index with the published counts: the first study of each label gets the remaining images."""
    parts = []
    for (split, bone, label), group in counts.groupby(["split", "bone", "label"]):
        studies = int(group.loc[group["unit"] == "studies", "published"].iloc[0])
        images = int(group.loc[group["unit"] == "images", "published"].iloc[0])
        numbers = np.r_[np.arange(studies), np.zeros(images - studies, int)]
        parts.append(
            pd.DataFrame(
                {
                    "study_id": [f"{split}/{bone}/{label}/{n}" for n in numbers],
                    "split": split,
                    "bone": bone,
                    "label": label,
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def test_mura_is_recognised_by_its_counts():
    empty = INDEX.iloc[:0]
    index = tree_of(published_counts_table(empty))
    assert len(index) == 36808 + 3197 and is_mura(index, "mura")
    table = published_counts_table(index)
    assert (table["published"] == table["found"]).all() and len(table) == 56
    fewer = published_counts_table(index.iloc[1:])
    off = fewer[fewer["published"] != fewer["found"]]
    assert len(off) == 1 and (off["published"] - off["found"]).item() == 1
    assert not is_mura(INDEX, "mura") and not is_mura(index, "manifest")


def test_the_published_table_equals_the_collected_one(shared):
    with (shared / "design" / "mura-counts.csv").open() as file:
        rows = {(row["split"], row["bone"]): row for row in csv.DictReader(file)}
    for row in published_counts_table(INDEX.iloc[:0]).itertuples():
        column = f"{row.unit}_{'abnormal' if row.label else 'normal'}"
        assert int(rows[row.split, row.bone][column]) == row.published
