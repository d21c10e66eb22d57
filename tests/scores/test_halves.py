"""The two halves of a split: no patient in both, even in every bone and label, the same whatever the order of rows."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.data.index import build_index, read_index, write_dataset
from core.scores.halves import (
    DataSplit,
    half_by_group,
    halves_of,
    in_split,
    known_splits,
    overlapping,
    split_for_choosing,
    splits_for_verifying,
    splits_offered,
)
from core.scores.import_frame import Columns
from core.scores.loading import find_scores, split_scores
from core.scores.operating_points import find_point, lock
from core.scores.source import find_source
from core.scores.verification_log import verifications
from core.scores.view import View
from core.workflows.import_scores import import_scores
from core.workflows.thresholds import Criterion, choose_threshold
from core.workflows.verify import verify
from tests.refusals import refused


def made_up(patients: list[list[tuple[str, float]]], views: int = 2, split: str = "valid") -> pd.DataFrame:
    """Rows of radiographs. patients: the bone and label of each of a patient's studies."""
    rows = [
        {"study_id": f"p{number}/s{place}", "group_id": f"p{number}", "bone": bone, "label": label, "split": split}
        for number, studies in enumerate(patients)
        for place, (bone, label) in enumerate(studies)
        for _ in range(views)
    ]
    return pd.DataFrame(rows)


study = st.tuples(st.sampled_from(["elbow", "hand", "wrist"]), st.sampled_from([0.0, 1.0, np.nan]))
many = st.lists(st.lists(study, min_size=1, max_size=4), min_size=1, max_size=60)
single = st.lists(st.lists(study, min_size=1, max_size=1), min_size=1, max_size=80)


@given(many, st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_every_patient_is_in_one_half_and_the_order_of_rows_has_no_effect(patients, seed):
    rows = made_up(patients)
    choose, verify_half = (in_split(rows, name) for name in halves_of("valid"))
    assert (choose ^ verify_half).all()
    assert not set(rows["group_id"][choose]) & set(rows["group_id"][verify_half])
    shuffled = rows.sample(frac=1, random_state=seed)
    pd.testing.assert_series_equal(half_by_group(rows).sort_index(), half_by_group(shuffled).sort_index())


@given(single)
@settings(max_examples=60, deadline=None)
def test_halves_are_even_in_all_and_in_every_bone_and_label(patients):
    rows = made_up(patients).drop_duplicates("study_id")
    sign = np.where(rows["group_id"].map(half_by_group(rows)) == "choose", 1, -1)
    assert abs(sign.sum()) <= 1
    cells = pd.Series(sign, rows.index).groupby([rows["bone"], rows["label"].fillna(-1)]).sum()
    bones = pd.Series(sign, rows.index).groupby(rows["bone"]).sum()
    assert cells.abs().max() <= 1 and bones.abs().max() <= 2


@given(many)
@settings(max_examples=60, deadline=None)
def test_patients_with_several_studies_leave_the_halves_nearly_even(patients):
    rows = made_up(patients).drop_duplicates("study_id")
    sign = np.where(rows["group_id"].map(half_by_group(rows)) == "choose", 1, -1)
    largest = rows["group_id"].value_counts().max()
    cells = pd.Series(sign, rows.index).groupby([rows["bone"], rows["label"].fillna(-1)]).sum()
    assert cells.abs().max() <= 2 * largest + 1


def test_halves_differ_from_the_order_of_ids():
    halves = half_by_group(made_up([[("wrist", 0.0)]] * 200))
    assert 60 < (halves.sort_index().to_numpy()[:100] == "choose").sum() * 2 < 140


@pytest.mark.parametrize(
    ("abnormal", "normal", "expected"), [(10, 10, "tune"), (9, 30, "valid:choose"), (30, 9, "valid:choose")]
)
def test_a_small_tune_is_not_used_for_choosing(abnormal, normal, expected):
    tune = made_up([[("hand", 1.0)]] * abnormal + [[("hand", 0.0)]] * normal, split="tune")
    valid = made_up([[("hand", 1.0)], [("hand", 0.0)]] * 20)
    rows = pd.concat([tune.assign(study_id="t" + tune["study_id"], group_id="t" + tune["group_id"]), valid])
    assert split_for_choosing(rows) == expected
    halves = {*halves_of("valid")} if ":" in expected else set()
    assert set(splits_offered(rows)) == {"tune", "valid"} | halves and halves_of("valid")[1] in known_splits(rows)
    assert split_for_choosing(rows.iloc[:0]) == ""


def test_a_split_whose_halves_would_be_too_small_stays_whole():
    valid = made_up([[("hand", 1.0)]] * 19 + [[("hand", 0.0)]] * 30)
    assert split_for_choosing(valid) == "valid" and splits_offered(valid) == ["valid"]
    test = made_up([[("hand", 1.0)], [("hand", 0.0)]] * 20, split="test")
    rows = pd.concat([valid, test.assign(study_id="t" + test["study_id"], group_id="t" + test["group_id"])])
    assert split_for_choosing(rows) == "test:choose"


def test_a_threshold_is_never_verified_backwards():
    known = ("train", "tune", "valid", "test")
    assert splits_for_verifying("tune", known) == ["valid", "test"]
    assert splits_for_verifying("valid:choose", known) == ["valid:verify", "test"]
    assert splits_for_verifying("valid", known) == splits_for_verifying("valid:verify", known) == ["test"]
    assert splits_for_verifying("train", ("train", "valid")) == ["valid"]
    assert splits_for_verifying("test", known) == [] == splits_for_verifying("valid", ("valid",))
    assert splits_for_verifying("test:choose", ("test",)) == ["test:verify"]
    assert overlapping("valid", "valid:verify") and overlapping("valid:choose", "valid")
    assert not overlapping("valid:choose", "valid:verify") and not overlapping("valid", "test")


def scores(folder, name: str = "other", keep: slice = slice(None), data: str = ""):
    """Imported scores of 300 patients without a split."""
    random = np.random.default_rng(0)
    label = random.integers(0, 2, 300)
    frame = pd.DataFrame({"y": label, "p": random.beta(2 + 2 * label, 4 - 2 * label).round(4)})
    frame["study"], frame["patient"] = np.arange(300), np.arange(300)
    frame["bone"] = np.where(np.arange(300) % 3, "wrist", "hand")
    frame.iloc[keep].to_csv(folder / f"{name}.csv", index=False)
    import_scores(
        folder / f"{name}.csv", name, Columns("y", "p", study="study", patient="patient", bone="bone"), data=data
    )
    return find_source(name)


def test_scores_without_a_split_are_chosen_on_one_half_and_verified_on_the_other(workspace, tmp_path):
    source = scores(tmp_path)
    chosen = choose_threshold(View(source, ""), Criterion("youden"))
    assert (chosen.view.split, chosen.facts["split"]) == ("valid:choose", "valid:choose")
    assert chosen.facts["n"] == 150 and set(chosen.frame["split"]) == {"valid"}
    point = lock(chosen, "Ana")
    assert point.split == "valid:choose" and find_point(source) == point
    found = verify(source)
    assert found["verified"]["split"] == "valid:verify" and found["verified"]["n"] == 150
    assert found["shared_patients"] == 0 and found["chosen"]["split"] == "valid:choose"
    for split in ("valid", "valid:choose"):
        with refused("verified-on-own-split", "valid:choose"):
            verify(source, split)
    # The whole of valid holds the half that was used, so it is no longer fresh either.
    assert len(verifications(source, DataSplit(point.dataset, "valid"))) == 1
    assert not verifications(source, point.chosen_on)
    with refused("split-unknown", "valid:neither"):
        split_scores(source, split="valid:neither")


def test_two_models_of_a_data_set_have_the_same_halves(workspace, tmp_path, mura):
    write_dataset("tree", build_index(mura, folds=4))
    index = read_index("tree")
    random = np.random.default_rng(0)
    for name, part in (
        ("all", index),
        ("some", index[index["image_id"] != index["image_id"][index["split"] == "valid"].iloc[0]]),
    ):
        rows = part[["image_id"]].assign(p=random.random(len(part)))
        rows.to_csv(tmp_path / f"{name}.csv", index=False)
        import_scores(tmp_path / f"{name}.csv", name, Columns("", "p", image="image_id"), data="tree")
    halves = {
        name: set(split_scores(find_scores(name), split="valid:choose")[0]["study_id"]) for name in ("all", "some")
    }
    whole = index[index["split"] == "valid"]
    expected = set(whole["study_id"][whole["group_id"].map(half_by_group(whole)) == "choose"])
    assert halves["all"] == expected and halves["some"] == expected
