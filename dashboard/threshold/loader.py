"""Cached results of the page, one for each view."""

from core.metrics.thresholds import target_costs
from core.scores.view import View
from dashboard.shared import study_tables
from dashboard.shared.cache import cached_data


@cached_data(max_entries=32)
def costs_of_targets(cohort: View, kind: str, bound: str, prevalence: float | None) -> list[dict]:
    """The cost of each target of a rule on the studies of a view."""
    return target_costs(study_tables.tables(cohort).counts, kind, bound, prevalence)
