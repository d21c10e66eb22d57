"""What the compare page reads: two models put beside each other once, then called at their thresholds.

Resources, shared and never copied, as in `loaders.thresholds`: nobody may change what these return.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import streamlit as st

from core.data.index import Dataset
from core.metrics.compare import (
    MatchedStudies,
    calling_facts,
    discordant_table,
    group_differences,
    match_studies,
    ranking_facts,
)
from core.metrics.ranking import precision_recall_table, roc_table
from core.metrics.threshold_grid import ThresholdGrid, grid_counts
from core.models.checkpoint import Checkpoint
from core.scores.imports import Imported
from dashboard.shared import loaders
from dashboard.shared.selection import Selection
from dashboard.shared.study_tables import _key, tables

Source = Checkpoint | Imported


@dataclass(frozen=True)
class Pair:
    """Both models on the studies they share: what their ranking says, and ROC and precision-recall of each, thinned."""

    matched: MatchedStudies
    ranking: dict
    roc: tuple[pd.DataFrame, pd.DataFrame]
    precision_recall: tuple[pd.DataFrame, pd.DataFrame]


@dataclass(frozen=True)
class Called:
    """Both at their thresholds: facts of all studies, a row a bone, and the studies that change."""

    facts: dict
    bones: pd.DataFrame
    changed: pd.DataFrame


def others(dataset: Dataset, source: Source) -> dict[str, tuple[Dataset, Source]]:
    """What a model can be compared with, by name: others of its data set, or other imported scores without one, first
    those that look as if they were of the same studies."""
    if dataset.kind != "scores":
        return {name: (dataset, found) for name, found in loaders.sources(dataset).items() if name != source.name}
    alike = {name: found for name, found in loaders.scores_only().items() if name != dataset.name}
    named = {next(iter(loaders.sources(found))): (found, *loaders.sources(found).values()) for found in alike.values()}
    return dict(sorted(named.items(), key=lambda item: _unlike(source, item[1][1])))


def _unlike(one: Imported, other: Imported) -> tuple[bool, bool]:
    """Sorts scores of the same file first, then those of as many rows and studies in the same splits."""
    sizes = [(found.rows, found.studies, found.splits) for found in (one, other)]
    return one.source_hash != other.source_hash, sizes[0] != sizes[1]


def pair(one: tuple[Dataset, Source], other: tuple[Dataset, Source], split: str, bone: str) -> Pair | None:
    """None where the second has not scored this split."""
    return _pair(_key(*one), _key(*other), split, bone, one, other)


def called(
    one: tuple[Dataset, Source],
    other: tuple[Dataset, Source],
    split: str,
    bone: str,
    threshold: float,
    other_threshold: float,
) -> Called:
    """Everything that depends on the thresholds."""
    return _called(_key(*one), _key(*other), split, bone, threshold, other_threshold, one, other)


def as_sensitive(one: tuple[Dataset, Source], other: tuple[Dataset, Source], chosen: Selection) -> float:
    """The highest threshold at which the second finds as many abnormal studies as the first does at its own."""
    return _alike(_key(*one), _key(*other), chosen.split, chosen.one_bone, chosen.threshold, one, other)


@st.cache_resource(max_entries=3, show_spinner="Putting the two beside each other")
def _pair(key_one, key_other, split, bone, _one, _other) -> Pair | None:
    read = tables(*_one, split, bone), tables(*_other, split, bone)
    if None in read:
        return None
    matched = match_studies(*(found.studies for found in read))
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


@st.cache_resource(max_entries=4, show_spinner=False)
def _called(key_one, key_other, split, bone, threshold, other_threshold, _one, _other) -> Called:
    found = _pair(key_one, key_other, split, bone, _one, _other)
    studies = found.matched.studies
    return Called(
        calling_facts(studies, threshold, other_threshold) | found.ranking,
        group_differences(studies, threshold, other_threshold),
        discordant_table(studies, threshold, other_threshold),
    )


@st.cache_data(max_entries=64, show_spinner=False)
def _alike(key_one, key_other, split, bone, threshold, _one, _other) -> float:
    studies = _pair(key_one, key_other, split, bone, _one, _other).matched.studies
    abnormal = studies[studies["label"] == 1]
    wanted = int((abnormal["score_a"] >= threshold).sum())
    # None to be found: any threshold above the highest score is as sensitive.
    return float(np.sort(abnormal["score_b"])[-wanted]) if wanted else np.inf


def _counts(grid: ThresholdGrid) -> pd.DataFrame:
    # A curve of a million scores is drawn by a thousand of its points, each of them exact.
    tp, fp = grid.tp.sum(axis=0), grid.fp.sum(axis=0)
    return pd.DataFrame({"threshold": grid.thresholds, "tp": tp, "fp": fp, "tn": fp[-1] - fp, "fn": tp[-1] - tp})
