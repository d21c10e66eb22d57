"""The cost of a threshold, in words and in a table: counted by hand, and against a search over all thresholds."""

import numpy as np
import pandas as pd
import pytest

from core.metrics.counts import counts_at, counts_table
from core.metrics.intervals import wilson
from core.metrics.thresholds import TARGETS, Rule, choose, cost_sentence, same_or_better, target_costs, too_costly
from tests.metrics.examples import P, Y


def cells(tp: int, fp: int, tn: int, fn: int) -> dict[str, int]:
    return {"tp": tp, "fp": fp, "tn": tn, "fn": fn}


@pytest.mark.parametrize(
    ("at", "prevalence", "calls", "misses"),
    [
        (
            cells(90, 70, 730, 10),
            0.2,
            "100 studies, 25 are called abnormal, 7 of them normal",
            "10: 1 is",
        ),
        # At 5%, 4.5 would be found and .5 missed of 100: more studies are needed for whole numbers.
        (
            cells(90, 70, 730, 10),
            0.05,
            "100 studies, 13 are called abnormal, 8 of them normal",
            "10: 1 is",
        ),
        (
            cells(90, 7, 793, 10),
            0.05,
            "1,000 studies, 53 are called abnormal, 8 of them normal",
            "10: 1 is",
        ),
        (
            cells(5, 0, 5, 5),
            None,
            "100 studies, 33 are called abnormal, none of them normal",
            "10: 5 are",
        ),
        (cells(0, 0, 9, 3), None, "100 studies, none is called abnormal", "10: all are"),
        (
            cells(3, 9, 0, 0),
            None,
            "100 studies, 100 are called abnormal, 75 of them normal",
            "10: none is",
        ),
        (
            cells(1, 0, 99, 0),
            None,
            "100 studies, 1 is called abnormal, and it is abnormal",
            "10: none is",
        ),
        (cells(0, 1, 98, 1), None, "100 studies, 1 is called abnormal, and it is normal", "10: all are"),
        (
            cells(60, 3, 60, 5),
            None,
            "100 studies, 49 are called abnormal, 2 of them normal",
            "100: 8 are",
        ),
    ],
)
def test_the_cost_in_words(at, prevalence, calls, misses):
    size, missed = misses.split(": ")
    assert cost_sentence(at, prevalence) == f"Of {calls}; of {size} abnormal ones, {missed} missed."


def test_the_cost_of_one_class_cannot_be_estimated():
    assert cost_sentence(cells(0, 3, 4, 0)).startswith("The cost cannot be estimated")


def test_the_numbers_in_words_are_the_shares_to_a_fifth():
    random = np.random.default_rng(0)
    for _ in range(300):
        tp, fp, tn, fn = (int(value) for value in random.integers(1, 200, 4))
        prevalence = float(random.uniform(0.01, 0.99))
        words = cost_sentence(cells(tp, fp, tn, fn), prevalence).replace(",", "")
        numbers = [int(word) for word in words.replace(".", " ").replace(";", " ").split() if word.isdigit()]
        called = prevalence * tp / (tp + fn) + (1 - prevalence) * fp / (fp + tn)
        assert numbers[1] == pytest.approx(numbers[0] * called, rel=0.2)
        if "missed" in words and "all are" not in words and "none" not in words:
            assert numbers[-1] == pytest.approx(numbers[-2] * fn / (tp + fn), rel=0.2)


def studies(abnormal: int = 200, normal: int = 300, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    scores = np.concatenate([random.beta(3, 2, abnormal), random.beta(2, 3, normal)]).round(3)
    return counts_table(scores, np.repeat([1.0, 0.0], [abnormal, normal]))


@pytest.mark.parametrize("kind", ["sensitivity", "specificity"])
def test_each_target_costs_what_the_rule_costs(kind):
    counts = studies()
    rows = target_costs(counts, kind, "wilson", 0.1)
    assert [row["target"] for row in rows] == list(TARGETS)
    for row in rows:
        choice = choose(counts, Rule(kind, row["target"]), "wilson", 0.1)
        assert row["feasible"] and row["threshold"] == choice.threshold
        at = counts_at(counts, choice.threshold)
        other = (at["tn"], 300) if kind == "sensitivity" else (at["tp"], 200)
        low, high = wilson(*other)
        assert row["other"].value == other[0] / other[1] and (row["other"].low, row["other"].high) == (low, high)
        alerts = 100 * (0.1 * at["tp"] / 200 + 0.9 * at["fp"] / 300)
        assert row["alerts"] == pytest.approx(alerts)
    assert [row["needed"] for row in rows][3] == 73
    assert [row["other"].value for row in rows] == sorted([row["other"].value for row in rows], reverse=True)


def test_a_target_that_cannot_be_met_is_a_row_with_its_reason():
    (row,) = [row for row in target_costs(studies(30, 30), "sensitivity") if row["target"] == 0.95]
    assert not row["feasible"] and "73 are needed" in row["reason"] and np.isnan(row["alerts"])


def test_a_bound_that_costs_too_much_says_so():
    scores = np.concatenate([np.linspace(0.2, 0.9, 100), np.linspace(0.0, 0.88, 125)])
    counts = counts_table(scores, np.repeat([1.0, 0.0], [100, 125]))
    rule = Rule("sensitivity", 0.95)
    choice = choose(counts, rule)
    alarms = counts_at(counts, choice.threshold)["fp"]
    assert too_costly(counts, rule, choice) == f"A bound of 95% calls {alarms} of 125 normal studies abnormal."
    assert too_costly(counts, rule, choose(counts, rule, "none")).startswith("A sensitivity of 95% calls ")
    cheap = Rule("sensitivity", 0.4)
    assert too_costly(counts, cheap, choose(counts, cheap)) == ""
    assert too_costly(counts, Rule("youden"), choose(counts, "youden")) == ""
    strict = Rule("specificity", 0.95)
    assert "abnormal studies." in too_costly(counts, strict, choose(counts, strict))


def test_thresholds_with_equal_figures_and_better_ones():
    # At .5: 6 of 9 found, 2 false alarms of 11. From .45 a further abnormal study is found without a false alarm.
    counts = counts_table(P, Y)
    lines = same_or_better(counts, 0.47)
    assert lines[0] == "Every threshold above 0.45 and up to 0.5 calls the same studies abnormal."
    better = [line for line in lines if "better" in line]
    assert better and "finds 1 more abnormal study without a further false alarm" in better[0]
    assert "Youden's index" in better[0] and "0.45" in better[0]
    assert any("Youden's index" in line and "the same figures" in line for line in same_or_better(counts, 0.45))


@pytest.mark.parametrize("seed", range(5))
def test_a_better_threshold_is_offered_exactly_where_there_is_one(seed):
    counts = studies(40, 40, seed)
    table = counts[["tp", "fp"]].to_numpy()
    for row in range(1, len(counts)):
        tp, fp = table[row]
        better = ((table[:, 0] >= tp) & (table[:, 1] <= fp) & (table != table[row]).any(axis=1)).any()
        assert better == any("better" in line for line in same_or_better(counts, counts["threshold"].iloc[row]))
