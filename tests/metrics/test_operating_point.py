import numpy as np
import pytest
from scipy.stats import binom

from core.errors import OverreadError
from core.metrics.counts import counts_at, counts_table
from core.metrics.decision import at_prevalence
from core.metrics.intervals import clopper_pearson, wilson
from core.metrics.thresholds import search as op
from tests.metrics.examples import P, Y, tied

T20 = counts_table(P, Y)


def separated(abnormal, normal=100, seed=0):
    random = np.random.default_rng(seed)
    scores = np.r_[random.beta(4, 2, abnormal), random.beta(2, 4, normal)].round(3)
    return scores, np.r_[np.ones(abnormal), np.zeros(normal)]


# ---- the highest threshold that keeps sensitivity


@pytest.mark.parametrize(
    ("target", "abnormal", "score", "exact"),
    [
        (0.90, 50, 0, 0), (0.90, 100, 4, 4), (0.90, 230, 14, 13), (0.90, 538, 40, 40),
        (0.95, 50, None, None), (0.95, 100, 0, 0), (0.95, 230, 5, 5), (0.95, 538, 16, 16),
    ],
)  # fmt: skip
def test_the_misses_that_are_allowed(target, abnormal, score, exact):
    assert op.misses_allowed(abnormal, target, "wilson") == score
    assert op.misses_allowed(abnormal, target, "clopper_pearson") == exact


def test_with_no_miss_at_all_95_percent_needs_73():
    assert op.positives_needed(0.95) == 73
    assert op.misses_allowed(72, 0.95) is None and op.misses_allowed(73, 0.95) == 0
    assert op.positives_needed(0.95, "clopper_pearson") == 72 and clopper_pearson(71, 71)[0] < 0.95
    assert op.misses_allowed(0, 0.95) is None and op.positives_needed(0.1) == 1


@pytest.mark.parametrize("method", ["wilson", "clopper_pearson"])
@pytest.mark.parametrize("seed", range(4))
def test_the_highest_threshold_is_the_highest(method, seed):
    scores, labels = separated(120, seed=seed)
    counts = counts_table(scores, labels)
    choice = op.highest_threshold(counts, 0.85, method)
    bound = {"wilson": wilson, "clopper_pearson": clopper_pearson}[method]
    meets = [t for t in np.unique(scores) if bound((scores[labels == 1] >= t).sum(), 120)[0] >= 0.85]
    assert choice.feasible and choice.threshold == max(meets)
    assert f"misses {counts_at(counts, choice.threshold)['fn']} of 120" in choice.reason and method in choice.rule


def test_infeasible_is_a_result_with_its_reason():
    choice = op.highest_threshold(counts_table(*separated(66)), 0.95)
    assert not choice.feasible and np.isnan(choice.threshold)
    assert choice.reason == "66 abnormal studies cannot show 95%: 73 are needed"
    t20 = op.highest_threshold(T20, 0.85)
    assert not t20.feasible and "9 abnormal studies" in t20.reason
    assert wilson(9, 9)[0] == pytest.approx(0.7009, abs=1e-4) and op.highest_threshold(T20, 0.70).feasible
    assert "no abnormal" in op.highest_threshold(counts_table([0.1], [0]), 0.9).reason


@pytest.mark.parametrize("target", [0, 1, 95])
def test_a_target_outside_0_to_1_is_refused(target):
    with pytest.raises(OverreadError, match="sensitivity"):
        op.highest_threshold(T20, target)


# ---- Youden and costs


def test_t20_youden_and_costs_with_ties_to_the_lower_threshold():
    assert op.youden(T20).threshold == 0.45
    for cost, lowest, threshold, also in ((1, 4, 0.45, 0.55), (2, 6, 0.30, 0.45), (5, 7, 0.12, 0.12)):
        choice = op.cheapest(T20, cost_fn=cost, cost_fp=1)
        assert choice.threshold == threshold and f"(cost {lowest})" in choice.reason
        at = counts_at(T20, also)
        assert at["fn"] * cost + at["fp"] == lowest
    # The same ties hold in costs that binary cannot hold exactly.
    assert op.cheapest(T20, cost_fn=0.1, cost_fp=0.1).threshold == 0.45
    assert op.cheapest(T20, cost_fn=0.6, cost_fp=0.3).threshold == 0.30


@pytest.mark.parametrize("seed", range(5))
def test_choices_agree_with_a_search_over_all_thresholds(seed):
    scores, labels = tied(seed)
    counts = counts_table(scores, labels)
    candidates = [*np.unique(scores), np.inf]
    table = [counts_at(counts, t) for t in candidates]
    index = [at["tp"] * (at["tn"] + at["fp"]) - at["fp"] * (at["tp"] + at["fn"]) for at in table]
    assert op.youden(counts).threshold == candidates[int(np.argmax(index))]
    for cost in (1, 3, 10):
        costs = [at["fn"] * cost + at["fp"] for at in table]
        assert op.cheapest(counts, cost, 1).threshold == candidates[int(np.argmin(costs))]


def test_a_cost_on_one_side_only():
    # Without a false alarm from .80 on: the lowest of the thresholds that cost nothing.
    assert op.cheapest(T20, cost_fn=0, cost_fp=1).threshold == 0.80
    assert op.cheapest(T20, cost_fn=1, cost_fp=0).threshold == 0.03


def test_ties_go_to_the_lower_threshold():
    # Sensitivity + specificity is 1.5 at 4 and at 2.
    assert op.youden(counts_table([1, 2, 3, 4], [0, 1, 0, 1])).threshold == 2
    # One miss at .3 against three false alarms at .1, which binary adds up to a little more than .3.
    counts = counts_table([0.9, 0.7, 0.6, 0.5, 0.2, 0.1], [1, 0, 0, 0, 1, 0])
    assert 3 * 0.1 > 0.3 and op.cheapest(counts, cost_fn=0.3, cost_fp=0.1).threshold == 0.2


@pytest.mark.parametrize("costs", [(-1, 1), (0, 0), (np.nan, 1), (np.inf, 1)])
def test_impossible_costs_are_refused(costs):
    with pytest.raises(OverreadError, match="Costs"):
        op.cheapest(T20, *costs)


def test_one_class_has_no_best_threshold():
    counts = counts_table(P, np.zeros(20))
    for choice in (op.youden(counts), op.cheapest(counts, 5, 1)):
        assert not choice.feasible and np.isnan(choice.threshold) and "no abnormal" in choice.reason


def test_the_bayes_threshold_follows_from_the_costs():
    assert [op.bayes_threshold(cost, 1) for cost in (1, 3, 9)] == [0.5, 0.25, 0.1]


# ---- the guarantee on misses


@pytest.mark.parametrize(
    ("n1", "alpha", "delta", "k"),
    [(19, 0.05, None, 1), (100, 0.05, None, 5), (538, 0.05, None, 26), (99, 0.29, None, 29),
     (100, 0.05, 0.05, 2), (538, 0.05, 0.05, 19)],
)  # fmt: skip
def test_the_conformal_threshold_is_the_kth_lowest_abnormal_score(n1, alpha, delta, k):
    random = np.random.default_rng(0)
    scores, labels = np.r_[random.random(n1), random.random(50)], np.r_[np.ones(n1), np.zeros(50)]
    choice = op.conformal(scores, labels, alpha, delta)
    assert choice.feasible and choice.threshold == np.sort(scores[:n1])[k - 1] and "exchangeable" in choice.reason


def test_t20_conformal_and_impossible_promises():
    assert op.conformal(P, Y, 0.1).threshold == 0.12 and op.conformal(P, Y, 0.2).threshold == 0.30
    assert not op.conformal(P, Y, 0.05).feasible and "9 abnormal studies" in op.conformal(P, Y, 0.05).reason
    assert not op.conformal(P, Y, 0.05, delta=0.05).feasible and not op.conformal([], [], 0.1, delta=0.1).feasible
    assert op.conformal(P, Y, 0.99, delta=0.9).threshold == 0.95
    assert not op.conformal(np.arange(18), np.ones(18), 0.05).feasible  # one short of 19


def test_the_conformal_promise_is_kept_on_new_studies():
    random = np.random.default_rng(1)
    sets = random.random((4000, 60))
    thresholds = np.array([op.conformal(scores, np.ones(60), 0.1).threshold for scores in sets])
    assert thresholds.mean() <= 0.1 and thresholds.mean() > 0.09  # uniform scores: the share missed is the threshold
    sure = np.array([op.conformal(scores, np.ones(60), 0.1, delta=0.1).threshold for scores in sets[:1500]])
    assert (sure > 0.1).mean() <= 0.1
    assert binom.cdf(2, 60, 0.1) <= 0.1 < binom.cdf(3, 60, 0.1)


# ---- two thresholds


def test_t20_two_thresholds():
    found = op.two_thresholds(T20, 0.12, 0.80)
    out, into, referred = found["missed_when_ruled_out"], found["right_when_ruled_in"], found["referred"]
    assert (out.value, out.n, into.value, into.n) == (0, 4, 1, 3)
    assert out.high == pytest.approx(0.48989, abs=1e-5)
    assert (referred.value, referred.n) == (13 / 20, 20)


def test_the_band_between_two_thresholds():
    inside = (P >= 0.4) & (P < 0.7)
    found = op.band(T20, 0.4, 0.7)
    assert (found["abnormal"], found["normal"]) == (Y[inside].sum(), (1 - Y[inside]).sum()) == (3, 2)
    assert found["exchange"] == 2 / 3 and np.isnan(op.band(T20, 0.4, 0.4)["exchange"])
    with pytest.raises(OverreadError, match="lies above"):
        op.two_thresholds(T20, 0.8, 0.2)


def test_an_empty_side_says_so():
    found = op.two_thresholds(T20, 0.0, 2.0)
    assert "no study is ruled out" in found["missed_when_ruled_out"].why
    assert "no study is ruled in" in found["right_when_ruled_in"].why and found["referred"].value == 1


# ---- every rate at one threshold


def test_rates_at_a_threshold():
    scores, labels = separated(200, 300)
    counts = counts_table(scores, labels)
    rates = op.rates_at(counts, 0.5)
    at = counts_at(counts, 0.5)
    assert set(rates) == {
        "sensitivity", "specificity", "ppv", "npv", "accuracy", "balanced_accuracy", "f1", "kappa", "mcc",
        "likelihood_ratio_positive", "likelihood_ratio_negative", "alerts_per_100", "number_needed_to_review",
    }  # fmt: skip
    assert all(rate.low < rate.value < rate.high and rate.why == "" for rate in rates.values())
    assert rates["sensitivity"].value == at["tp"] / 200 and rates["sensitivity"].n == 200
    assert rates["specificity"].value == at["tn"] / 300 and rates["specificity"].n == 300
    exact = op.rates_at(counts, 0.5, method="clopper_pearson")["sensitivity"]
    assert (exact.low, exact.high) == pytest.approx(clopper_pearson(at["tp"], 200))


def test_a_stated_prevalence_moves_only_what_depends_on_it():
    counts = counts_table(*separated(200, 300))
    here, there = op.rates_at(counts, 0.5), op.rates_at(counts, 0.5, prevalence=0.05)
    moved = {name for name in here if here[name] != there[name]}
    assert moved == {"ppv", "npv", "alerts_per_100", "number_needed_to_review"}
    plain = at_prevalence(here["sensitivity"].value, here["specificity"].value, 0.05)
    assert there["ppv"].value == pytest.approx(plain["ppv"], abs=1e-12)


@pytest.mark.parametrize("labels", [np.ones(20), np.zeros(20)])
@pytest.mark.parametrize("prevalence", [None, 0.1])
def test_rates_of_one_class_keep_the_one_that_can_be_shown(labels, prevalence):
    rates = op.rates_at(counts_table(P, labels), 0.5, prevalence)
    shown, hidden = ("sensitivity", "specificity") if labels[0] else ("specificity", "sensitivity")
    assert rates[shown].n == 20 and 0 < rates[shown].low < rates[shown].value < rates[shown].high
    assert all(rate.why for rate in rates.values() if np.isnan(rate.value)) and np.isnan(rates[hidden].value)
    assert np.isnan(rates["kappa"].value) and np.isnan(rates["mcc"].value)


def test_rates_of_nothing_are_all_undefined():
    rates = op.rates_at(counts_table([], []), 0.5)
    assert all(np.isnan(rate.value) and rate.why for rate in rates.values())
