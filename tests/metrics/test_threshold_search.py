import numpy as np
import pytest
from scipy.stats import binom

from core.metrics import thresholds
from core.metrics.counts import counts_at, counts_table
from core.metrics.intervals import clopper_pearson, wilson
from tests.metrics.examples import P, Y, separated, tied
from tests.refusals import refused

T20 = counts_table(P, Y)


# ---- the highest threshold that meets a sensitivity


@pytest.mark.parametrize(
    ("target", "abnormal", "score", "exact"),
    [
        (0.90, 50, 0, 0), (0.90, 100, 4, 4), (0.90, 230, 14, 13), (0.90, 538, 40, 40),
        (0.95, 50, None, None), (0.95, 100, 0, 0), (0.95, 230, 5, 5), (0.95, 538, 16, 16),
    ],
)  # fmt: skip
def test_misses_allowed_agree_with_published_numbers(target, abnormal, score, exact):
    assert thresholds.misses_allowed(abnormal, target, "wilson") == score
    assert thresholds.misses_allowed(abnormal, target, "clopper_pearson") == exact


def test_a_sensitivity_of_95_percent_needs_73_studies_without_a_miss():
    assert thresholds.positives_needed(0.95) == 73
    assert thresholds.misses_allowed(72, 0.95) is None and thresholds.misses_allowed(73, 0.95) == 0
    assert thresholds.positives_needed(0.95, "clopper_pearson") == 72 and clopper_pearson(71, 71)[0] < 0.95
    assert thresholds.misses_allowed(0, 0.95) is None and thresholds.positives_needed(0.1) == 1


@pytest.mark.parametrize("method", ["wilson", "clopper_pearson"])
@pytest.mark.parametrize("seed", range(4))
def test_highest_threshold_agrees_with_trying_every_score(method, seed):
    scores, labels = separated(120, seed=seed)
    counts = counts_table(scores, labels)
    choice = thresholds.highest_threshold(counts, 0.85, method)
    bound = {"wilson": wilson, "clopper_pearson": clopper_pearson}[method]
    meets = [t for t in np.unique(scores) if bound((scores[labels == 1] >= t).sum(), 120)[0] >= 0.85]
    assert choice.feasible and choice.threshold == max(meets)
    assert f"misses {counts_at(counts, choice.threshold)['fn']} of 120" in choice.reason and method in choice.rule


def test_an_infeasible_rule_has_a_reason():
    choice = thresholds.highest_threshold(counts_table(*separated(66)), 0.95)
    assert not choice.feasible and np.isnan(choice.threshold)
    assert choice.reason == "66 abnormal studies cannot show 95%: 73 are needed"
    t20 = thresholds.highest_threshold(T20, 0.85)
    assert not t20.feasible and "9 abnormal studies" in t20.reason
    assert wilson(9, 9)[0] == pytest.approx(0.7009, abs=1e-4) and thresholds.highest_threshold(T20, 0.70).feasible
    assert "no abnormal" in thresholds.highest_threshold(counts_table([0.1], [0]), 0.9).reason


@pytest.mark.parametrize("target", [0, 1, 95])
def test_a_target_outside_0_to_1_is_refused(target):
    with refused("share-range", target, "sensitivity"):
        thresholds.highest_threshold(T20, target)


# ---- Youden and costs


def test_t20_youden_and_costs_with_ties_to_the_lower_threshold():
    assert thresholds.youden(T20).threshold == 0.45
    for cost, lowest, threshold, also in ((1, 4, 0.45, 0.55), (2, 6, 0.30, 0.45), (5, 7, 0.12, 0.12)):
        choice = thresholds.cheapest(T20, cost_fn=cost, cost_fp=1)
        assert choice.threshold == threshold and f"(cost {lowest})" in choice.reason
        at = counts_at(T20, also)
        assert at["fn"] * cost + at["fp"] == lowest
    # Costs without an exact binary value have the same ties.
    assert thresholds.cheapest(T20, cost_fn=0.1, cost_fp=0.1).threshold == 0.45
    assert thresholds.cheapest(T20, cost_fn=0.6, cost_fp=0.3).threshold == 0.30


@pytest.mark.parametrize("seed", range(5))
def test_youden_and_costs_agree_with_trying_every_threshold(seed):
    scores, labels = tied(seed)
    counts = counts_table(scores, labels)
    candidates = [*np.unique(scores), np.inf]
    table = [counts_at(counts, t) for t in candidates]
    index = [at["tp"] * (at["tn"] + at["fp"]) - at["fp"] * (at["tp"] + at["fn"]) for at in table]
    assert thresholds.youden(counts).threshold == candidates[int(np.argmax(index))]
    for cost in (1, 3, 10):
        costs = [at["fn"] * cost + at["fp"] for at in table]
        assert thresholds.cheapest(counts, cost, 1).threshold == candidates[int(np.argmin(costs))]


def test_a_cost_for_only_one_kind_of_error():
    # From 0.80 on there is no false alarm: the lowest threshold without cost.
    assert thresholds.cheapest(T20, cost_fn=0, cost_fp=1).threshold == 0.80
    assert thresholds.cheapest(T20, cost_fn=1, cost_fp=0).threshold == 0.03


def test_ties_go_to_the_lower_threshold():
    # Sensitivity + specificity is 1.5 at 4 and at 2.
    assert thresholds.youden(counts_table([1, 2, 3, 4], [0, 1, 0, 1])).threshold == 2
    # One missed study at 0.3 and three false alarms at 0.1, whose sum in binary is slightly above 0.3.
    counts = counts_table([0.9, 0.7, 0.6, 0.5, 0.2, 0.1], [1, 0, 0, 0, 1, 0])
    assert 3 * 0.1 > 0.3 and thresholds.cheapest(counts, cost_fn=0.3, cost_fp=0.1).threshold == 0.2


@pytest.mark.parametrize("costs", [(-1, 1), (0, 0), (np.nan, 1), (np.inf, 1)])
def test_impossible_costs_are_refused(costs):
    with refused("costs-range", costs[0], costs[1]):
        thresholds.cheapest(T20, *costs)


def test_youden_and_costs_are_infeasible_with_one_class():
    counts = counts_table(P, np.zeros(20))
    for choice in (thresholds.youden(counts), thresholds.cheapest(counts, 5, 1)):
        assert not choice.feasible and np.isnan(choice.threshold) and "no abnormal" in choice.reason


def test_the_bayes_threshold_follows_from_the_costs():
    assert [thresholds.bayes_threshold(cost, 1) for cost in (1, 3, 9)] == [0.5, 0.25, 0.1]


# ---- conformal thresholds


@pytest.mark.parametrize(
    ("n1", "alpha", "delta", "k"),
    [(19, 0.05, None, 1), (100, 0.05, None, 5), (538, 0.05, None, 26), (99, 0.29, None, 29),
     (100, 0.05, 0.05, 2), (538, 0.05, 0.05, 19)],
)  # fmt: skip
def test_the_conformal_threshold_is_the_kth_lowest_abnormal_score(n1, alpha, delta, k):
    random = np.random.default_rng(0)
    scores, labels = np.r_[random.random(n1), random.random(50)], np.r_[np.ones(n1), np.zeros(50)]
    choice = thresholds.conformal(scores, labels, alpha, delta)
    assert choice.feasible and choice.threshold == np.sort(scores[:n1])[k - 1] and "exchangeable" in choice.reason


def test_t20_conformal_and_infeasible_targets():
    assert thresholds.conformal(P, Y, 0.1).threshold == 0.12 and thresholds.conformal(P, Y, 0.2).threshold == 0.30
    few = thresholds.conformal(P, Y, 0.05)
    assert not few.feasible and "9 abnormal studies" in few.reason
    assert not thresholds.conformal(P, Y, 0.05, delta=0.05).feasible
    assert not thresholds.conformal([], [], 0.1, delta=0.1).feasible
    assert thresholds.conformal(P, Y, 0.99, delta=0.9).threshold == 0.95
    assert not thresholds.conformal(np.arange(18), np.ones(18), 0.05).feasible  # one short of 19


def test_the_conformal_threshold_keeps_its_guarantee_on_new_studies():
    random = np.random.default_rng(1)
    sets = random.random((4000, 60))
    chosen = np.array([thresholds.conformal(scores, np.ones(60), 0.1).threshold for scores in sets])
    assert 0.09 < chosen.mean() <= 0.1  # uniform scores: the share missed is the threshold
    sure = np.array([thresholds.conformal(scores, np.ones(60), 0.1, delta=0.1).threshold for scores in sets[:1500]])
    assert (sure > 0.1).mean() <= 0.1
    assert binom.cdf(2, 60, 0.1) <= 0.1 < binom.cdf(3, 60, 0.1)


# ---- two thresholds


def test_t20_two_thresholds():
    found = thresholds.two_thresholds(T20, 0.12, 0.80)
    out, into, referred = found["missed_when_ruled_out"], found["right_when_ruled_in"], found["referred"]
    assert (out.value, out.n, into.value, into.n) == (0, 4, 1, 3)
    assert out.high == pytest.approx(0.48989, abs=1e-5)
    assert (referred.value, referred.n) == (13 / 20, 20)


def test_two_thresholds_in_the_wrong_order_are_refused():
    with refused("thresholds-order", 0.8, 0.2):
        thresholds.two_thresholds(T20, 0.8, 0.2)


def test_two_thresholds_with_no_study_on_one_side():
    found = thresholds.two_thresholds(T20, 0.0, 2.0)
    assert "no study is ruled out" in found["missed_when_ruled_out"].why
    assert "no study is ruled in" in found["right_when_ruled_in"].why and found["referred"].value == 1
