import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from core.metrics.evaluation import group_table
from core.metrics.studies import labelled, study_table
from core.metrics.subgroups import auroc_gap, by_thirds, by_views, holm, slice_table, slice_words, slices_of
from tests.metrics.examples import predictions
from tests.oracles import bootstrap_by_loop, holm_by_loop, pair_wins
from tests.refusals import refused


def test_holm_equals_a_published_example():
    found = holm((0.01, 0.04, 0.03, 0.005, 0.2, 0.5, 0.6))
    assert found.tolist() == pytest.approx([0.06, 0.16, 0.15, 0.035, 0.6, 1.0, 1.0], abs=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_holm_agrees_with_a_loop(seed):
    p_values = np.random.default_rng(seed).random(9).round(2) ** 3
    assert holm(p_values).tolist() == pytest.approx(holm_by_loop(p_values.tolist()), abs=1e-12)


def test_holm_ignores_nan():
    found = holm([0.01, np.nan, 0.04])
    assert found.tolist() == pytest.approx([0.02, np.nan, 0.04], nan_ok=True)
    assert len(holm([])) == 0 and np.isnan(holm([np.nan])[0])
    with refused("p-value-range", 1.5):
        holm([1.5])


def test_the_gap_uses_one_bootstrap_by_patient_for_both_sides():
    studies = study_table(predictions(200, seed=3))
    inside = (studies["bone"] == "wrist").to_numpy()
    scores, labels = studies["score"].to_numpy(), studies["label"].to_numpy()

    def gap(rows):
        one, rest = rows[inside[rows]], rows[~inside[rows]]
        return pair_wins(scores[one], labels[one]).mean() - pair_wins(scores[rest], labels[rest]).mean()

    slow = bootstrap_by_loop(studies["group_id"], gap, 60, seed=2)
    found, p = auroc_gap(studies, inside, draws=60, seed=2)
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(slow, [0.025, 0.975])), abs=1e-12)
    assert found.value == pytest.approx(gap(np.arange(len(studies))), abs=1e-12)
    beyond = min((slow <= 0).sum(), (slow >= 0).sum())
    assert p == pytest.approx(min(1, 2 * (beyond + 1) / 61), abs=1e-12)


def test_a_true_gap_is_significant_and_a_random_slice_is_not():
    frame = predictions(900, seed=5)
    worse = frame["bone"] == "elbow"
    frame.loc[worse, "logit"] = np.random.default_rng(0).normal(size=worse.sum())
    table = slice_table(study_table(frame), 0.5, draws=400).set_index("bone")
    assert table.loc["elbow", "gap"] < -0.15 and table.loc["elbow", "gap_high"] < 0
    assert table.loc["elbow", "gap_p_holm"] < 0.05 and (table["gap_p_holm"] >= table["gap_p"]).all()
    assert table["auroc"].tolist() == group_table(frame, 0.5).set_index("bone")["auroc"].tolist()
    fair = slice_table(study_table(predictions(900, seed=5)), 0.5, draws=400)
    assert (fair["gap_p_holm"] > 0.05).all()


def test_a_gap_of_the_whole_set_or_a_small_slice_has_a_reason():
    studies = study_table(predictions(60, seed=1, bones=("wrist",)))
    table = slice_table(studies, 0.5, draws=50)
    assert np.isnan(table["gap"][0]) and np.isnan(table["gap_p_holm"][0])
    assert "no labelled studies" in table["gap_why"][0]
    small = studies.assign(bone=["hip"] * 8 + ["wrist"] * 52)
    found = slice_table(small, 0.5, draws=50).set_index("bone")
    assert not np.isnan(found.loc["hip", "gap"]) and np.isnan(found.loc["hip", "gap_low"])
    assert "10 are needed" in found.loc["hip", "gap_why"]


def test_slices_by_the_number_of_views():
    studies = by_views(study_table(predictions(200, seed=3)), most=3)
    assert set(studies["views"]) == {"1", "2", "3 or more"}
    assert (studies["views"] == "3 or more").sum() == (studies["n_views"] >= 3).sum()
    table = slice_table(studies, 0.5, by="views", draws=50)
    assert table["views"].tolist() == ["1", "2", "3 or more"] and table["n"].sum() == len(labelled(studies))


def test_the_closed_gap_equals_delongs_with_one_study_a_patient():
    studies = study_table(predictions(3000, seed=8)).assign(group_id=lambda rows: rows["study_id"])
    inside = (studies["bone"] == "wrist").to_numpy()
    found, p = auroc_gap(studies, inside, draws=0)
    value, variance = 0.0, 0.0
    for sign, side in ((1, inside), (-1, ~inside)):
        wins = pair_wins(studies["score"][side], studies["label"][side])
        m, n = wins.shape
        value += sign * wins.mean()
        variance += wins.mean(axis=1).var(ddof=0) / m + wins.mean(axis=0).var(ddof=0) / n
    variance *= len(studies) / (len(studies) - 1)
    half = 1.959963984540054 * np.sqrt(variance)
    assert (found.value, found.low, found.high) == pytest.approx((value, value - half, value + half), abs=1e-12)
    assert p == pytest.approx(2 * norm.sf(abs(value) / np.sqrt(variance)), rel=1e-9)


def test_the_closed_gap_agrees_with_the_bootstrap_by_patient():
    studies = study_table(predictions(2000, seed=9))
    inside = (studies["bone"] == "elbow").to_numpy()
    closed, resampled = (auroc_gap(studies, inside, draws=draws)[0] for draws in (0, 4000))
    assert closed.value == pytest.approx(resampled.value, abs=1e-12)
    assert closed.high - closed.low == pytest.approx(resampled.high - resampled.low, rel=0.06)
    twice = pd.concat([studies, studies], ignore_index=True)
    again, _ = auroc_gap(twice, np.tile(inside, 2), draws=0)
    assert (again.low, again.high) == pytest.approx((closed.low, closed.high), abs=1e-12)


def test_a_slice_that_shows_little_has_a_sentence():
    row = {"n": 150, "n_abnormal": 66, "sensitivity": 0.7, "sensitivity_low": 0.58, "sensitivity_high": 0.8}
    row |= {"specificity_low": 0.85, "specificity_high": 0.95}
    words = slice_words(row, "Elbow")
    assert words == (
        "Elbow: with 66 abnormal studies sensitivity may be anywhere from 58.0% to 80.0%: an interval this wide "
        "shows little."
    )
    assert slice_words({**row, "sensitivity_low": 0.65}, "Elbow") == ""
    assert "5 abnormal studies, too few" in slice_words({**row, "n_abnormal": 5}, "Elbow")
    assert "no normal studies, too few" in slice_words({**row, "n_abnormal": 150}, "Elbow")
    assert "no labelled study" in slice_words({**row, "n": 0, "n_abnormal": 0}, "Elbow")


def test_thirds_are_equal_and_a_frequent_lowest_value_is_its_own_group():
    studies = study_table(predictions(300, seed=3))
    values = pd.Series(np.arange(300.0), index=studies["study_id"])
    cut = by_thirds(studies, values.iloc[:297], "brightness")
    assert cut["brightness"].value_counts().tolist() == [99, 99, 99] and cut["brightness"].isna().sum() == 3
    assert sorted(cut["brightness"].dropna().unique())[0].startswith("1: up to ")
    metal = pd.Series(np.where(np.arange(300) < 200, 0.0, 0.4), index=studies["study_id"])
    assert by_thirds(studies, metal, "metal")["metal"].value_counts().to_dict() == {"1: 0": 200, "2: above 0": 100}
    table = slice_table(cut, 0.5, by="brightness", draws=50)
    assert table["n"].sum() == 297 and len(table) == 3


def test_slices_give_the_same_figures_at_any_threshold_as_slice_table():
    studies = study_table(predictions(300, seed=3))
    cut = slices_of(studies, draws=50)
    for threshold in (0.3, 0.7):
        table = cut.at(threshold)
        pd.testing.assert_frame_equal(table, slice_table(studies, threshold, draws=50))
        assert table["tp"].sum() == cut.whole.at(threshold)["tp"]
