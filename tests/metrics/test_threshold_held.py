"""Whether a rule holds on other studies, by hand."""

from types import SimpleNamespace

import pytest

from core.metrics.thresholds import held_sentences, parse_rule
from core.workflows.verify import held_by

AT = {"sensitivity": 0.96, "sensitivity_low": 0.93, "sensitivity_high": 0.98, "alerts_per_100": 31.0}


@pytest.mark.parametrize(
    ("rule", "bound", "changes", "words"),
    [
        ("sensitivity>=0.9", "wilson", {}, "holds"),
        ("sensitivity>=0.95", "wilson", {}, "not shown to hold"),
        ("sensitivity>=0.95", "none", {}, "holds"),
        ("sensitivity>=0.97", "none", {}, "does not hold"),
        ("sensitivity>=0.97", "wilson", {}, "may be chance"),
        ("sensitivity>=0.99", "wilson", {}, "more than chance"),
        ("miss<=0.1@0.05", "wilson", {}, "holds"),
        ("miss<=0.01", "wilson", {}, "more than chance"),
        ("alerts<=31", "none", {}, "holds"),
        ("alerts<=30", "none", {}, "does not hold"),
        ("specificity>=0.5", "wilson", {}, "not known"),
        ("sensitivity>=0.9", "wilson", {"sensitivity": float("nan")}, "not known"),
        ("sensitivity>=0.9", "wilson", {"sensitivity": None, "sensitivity_low": None}, "not known"),
    ],
)
def test_a_rule_holds_where_its_bound_meets_the_target(rule, bound, changes, words):
    (sentence,) = held_sentences(parse_rule(rule), AT | changes, bound)
    assert words in sentence and parse_rule(rule).text in sentence
    assert words != "holds" or "not" not in sentence


def test_each_part_of_two_thresholds_is_judged_at_its_own_figures():
    high = {"specificity": 0.8, "specificity_low": 0.7, "specificity_high": 0.85}
    rule = parse_rule("rule_out sensitivity>=0.9 rule_in specificity>=0.9")
    out, into = held_sentences(rule, AT, "wilson", high)
    assert "sensitivity>=0.9 holds" in out and "specificity>=0.9 does not hold" in into


@pytest.mark.parametrize("rule", ["youden", "cost=5", "threshold=0.4"])
def test_a_rule_without_a_target_cannot_fail(rule):
    assert held_sentences(parse_rule(rule), AT, "wilson") == []


def test_a_stored_rule_that_cannot_be_read_is_said_and_stops_nothing():
    (sentence,) = held_by(SimpleNamespace(rule="magic>=1", bound="wilson"), AT)
    assert "not known" in sentence and "magic" in sentence
