"""Cases to read: outcomes, the radiographs of a study, neutral names, and the filters of a list."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit

from core.metrics.studies import study_table
from core.review.cases import (
    READERS_DIFFER,
    WITH_VERDICT,
    WITHOUT_VERDICT,
    indexed_cases,
    matches_call,
    matches_verdict,
    neutral_name,
    sort_views,
    studies_by_quality,
    study_slices,
)

INDEX = pd.DataFrame(
    {
        "image_id": ["b/1", "a/1", "a/2", "c/1", "c/2", "d/1"],
        "study_id": ["b", "a", "a", "c", "c", "d"],
        "patient_id": ["p", "p", "p", None, None, "q"],
        "group_id": ["p", "p", "p", "c", "c", "q"],
        "bone": "hand",
        "split": ["train", "valid", "valid", "valid", "valid", "valid"],
        "label": [1.0, 0.0, 0.0, 1.0, np.nan, np.nan],
        "sha1": [f"hash{place}" for place in range(6)],
    }
)


def scores(**logits: float) -> pd.DataFrame:
    """PREDICTIONS of the radiographs that are named, `a1` for a/1."""
    known = {f"{name[0]}/{name[1]}": value for name, value in logits.items()}
    rows = INDEX[INDEX["image_id"].isin(known)]
    return rows.assign(logit=rows["image_id"].map(known)).drop(columns="sha1")


def test_a_study_has_a_score_only_if_all_its_radiographs_have_one():
    found = indexed_cases(INDEX, scores(a1=-1.0, a2=3.0, b1=2.0, c1=4.0), 0.5)
    table = found.table
    assert table.loc["a", "score"] == pytest.approx((expit(-1.0) + expit(3.0)) / 2)
    assert table.loc["b", "score"] == pytest.approx(expit(2.0))
    assert table.loc[["c", "d"], "score"].isna().all()
    assert table["outcome"].to_dict() == {"a": "FP", "b": "TP", "c": "", "d": ""}
    assert table["label"].fillna(-1).to_dict() == {"a": 0.0, "b": 1.0, "c": 1.0, "d": -1.0}
    assert table["n_views"].to_dict() == {"a": 2, "b": 1, "c": 2, "d": 1}
    assert found.by_patient == {"p": ["a", "b"], "q": ["d"]}


def test_the_same_studies_at_another_threshold():
    predictions = scores(a1=-1.0, a2=3.0, b1=2.0)
    at_half = indexed_cases(INDEX, predictions, 0.5)
    names, patients = at_half.by_neutral_name, at_half.by_patient
    for threshold in (0.5, 0.95):
        found, anew = at_half.at(threshold), indexed_cases(INDEX, predictions, threshold)
        pd.testing.assert_frame_equal(found.table, anew.table)
        assert found.views is at_half.views and found.slices == anew.slices
        # Looked up once for all thresholds.
        assert found.by_neutral_name is names and found.by_patient is patients
    assert at_half.table.loc["b", "outcome"] == "TP" and at_half.at(0.95).table.loc["b", "outcome"] == "FN"


def test_without_scores_every_study_is_listed_without_an_outcome():
    table = indexed_cases(INDEX, None, 0.5).table
    assert sorted(table.index) == ["a", "b", "c", "d"] and not table["outcome"].any() and table["score"].isna().all()


def test_scores_of_a_network_with_attention_are_weighted_by_it():
    predictions = scores(a1=0.0, a2=4.0).assign(attention=[0.0, np.log(3)])
    expected = study_table(predictions)["score"].iloc[0]
    assert indexed_cases(INDEX, predictions, 0.5).table.loc["a", "score"] == expected
    assert expected != pytest.approx((expit(0.0) + expit(4.0)) / 2)


def test_an_imported_probability_equal_to_the_threshold_counts_as_abnormal():
    predictions = scores(b1=logit(0.45)).assign(probability=0.45)
    assert indexed_cases(INDEX, predictions, 0.45).table.loc["b", "outcome"] == "TP"


def test_the_radiographs_of_a_study_keep_the_order_of_the_index_whatever_their_scores():
    for index in (INDEX, INDEX.iloc[::-1]):
        found = indexed_cases(index, scores(a1=-1.0, a2=3.0, c2=0.0), 0.5)
        for study in ("a", "c"):
            expected = index.loc[index["study_id"] == study, "image_id"].tolist()
            assert found.views_of(study)["image_id"].tolist() == expected and len(expected) == 2
    assert found.views_of("nobody").empty
    assert study_slices(sort_views(INDEX.assign(logit=0.0)).iloc[:0]) == {}


def test_a_neutral_name_is_stable_and_contains_nothing_of_the_study():
    name = neutral_name("XR_HAND/patient1/study1_positive")
    assert name == neutral_name("XR_HAND/patient1/study1_positive") != neutral_name("XR_HAND/patient1/study1_negative")
    assert name.startswith("case-") and "positive" not in name and neutral_name("\ud800").startswith("case-")
    found = indexed_cases(INDEX, None, 0.5)
    assert found.by_neutral_name[neutral_name("a")] == "a"


def test_studies_are_filtered_by_verdict():
    studies = pd.Series(["a", "b", "c", "d"])
    verdicts = pd.DataFrame(
        [("a", "label_wrong", "normal"), ("a", "true_miss", "abnormal"), ("b", "poor_image", "unreadable")],
        columns=["study_id", "verdict", "read"],
    )
    expected = {WITHOUT_VERDICT: "cd", WITH_VERDICT: "ab", READERS_DIFFER: "a", "poor_image": "b", "out_of_scope": ""}
    for wanted, names in expected.items():
        assert "".join(studies[matches_verdict(studies, verdicts, wanted)]) == names, wanted


def test_studies_are_filtered_by_the_call_of_a_second_model():
    table = indexed_cases(INDEX, scores(a1=-1.0, a2=3.0, b1=2.0), 0.5).table
    second = pd.Series({"a": 0.1, "b": 0.5, "nobody": 0.9})
    assert table.index[matches_call(table, second, 0.5, same=True)].tolist() == ["b"]
    assert table.index[matches_call(table, second, 0.5, same=False)].tolist() == ["a"]


def test_a_study_passes_by_quality_if_one_radiograph_does():
    measures = pd.DataFrame({"noise": [0.9, 0.1, 0.8]}, index=["hash0", "hash1", "hash2"])
    noisy = studies_by_quality(INDEX, measures, lambda rows: rows["noise"] > 0.5)
    assert noisy == {"a", "b"}
    assert studies_by_quality(INDEX, measures.iloc[:0], lambda rows: rows["noise"] > 0.5) == set()
