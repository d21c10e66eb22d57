"""Choose a threshold by a rule on one split, and lock it as an operating point. No torch for stored scores."""

import math
from collections.abc import Callable

from core.metrics.studies import own_aggregation, study_table
from core.metrics.thresholds import Rule, choice_facts, choose, parse_rule
from core.scores.imports import threshold_in_file
from core.scores.loading import CHOICE_SPLITS, split_scores
from core.scores.operating_points import ChosenThreshold
from core.scores.source import Source
from core.scores.view import DEFAULT_THRESHOLD, View


def choose_threshold(
    source: Source,
    rule: str | Rule,
    bound: str = "wilson",
    prevalence: float | None = None,
    split: str = "",
    by: str = "",
    aggregation: str = "",
    data: str = "",
    progress: Callable[[int, int, str], None] | None = None,
) -> ChosenThreshold:
    """The threshold that a rule picks on one split of a source, with its figures. An infeasible rule is an answer.

    split: by default tune, else valid. aggregation: by default the source's own. data: by default the source's data
    set; a checkpoint without one is read by the scores it carries.
    """
    rule = parse_rule(rule)
    frame, used = split_scores(source, data, split, progress, CHOICE_SPLITS)
    aggregation = aggregation or own_aggregation(frame)
    studies = study_table(frame, aggregation)
    choice = choose(studies, rule, bound, prevalence)
    facts = {"name": source.name, "reference": source.reference, "split": used, "aggregation": aggregation}
    facts |= choice_facts(studies, choice, rule, bound, prevalence, by or None)
    facts["threshold_given"] = (
        threshold_in_file(frame, studies, choice.threshold) if source.kind == "imported" else None
    )
    threshold = float(choice.threshold) if math.isfinite(choice.threshold) else DEFAULT_THRESHOLD
    view = View(source, used, aggregation=aggregation, threshold=threshold)
    return ChosenThreshold(view, frame, studies, choice, rule.text, prevalence, facts)
