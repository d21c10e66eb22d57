"""Choosing a threshold: rules as text, the search for the threshold that meets one, and the report of its figures.

A threshold that is chosen here is a ThresholdChoice. It becomes an operating point only where
core.scores.operating_points locks it.
"""

from core.metrics.thresholds.bands import band_table, two_thresholds
from core.metrics.thresholds.bones import FEWEST_ABNORMAL, PerBone, per_bone
from core.metrics.thresholds.costs import TARGETS, cost_sentence, same_or_better, target_costs, too_costly
from core.metrics.thresholds.held import held_sentences
from core.metrics.thresholds.report import choice_facts, figures_at
from core.metrics.thresholds.rules import NONE, Rule, check_bound, parse_rule
from core.metrics.thresholds.search import (
    ThresholdChoice,
    at_most_alerts,
    bayes_threshold,
    cheapest,
    choose,
    conformal,
    conformal_of,
    fixed,
    highest_threshold,
    lowest_threshold,
    misses_allowed,
    positives_needed,
    youden,
)

__all__ = [
    "FEWEST_ABNORMAL",
    "NONE",
    "TARGETS",
    "PerBone",
    "Rule",
    "ThresholdChoice",
    "at_most_alerts",
    "band_table",
    "bayes_threshold",
    "cheapest",
    "check_bound",
    "choice_facts",
    "choose",
    "conformal",
    "conformal_of",
    "cost_sentence",
    "figures_at",
    "fixed",
    "held_sentences",
    "highest_threshold",
    "lowest_threshold",
    "misses_allowed",
    "parse_rule",
    "per_bone",
    "positives_needed",
    "same_or_better",
    "target_costs",
    "too_costly",
    "two_thresholds",
    "youden",
]  # fmt: skip
