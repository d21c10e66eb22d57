import numpy as np
import pytest

from core.errors import OverreadError
from core.metrics.evaluation import group_table
from core.metrics.studies import labelled, study_table
from core.metrics.subgroups import auroc_gap, by_views, holm, slice_table
from tests.metrics.examples import predictions
from tests.oracles import bootstrap_by_loop, holm_by_loop, pair_wins


def test_published_holm():
    found = holm((0.01, 0.04, 0.03, 0.005, 0.2, 0.5, 0.6))
    assert found.tolist() == pytest.approx([0.06, 0.16, 0.15, 0.035, 0.6, 1.0, 1.0], abs=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_holm_agrees_with_a_loop(seed):
    p_values = np.random.default_rng(seed).random(9).round(2) ** 3
    assert holm(p_values).tolist() == pytest.approx(holm_by_loop(p_values.tolist()), abs=1e-12)


def test_holm_does_not_count_what_is_unknown():
    found = holm([0.01, np.nan, 0.04])
    assert found.tolist() == pytest.approx([0.02, np.nan, 0.04], nan_ok=True)
    assert len(holm([])) == 0 and np.isnan(holm([np.nan])[0])
    with pytest.raises(OverreadError, match="0 to 1"):
        holm([1.5])


def test_the_gap_is_drawn_by_patient_across_both_sides():
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


def test_a_true_gap_is_found_and_none_is_not():
    frame = predictions(900, seed=5)
    worse = frame["bone"] == "elbow"
    frame.loc[worse, "logit"] = np.random.default_rng(0).normal(size=worse.sum())
    table = slice_table(study_table(frame), 0.5, draws=400).set_index("bone")
    assert table.loc["elbow", "gap"] < -0.15 and table.loc["elbow", "gap_high"] < 0
    assert table.loc["elbow", "gap_p_holm"] < 0.05 and (table["gap_p_holm"] >= table["gap_p"]).all()
    assert table["auroc"].tolist() == group_table(frame, 0.5).set_index("bone")["auroc"].tolist()
    fair = slice_table(study_table(predictions(900, seed=5)), 0.5, draws=400)
    assert (fair["gap_p_holm"] > 0.05).all()


def test_a_slice_that_is_the_whole_or_too_small_says_why():
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
