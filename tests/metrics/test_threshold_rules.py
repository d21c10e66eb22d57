import numpy as np
import pytest

from core.metrics.counts import counts_at, counts_table
from core.metrics.intervals import clopper_pearson, wilson
from core.metrics.thresholds import choose, figures_at, parse_rule
from tests.metrics.examples import P, Y, tied
from tests.refusals import refused

T20 = counts_table(P, Y)
FORMS = (
    "sensitivity>=0.95", "specificity>=0.9", "youden", "cost=5", "cost=5:2", "alerts<=20", "miss<=0.05",
    "miss<=0.05@0.1", "threshold=0.45", "rule_out miss<=0.1 rule_in specificity>=0.9",
)  # fmt: skip


@pytest.mark.parametrize("text", FORMS)
def test_the_text_of_a_rule_is_parsed_to_the_same_rule(text):
    rule = parse_rule(text)
    assert parse_rule(rule.text) == rule and parse_rule(rule) is rule


def test_other_spellings_of_a_rule():
    assert parse_rule(" Sensitivity >= 95% ") == parse_rule("sensitivity≥0.95")
    assert parse_rule("0.45") == parse_rule("threshold = 0.45")
    assert parse_rule("rule-out sensitivity>=0.9, rule-in specificity>=0.9").kind == "two"


@pytest.mark.parametrize(
    "text", ["", "sensitivity>0.95", "sensitivity", "best", "cost", "alerts>=3", "rule_out youden"]
)
def test_an_unknown_rule_lists_the_forms(text):
    with refused("rule-unknown", repr(text), "sensitivity>=0.95"):
        parse_rule(text)


@pytest.mark.parametrize("text", ["sensitivity>=95", "specificity>=1", "miss<=0", "miss<=0.1@2"])
def test_a_share_outside_0_to_1_is_refused(text):
    with refused("rule-share-range", repr(text)):
        parse_rule(text)


def test_t20_by_rule():
    assert choose(T20, "youden").threshold == 0.45
    assert [choose(T20, f"cost={cost}").threshold for cost in (1, 2, 5)] == [0.45, 0.30, 0.12]
    assert [choose(T20, f"miss<={alpha}").threshold for alpha in (0.1, 0.2)] == [0.12, 0.30]
    infeasible = choose(T20, "sensitivity>=0.85", name="elbow")
    assert infeasible.reason == "9 abnormal elbow studies cannot show 85%: 22 are needed" and not infeasible.feasible
    assert choose(T20, "sensitivity>=0.85", "none").threshold == 0.30
    two = choose(T20, "rule_out threshold=0.12 rule_in threshold=0.80")
    assert (two.threshold, two.high) == (0.12, 0.80)
    assert two.reason == "0 of 4 ruled out are abnormal, 3 of 3 ruled in are abnormal, 13 of 20 are referred"


@pytest.mark.parametrize("bound", ["wilson", "clopper-pearson", "none"])
@pytest.mark.parametrize("seed", range(4))
def test_rules_agree_with_a_search_over_every_candidate(bound, seed):
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, 300)
    scores = np.round(random.beta(2 + 2 * labels, 4 - 2 * labels), 2)
    counts = counts_table(scores, labels)
    candidates = np.unique(scores)
    lower = {"wilson": wilson, "clopper-pearson": clopper_pearson, "none": lambda k, n: (k / n,)}[bound]
    at = {t: counts_at(counts, t) for t in candidates}
    n1, n0 = labels.sum(), (1 - labels).sum()
    meets = [t for t in candidates if lower(at[t]["tp"], n1)[0] >= 0.8]
    assert choose(counts, "sensitivity>=0.8", bound).threshold == max(meets)
    meets = [t for t in candidates if lower(at[t]["tn"], n0)[0] >= 0.8]
    assert choose(counts, "specificity>=0.8", bound).threshold == min(meets)
    meets = [t for t in candidates if 100 * (0.1 * at[t]["tp"] / n1 + 0.9 * at[t]["fp"] / n0) <= 25]
    assert choose(counts, "alerts<=25", bound, prevalence=0.1).threshold == min(meets)
    meets = [t for t in candidates if 100 * (at[t]["tp"] + at[t]["fp"]) / 300 <= 25]
    assert choose(counts, "alerts<=25", bound).threshold == min(meets)
    cost = {t: 0.1 * at[t]["fn"] / n1 * 5 + 0.9 * at[t]["fp"] / n0 for t in candidates}
    assert choose(counts, "cost=5", bound, prevalence=0.1).threshold == pytest.approx(min(cost, key=cost.get))


def test_targets_that_ties_make_impossible_are_infeasible():
    counts = counts_table(np.full(200, 0.3), np.r_[np.ones(100), np.zeros(100)])
    assert "100 of 100 normal studies share the highest score" in choose(counts, "specificity>=0.9").reason
    assert "the highest score alone alerts 100.0 times" in choose(counts, "alerts<=20").reason
    assert choose(counts, "sensitivity>=0.9").threshold == 0.3


def test_overlapping_rules_leave_no_study_to_refer():
    labels = np.r_[np.zeros(100), np.ones(100)]
    counts = counts_table(np.arange(200) / 200, labels)
    two = choose(counts, "rule_out sensitivity>=0.8 rule_in specificity>=0.8")
    assert two.feasible and two.threshold == two.high and "no study needs to be referred" in two.reason
    at = counts_at(counts, two.threshold)
    assert wilson(at["tp"], 100)[0] >= 0.8 and wilson(at["tn"], 100)[0] >= 0.8
    failed = choose(T20, "rule_out sensitivity>=0.9 rule_in specificity>=0.5")
    assert not failed.feasible and failed.reason.startswith("rule out: 9 abnormal studies cannot show 90%")


def test_figures_at_a_threshold_are_flat_with_reasons():
    row = figures_at(T20, 0.5)
    assert (row["tp"], row["fn"], row["fp"], row["tn"], row["n"], row["n_abnormal"]) == (6, 3, 2, 9, 20, 9)
    assert row["kappa"] == pytest.approx(0.489795918) and "sensitivity: no interval: 9 abnormal" in row["why"]


@pytest.mark.parametrize("rule", FORMS)
@pytest.mark.parametrize("labels", [[], np.zeros(30), np.ones(30)])
def test_every_rule_gives_a_result_for_one_class_and_for_no_studies(rule, labels):
    counts = counts_table(np.linspace(0, 1, len(labels)), labels)
    choice = choose(counts, rule)
    assert choice.reason and (choice.feasible or np.isnan(choice.threshold))


def test_an_unknown_bound_lists_the_bounds():
    with refused("bound-unknown", "wald", "wilson, clopper-pearson or none"):
        choose(T20, "youden", "wald")
    scores, labels = tied(0)
    assert choose(counts_table(scores, labels), "youden", "Clopper_Pearson").feasible
