"""Offsets per bone: recovered where bones differ, shrunk where they do not; own thresholds only with a gain."""

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad
from scipy.special import expit, log_expit, logit

from core.metrics.studies import study_table
from core.metrics.thresholds import FEWEST_ABNORMAL, choose, per_bone
from core.metrics.thresholds.bones import bone_offsets, shifted_scores
from tests.metrics.examples import P, Y, one_view_each


def made(shift: dict, n: int, seed: int = 0, slope: float = 1.0) -> pd.DataFrame:
    """STUDIES, n per bone, with true log odds of slope x logit(score) + the shift of the bone."""
    random = np.random.default_rng(seed)
    bones = np.repeat(list(shift), n)
    x = random.normal(0, 1.5, len(bones))
    label = (random.random(len(bones)) < expit(slope * x + np.repeat(list(shift.values()), n))).astype(float)
    return study_table(one_view_each(expit(x), label, bones))


def fitted(studies):
    bones = sorted(studies["bone"].unique())
    code = studies["bone"].map({bone: i for i, bone in enumerate(bones)}).to_numpy()
    return bones, bone_offsets(studies["score"], studies["label"], code, len(bones))


@pytest.mark.parametrize("slope", [0.5, 1.0, 2.0])
def test_offsets_converge_to_the_true_ones(slope):
    shift = {"elbow": -1.0, "hand": 0.0, "wrist": 1.0}
    bones, (offsets, errors, tau, found_slope, why) = fitted(made(shift, 6000, slope=slope))
    # Offsets are on the logit of the score and relative to each other, because the intercept has the mean.
    expected = np.array([shift[bone] for bone in bones]) / slope
    assert why == "" and found_slope == pytest.approx(slope, rel=0.06) and tau > 0.5
    assert offsets - offsets.mean() == pytest.approx(expected, abs=0.15 / slope)
    assert (errors > 0).all()


def test_offsets_are_about_0_where_bones_do_not_differ():
    largest = []
    for seed in range(20):
        _, (offsets, _, tau, _, why) = fitted(made(dict.fromkeys(("a", "b", "c", "d", "e"), 0.3), 150, seed))
        assert (why != "") == (tau == 0)
        largest.append(np.abs(offsets).max())
    assert np.median(largest) < 0.05 and max(largest) < 0.4


def test_the_offset_of_a_bone_with_few_studies_is_shrunk_to_0():
    shift = {"a": -1.0, "b": -0.5, "c": 0.5, "d": 1.0}
    studies = made(shift, 3000)
    few = pd.concat([studies[studies["bone"] != "d"], studies[studies["bone"] == "d"].head(12)], ignore_index=True)
    many = dict(zip(*(lambda bones, found: (bones, found[0]))(*fitted(studies))))
    shrunk = dict(zip(*(lambda bones, found: (bones, found[0]))(*fitted(few))))
    assert abs(shrunk["d"] - np.mean(list(shrunk.values()))) < abs(many["d"])
    assert shrunk["a"] - shrunk["c"] == pytest.approx(many["a"] - many["c"], abs=0.1)


def test_tau_is_close_to_the_maximum_by_numerical_integration():
    """Two bones with fixed intercept and slope: Laplace's optimum is close to that of the integral."""
    studies = made({"a": -0.9, "b": 0.9}, 400, seed=4)
    bones, (offsets, _, tau, slope, _) = fitted(studies)
    x, y = logit(studies["score"].to_numpy()), studies["label"].to_numpy()
    code = studies["bone"].map({bone: i for i, bone in enumerate(bones)}).to_numpy()
    middle = np.mean([np.log((y[code == i].mean()) / (1 - y[code == i].mean())) for i in (0, 1)])

    def evidence(spread):
        total = 0.0
        for bone in (0, 1):
            xs, ys = x[code == bone], y[code == bone]

            def log_of(u, xs=xs, ys=ys):
                line = middle + slope * xs + u
                return log_expit(np.where(ys == 1, line, -line)).sum() - u**2 / (2 * spread**2) - np.log(spread)

            top = max(log_of(u) for u in np.linspace(-3, 3, 121))
            total += top + np.log(quad(lambda u, t=top, f=log_of: np.exp(f(u) - t), -4, 4, points=[offsets[bone]])[0])
        return total

    grid = np.exp(np.linspace(np.log(0.1), np.log(4), 60))
    assert tau == pytest.approx(grid[np.argmax([evidence(value) for value in grid])], rel=0.25)


def test_one_threshold_on_shifted_scores_equals_a_threshold_per_bone():
    studies = made({"elbow": -1.0, "hand": 0.0, "wrist": 1.0}, 800)
    found = per_bone(studies, "sensitivity>=0.9")
    table = found.table.set_index("bone")
    assert found.why == "" and found.pooled.threshold == choose(studies, "sensitivity>=0.9").threshold
    for row in found.table.itertuples():
        part = studies[studies["bone"] == row.bone]
        # Slightly below, because shifting and shifting back changes the last digits.
        called = part["score"] >= row.threshold_shifted - 1e-12
        assert called[part["label"] == 1].sum() == row.shifted_tp and called[part["label"] == 0].sum() == row.shifted_fp
        pooled = part["score"] >= found.pooled.threshold
        assert (pooled & (part["label"] == 1)).sum() == row.tp and (pooled & (part["label"] == 0)).sum() == row.fp
    assert table["threshold_shifted"].is_monotonic_increasing is False
    assert table.loc["wrist", "threshold_shifted"] < table.loc["elbow", "threshold_shifted"]
    # The shift gives the same sensitivity with fewer false alarms.
    assert table["shifted_fp"].sum() < table["fp"].sum()


def test_a_bone_gets_its_own_threshold_with_73_abnormal_studies_and_a_gain():
    random = np.random.default_rng(1)
    label = random.integers(0, 2, 3000).astype(float)
    bones = np.repeat(["elbow", "wrist", "hand"], [100, 1450, 1450])
    x = random.normal(2 * label - 1, 1) + np.where(bones == "wrist", 2.5, 0)
    studies = study_table(one_view_each(expit(x), label, bones))
    table = per_bone(studies, "youden").table.set_index("bone")
    assert table.loc["wrist", "own"] and table.loc["wrist", "own_gain_low"] > 0
    assert not table.loc["elbow", "own"] and f"{FEWEST_ABNORMAL} are needed" in table.loc["elbow", "why"]
    same = study_table(one_view_each(expit(random.normal(2 * label - 1, 1)), label, bones))
    table = per_bone(same, "youden").table.set_index("bone")
    assert not table["own"].any() and "no gain in balanced accuracy" in table.loc["wrist", "why"]


def test_chance_seldom_gives_a_bone_its_own_threshold():
    earned = []
    for seed in range(40):
        random = np.random.default_rng(seed)
        label = random.integers(0, 2, 600).astype(float)
        bones = np.where(np.arange(600) % 2 == 0, "hand", "wrist")
        studies = study_table(one_view_each(expit(random.normal(1.5 * label - 0.75, 1)), label, bones))
        earned += per_bone(studies, "youden").table["own"].tolist()
    assert np.mean(earned) <= 0.1


@pytest.mark.parametrize(
    ("studies", "reason"),
    [
        (one_view_each(P, Y), "only one bone"),
        (one_view_each(P, np.ones(20), ["hand", "wrist"] * 10), "no normal"),
        (one_view_each(np.full(20, 0.5), Y, ["hand", "wrist"] * 10), "every study has the same score"),
        (one_view_each(np.sort(P), np.arange(20) >= 10, ["hand", "wrist"] * 10), "separate the classes"),
        (one_view_each(1 - P, Y, ["hand", "wrist"] * 10), ""),
        (one_view_each(np.r_[0.0, P[1:-1], 1.0], Y, ["hand", "wrist"] * 10), ""),
    ],
)
def test_no_offsets_have_a_reason(studies, reason):
    found = per_bone(study_table(studies), "youden")
    assert reason in found.why and len(found.table) in (1, 2)
    if reason:
        assert (found.table["offset"] == 0).all() and found.tau == 0


def test_per_bone_without_studies_and_with_an_infeasible_rule():
    empty = per_bone(study_table(one_view_each([0.5], [np.nan])), "youden")
    assert empty.table.empty and not empty.pooled.feasible
    found = per_bone(study_table(one_view_each(P, Y, ["hand", "wrist"] * 10)), "sensitivity>=0.95")
    assert not found.pooled.feasible and np.isnan(found.table["tp"]).all() and not found.table["own"].any()


def test_a_score_with_offset_0_is_unchanged():
    assert (shifted_scores(P, 0.0) == P).all()
    assert shifted_scores([0.0, 0.5, 1.0], 1.0) == pytest.approx([0, expit(1), 1])
