"""Two models compared on the same studies: their ranking once, then their calls at each pair of thresholds."""

from dataclasses import dataclass, replace

import pandas as pd

from core.errors import OverreadError
from core.metrics.compare import (
    MatchedStudies,
    calling_facts,
    discordant_table,
    equally_sensitive_threshold,
    group_differences,
    match_studies,
    ranking_facts,
)
from core.metrics.ranking import precision_recall_table, roc_table
from core.metrics.threshold_grid import ThresholdGrid, grid_counts
from core.scores.imports import ImportedScores
from core.scores.source import Source
from core.scores.threshold_in_use import point_in_use
from core.scores.view import View
from core.workflows.compare import half_for_comparing
from dashboard.shared import loaders
from dashboard.shared.cache import cached_data, cached_resource
from dashboard.shared.study_tables import tables


@dataclass(frozen=True)
class Pair:
    """Both models on the studies they share: figures of their ranking, ROC and precision-recall of each, thinned."""

    matched: MatchedStudies
    ranking: dict
    roc: tuple[pd.DataFrame, pd.DataFrame]
    precision_recall: tuple[pd.DataFrame, pd.DataFrame]


@dataclass(frozen=True)
class Called:
    """Both models at their thresholds: facts of all studies, a row per bone, and the studies whose outcome changes."""

    facts: dict
    bones: pd.DataFrame
    changed: pd.DataFrame


def other_sources(source: Source) -> dict[str, Source]:
    """The sources that one can be compared with, by name.

    They are the others of its data set. Imported scores without a data set are compared with other such scores, first
    those that seem to be of the same studies.
    """
    if source.dataset.kind != "scores":
        return {name: found for name, found in loaders.sources(source.dataset).items() if name != source.name}
    sets = [dataset for name, dataset in loaders.scores_only().items() if name != source.data]
    named = {name: found for dataset in sets for name, found in loaders.sources(dataset).items()}
    return dict(sorted(named.items(), key=lambda item: _unlike(source.model, item[1].model)))


def _unlike(one: ImportedScores, other: ImportedScores) -> tuple[bool, bool]:
    """Sorts scores of the same file first, then those of as many rows and studies in the same splits."""
    sizes = [(found.rows, found.studies, found.splits) for found in (one, other)]
    return one.source_hash != other.source_hash, sizes[0] != sizes[1]


def half_for_verifying(view: View, other: Source) -> str:
    """The half of the view's split for verifying, where a point in use was chosen on the other half; else ''.

    The first source's point counts where its threshold is used; the second's always, since it is the default.
    """
    points = []
    for source in (view.source, other):
        try:
            points.append(point_in_use(source, source.dataset.reference if source.dataset else ""))
        except OverreadError:
            points.append(None)  # a damaged list is reported where the points are shown
    if points[0] and points[0].threshold != view.threshold:
        points[0] = None
    return half_for_comparing((view.source, other), points, view.split)


def pair(view: View, other: Source) -> Pair | None:
    """None where the second has not scored this split."""
    return _pair(view.cohort, other)


@cached_resource(max_entries=3, show_spinner="Comparing the two models")
def _pair(cohort: View, other: Source) -> Pair | None:
    first, second = tables(cohort), tables(replace(cohort, source=other))
    if first is None or second is None:
        return None
    matched = match_studies(first.studies, second.studies)
    thin = [
        _counts(
            grid_counts(matched.studies[["bone", "label", f"score_{side}"]].rename(columns={f"score_{side}": "score"}))
        )
        for side in "ab"
    ]
    return Pair(
        matched,
        ranking_facts(matched.studies),
        tuple(roc_table(counts) for counts in thin),
        tuple(precision_recall_table(counts) for counts in thin),
    )


@cached_resource(max_entries=4)
def called(view: View, other: Source, other_threshold: float) -> Called:
    """Everything that depends on the thresholds."""
    found = _pair(view.cohort, other)
    studies, threshold = found.matched.studies, view.threshold
    return Called(
        calling_facts(studies, threshold, other_threshold) | found.ranking,
        group_differences(studies, threshold, other_threshold),
        discordant_table(studies, threshold, other_threshold),
    )


@cached_data(max_entries=64)
def equally_sensitive(view: View, other: Source) -> float:
    """The highest threshold at which the second finds as many abnormal studies as the first does at its own."""
    return equally_sensitive_threshold(_pair(view.cohort, other).matched.studies, view.threshold)


def _counts(grid: ThresholdGrid) -> pd.DataFrame:
    # The curve of a million scores is drawn from a thousand of its points, each of them exact.
    tp, fp = grid.tp.sum(axis=0), grid.fp.sum(axis=0)
    return pd.DataFrame({"threshold": grid.thresholds, "tp": tp, "fp": fp, "tn": fp[-1] - fp, "fn": tp[-1] - tp})
