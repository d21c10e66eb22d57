"""Choose a threshold by a rule on one split, and lock it as an operating point. No torch for stored scores."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from core.metrics.counts import counts_at, counts_of
from core.metrics.studies import own_aggregation, study_table
from core.metrics.thresholds import Rule, choice_facts, choose, cost_sentence, parse_rule, too_costly
from core.scores.halves import split_for_choosing
from core.scores.imports import threshold_in_file
from core.scores.loading import split_scores
from core.scores.operating_points import ChosenThreshold
from core.scores.view import DEFAULT_THRESHOLD, View


@dataclass(frozen=True)
class Criterion:
    """The rule by which a threshold is chosen, the bound that must meet its target, and the prevalence of its use.

    prevalence: None for that of the studies. by: also choose for each group of this column, such as 'bone'.
    """

    rule: str | Rule
    bound: str = "wilson"
    prevalence: float | None = None
    by: str = ""


def choose_threshold(
    view: View, criterion: Criterion, progress: Callable[[int, int, str], None] | None = None
) -> ChosenThreshold:
    """The threshold that a criterion picks in a view, with its figures. An infeasible rule is an answer, not an error.

    Every bone counts, and the view's own threshold does not matter. Its split is by default the one for choosing
    (`core.scores.halves`); its aggregation by default the source's own.
    """
    rule, source, prevalence = parse_rule(criterion.rule), view.source, criterion.prevalence
    frame, used = split_scores(source, split=view.split, progress=progress, default=split_for_choosing)
    aggregation = view.aggregation or own_aggregation(frame)
    studies = study_table(frame, aggregation)
    choice = choose(studies, rule, criterion.bound, prevalence)
    facts: dict = {"name": source.name, "reference": source.reference, "split": used, "aggregation": aggregation}
    facts |= choice_facts(studies, choice, rule, criterion.bound, prevalence, criterion.by or None)
    facts["threshold_given"] = (
        threshold_in_file(frame, studies, choice.threshold) if source.kind == "imported" else None
    )
    counts = counts_of(studies)
    facts["cost_in_words"] = cost_sentence(counts_at(counts, choice.threshold), prevalence) if choice.feasible else ""
    facts["warning"] = too_costly(counts, rule, choice)
    threshold = float(choice.threshold) if math.isfinite(choice.threshold) else DEFAULT_THRESHOLD
    chosen = View(source, used, aggregation=aggregation, threshold=threshold)
    return ChosenThreshold(chosen, frame, studies, choice, rule.text, prevalence, facts)
