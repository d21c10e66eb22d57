"""Joins account for every row and every item, whatever the order of rows, and never guess."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.data.joins import Key, check_differences, join, refuse_without_match
from tests.refusals import refused


def joined(items, rows, values=None, ignoring=(), **more):
    frame = pd.DataFrame({"label": values or [0.0] * len(rows)}, index=range(2, len(rows) + 2), dtype=object)
    return join(items, frame, [Key("id", items, rows, **more)], "a table and radiographs by id", ignoring)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 9), st.sampled_from([0.0, 1.0, None])), max_size=30),
    st.sets(st.integers(0, 9), min_size=1),
    st.randoms(use_true_random=False),
)
def test_every_row_and_item_is_counted_once_in_any_order(rows, items, random):
    items = [f"i{item}" for item in sorted(items)]
    found = joined(items, [f"i{key}" for key, _ in rows], [value for _, value in rows])
    report = found.report
    named = [row for row in rows if f"i{row[0]}" in items]
    assert report.matched == len(named) and report.matched + report.unmatched_rows == len(rows)
    labels = {item: {value for key, value in rows if f"i{key}" == item} - {None} for item in items}
    assert report.items_without_row == sum(all(f"i{key}" != item for key, _ in rows) for item in items)
    assert report.contradictions == sum(len(values) > 1 for values in labels.values())
    expected = [next(iter(values)) if len(values) == 1 else None for values in labels.values()]
    assert found.values["label"].tolist() == expected
    several = [sum(f"i{key}" == item for key, _ in rows) for item in items if len(labels[item]) < 2]
    assert report.duplicates == sum(max(count - 1, 0) for count in several)
    shuffled = list(rows)
    random.shuffle(shuffled)
    again = joined(items, [f"i{key}" for key, _ in shuffled], [value for _, value in shuffled])
    assert again.values.equals(found.values)
    assert {**again.report.to_dict(), "examples": 0} == {**report.to_dict(), "examples": 0}


@pytest.mark.parametrize(
    ("item", "row", "difference"),
    [
        ("00001200", "1200", "zeros"),
        ("1200", "0001200", "zeros"),
        ("ACC-7", "acc-7", "case"),
        ("1/IM1", "1/IM1.dcm", "extension"),
        ("w00.png", "w00.jpg", "extension"),
        ("a/w00.png", "data/set/a/w00.png", "folder"),
        ("HOSP-1200", "1200", "prefix"),
    ],
)
def test_a_near_match_is_offered_and_only_applied_if_asked(item, row, difference):
    found = joined([item, "other"], [row, "elsewhere"], [1.0, 0.0], paths=True)
    assert found.report.matched == 0 and found.values["label"].isna().all()
    (note,) = found.notes
    assert note.code == "join-near-match" and f"--match-ignoring {difference}" in note and note.startswith("1 of 2")
    assert item not in note.anonymous and row not in note.anonymous
    asked = joined([item, "other"], [row, "elsewhere"], [1.0, 0.0], (difference,), paths=True)
    assert asked.report.matched == 1 and asked.values["label"].tolist() == [1.0, None]


def test_two_differences_at_once_are_offered_together():
    (note,) = joined(["a/W1.png"], ["b/W1.jpg"], paths=True).notes
    assert "--match-ignoring extension --match-ignoring folder" in note


def test_a_uid_keeps_its_last_component():
    assert joined(["1.2.840.1"], ["1.2.840.2"]).notes == []


def test_a_row_that_would_match_several_items_is_refused():
    with refused("match-ambiguous", "'007'", "'7'"):
        joined(["007", "7"], ["0007"], ignoring=("zeros",))
    with refused("difference-unknown", "spaces", "zeros"):
        check_differences(["spaces"])


def test_a_table_of_another_hospital_is_refused_unless_allowed():
    found = joined(["a", "b"], ["x", "y", "z", "w"])
    with refused("join-matches-nothing", "labels.csv", "4", "row 2", "'x'", "'y'", "'z'", "'a'", "--allow-unmatched"):
        refuse_without_match(found, "labels.csv", "the ids of the set")
    refuse_without_match(found, "labels.csv", "the ids of the set", allow=True)
    refuse_without_match(joined(["a"], ["a", "x"]), "labels.csv", "the ids of the set")


def test_a_row_of_one_radiograph_does_not_label_the_others_of_its_study():
    rows = pd.DataFrame({"label": [1.0, 0.0]}, index=[2, 3], dtype=object)
    keys = [
        Key("SOP", ["a", "b", "c"], ["a", "x"]),
        Key("study", ["s", "s", "t"], ["s", "t"], level=1),
    ]
    found = join(["a", "b", "c"], rows, keys, "")
    assert found.values["label"].tolist() == [1.0, None, None] and found.owner.tolist() == [0, -1]


def test_a_less_exact_key_is_used_only_if_no_value_of_the_exact_one_is_known():
    rows = pd.DataFrame({"label": [1.0]}, index=[2], dtype=object)
    keys = [Key("path", ["a", "b"], ["elsewhere/a"]), Key("study", ["s", "s"], ["s"], level=1)]
    found = join(["a", "b"], rows, keys, "")
    assert found.values["label"].tolist() == [1.0, 1.0] and found.report.items_without_row == 0
    assert [note.code for note in found.notes] == ["join-less-exact"]


def test_a_report_without_keys_names_rows_by_number():
    report = joined(["a", "b"], ["a", "secret"]).report
    assert "secret" in str(report.to_dict()) and "row 3" in report.sentence()
    assert "secret" not in str(report.without_keys()) and 3 in [row["row"] for row in report.without_keys()["examples"]]


def test_a_large_join_is_fast_enough():
    ids = [f"image{number}" for number in range(100_000)]
    found = joined(ids, ids[::-1], list(np.arange(100_000.0) % 2))
    assert found.report.matched == 100_000 and found.values["label"].iloc[0] == 1.0


def test_paths_without_their_first_folders_are_not_offered():
    names, rows = ["valid/XR_WRIST/patient00029/1.png"], ["train/XR_ELBOW/patient00029/1.png"]
    found = join(names, pd.DataFrame({"label": [1.0]}), [Key("image_id", names, rows)], "rows")
    assert found.report.matched == 0 and not found.notes
    bare = join(["29"], pd.DataFrame({"label": [1.0]}), [Key("study", ["29"], ["patient29"])], "rows")
    assert "--match-ignoring prefix" in bare.notes[0]
