"""The totals of a data set are those of plain counting, in any order of the rows."""

import numpy as np
import pandas as pd
import pytest

from dashboard.overview.loader import facts_of


def rows() -> pd.DataFrame:
    draw = np.random.default_rng(3)
    study = draw.integers(0, 60, 200)
    patient = study // 2
    return pd.DataFrame(
        {
            "study_id": [f"study{number:03}" for number in study],
            "group_id": [f"patient{number:03}" for number in patient],
            "patient_id": pd.Series([f"p{number}" if number % 7 else None for number in patient], dtype="str"),
            "bone": draw.choice(["wrist", "hand"], 200),
            # Patients 0 to 4 are in two splits.
            "split": np.where(
                patient < 5, draw.choice(["train", "valid"], 200), np.where(patient < 20, "train", "test")
            ),
            "label": np.where(study % 5 == 0, np.nan, study % 2),
        }
    )


@pytest.mark.parametrize("order", ["drawn", "by study", "by split"])
def test_the_totals_are_those_of_plain_counting(order):
    table = rows()
    if order != "drawn":
        table = table.sort_values({"by study": "study_id", "by split": "split"}[order], kind="stable")
    facts = facts_of(table.reset_index(drop=True))
    labels = dict(zip(table["study_id"], table["label"]))
    known = [label for label in labels.values() if label == label]
    splits = {split: set(part["group_id"]) for split, part in table.groupby("split")}
    assert facts["radiographs"] == 200 and facts["bones"] == 2
    assert facts["studies"] == len(labels) and facts["labelled"] == len(known)
    assert facts["abnormal"] == pytest.approx(np.mean(known))
    assert facts["patients"] == len(set(table["patient_id"].dropna()))
    assert facts["unnamed"] == sum(name != name or name is None for name in table["patient_id"]) > 0
    assert facts["splits"] == {split: len(groups) for split, groups in sorted(splits.items())}
    assert facts["crossing"] == len(splits["train"] & splits["valid"]) > 0
