"""Ids that cannot be what they seem are noted, and never corrected."""

import numpy as np
import pandas as pd
import pytest

from core.data.identities import patient_notes, split_notes, whole_study_names


def notes(ids):
    return [note.code for note in patient_notes(pd.Series(ids, dtype="str"))]


@pytest.mark.parametrize(
    ("ids", "code"),
    [
        (["P000"] * 30 + [f"p{number}" for number in range(70)], "patient-implausible"),
        (["0"] * 12 + ["a", "b", "c"], "patient-implausible"),
        (["one"] * 40, "patient-implausible"),
        (["9.00E+09", "9.00E+09", "p3"], "ids-spreadsheet"),
        (["1,2e+12", "p2"], "ids-spreadsheet"),
        (["########", "p2"], "ids-spreadsheet"),
        (["123456789012345000", "223456789012345000", "323456789012345000"], "ids-spreadsheet"),
        (["0012", "12", "13"], "patient-ids-nearly-equal"),
        (["P12", "p12"], "patient-ids-nearly-equal"),
    ],
)
def test_ids_that_cannot_be_right_are_noted(ids, code):
    assert notes(ids) == [code]


@pytest.mark.parametrize(
    "ids",
    [
        [f"patient{number // 3:05d}" for number in range(300)],
        [str(number // 4) for number in range(20)],
        [str(number) for number in np.random.default_rng(0).geometric(0.01, 4000)],
        ["123456789012345678", "123456789012345000", "4"],
        ["0", "00E1", "p"],
        [None, None],
        [],
    ],
)
def test_plausible_ids_are_not_noted(ids):
    assert notes(ids) == []


def test_a_validation_split_that_cannot_be_made_is_noted():
    frame = pd.DataFrame({"group_id": ["a"] * 4, "split": ["train"] * 4, "label": [0.0, 1, 0, 1]})
    assert [note.code for note in split_notes(frame, 0.2)] == ["no-validation-split"]
    assert split_notes(frame, 0.0) == []
    assert [note.code for note in split_notes(frame.assign(split=["valid", *["train"] * 3]), 0.2)] == [
        "validation-split-one-label"
    ]
    assert split_notes(frame.assign(split=["valid", "valid", "train", "train"]), 0.2) == []


def test_the_name_of_a_study_within_its_patient_is_not_a_study():
    study = pd.Series(["study1_positive", "study1_positive", "study1_positive", "s7", "Study2"])
    path = pd.Series(["XR_WRIST/p1/study1_positive/a.png", r"XR_WRIST\p2\study1_positive\a.png", "a.png", "b.png", "c"])
    whole, found = whole_study_names(study, pd.Series([None, None, "", None, "p5"]), path)
    assert whole.tolist() == ["XR_WRIST/p1/study1_positive", "XR_WRIST/p2/study1_positive", "", "s7", "Study2"]
    assert [note.code for note in found] == ["study-name-alone", "study-name-alone"]
