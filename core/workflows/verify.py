"""Verify a locked operating point on studies it was not chosen on: both sets of figures side by side. No torch."""

from collections.abc import Callable
from functools import partial

import pandas as pd

from core.data.index import Dataset
from core.data.references import may_share_studies
from core.errors import OverreadError
from core.metrics.counts import counts_table
from core.metrics.studies import labelled, study_table
from core.metrics.thresholds import figures_at, held_sentences, parse_rule, two_thresholds
from core.scores.halves import DataSplit, splits_for_verifying
from core.scores.json_values import json_values
from core.scores.loading import split_for_evaluation, split_scores
from core.scores.operating_point_checks import check_applies, check_fresh
from core.scores.operating_points import OperatingPoint, find_point, precision_of
from core.scores.patient_overlap import rows_of_split, shared_patients, shared_sentence
from core.scores.source import Source
from core.scores.verification_log import record_verification, verified_before_sentence


def verify(
    source: Source,
    split: str = "",
    wanted: str = "latest",
    aggregation: str = "",
    progress: Callable[[int, int, str], None] | None = None,
) -> dict:
    """point; chosen and verified (figures on either split); held (in words, whether its rule holds); looks_before (how
    often the split was used before); shared_patients (how many of its patients are also in the split for choosing; None
    where that is not known).

    Each call is recorded as one more use of the split. OverreadError where the point was locked for other scores, or
    the studies are those it was chosen on. split: by default the best of `splits_for_verifying`.
    """
    point = find_point(source, wanted)
    check_applies(point, source, aggregation)
    frame, used = split_scores(
        source, split=split, progress=progress, default=partial(_default_split, point, source.dataset)
    )
    check_applies(point, source, aggregation, precision_of(source, frame))
    on = DataSplit(str(frame["dataset"].iloc[0]), used)
    studies = study_table(frame, point.aggregation)
    check_fresh(point, on, studies)
    known = labelled(studies)
    if known.empty:
        raise OverreadError(
            f"No study of the split {used} has a label, so the operating point cannot be verified on it.",
            code="split-without-labels",
        )
    counts = counts_table(known["score"], known["label"])
    verified: dict = {"split": on.split, "dataset": on.dataset}
    verified |= figures_at(counts, point.threshold, point.prevalence, point.bound)
    verified["n_unknown"] = len(studies) - len(known)
    if point.threshold_high is not None:
        verified["at_high"] = figures_at(counts, point.threshold_high, point.prevalence, point.bound)
        for name, share in two_thresholds(counts, point.threshold, point.threshold_high).items():
            verified |= {name: share.value, f"{name}_low": share.low, f"{name}_high": share.high}
    chosen_rows = rows_of_split(source, point.chosen_on) if may_share_studies(point.dataset, on.dataset) else None
    shared = shared_patients(chosen_rows, studies)
    figures = {name: value for name, value in verified.items() if name not in ("split", "dataset")}
    earlier = record_verification(source, point.id, on, json_values(figures))
    return {
        "reference": source.reference,
        "point": {"id": point.id, "hash": point.hash, "threshold": point.threshold, "rule": point.rule,
                  "threshold_high": point.threshold_high, "aggregation": point.aggregation, "split": point.split,
                  "author": point.author, "date": point.date, "note": point.note},
        "chosen": {"split": point.split, "dataset": point.dataset, **point.figures},
        "verified": verified,
        "held": held_by(point, verified),
        "looks_before": len(earlier),
        "first_look": earlier[0]["date"] if earlier else None,
        "looked_at": verified_before_sentence(used, earlier),
        "shared_patients": shared,
        "shared": shared_sentence(shared, studies["group_id"].nunique(), point.chosen_on, on),
    }  # fmt: skip


def held_by(point: OperatingPoint, verified: dict) -> list[str]:
    """In words, whether the rule of a point holds at the figures of a verification; see `held_sentences`."""
    try:
        rule = parse_rule(point.rule)
    except OverreadError as error:
        return [f"Whether the rule of this point holds is not known. {error}"]
    return held_sentences(rule, verified, point.bound, verified.get("at_high"))


def _default_split(point: OperatingPoint, dataset: Dataset | None, rows: pd.DataFrame) -> str:
    """The split on which a point is verified if none is named. On another data set than its own, any split is fresh."""
    if dataset and not may_share_studies(dataset.reference, point.dataset):
        return split_for_evaluation(rows)
    return next(iter(splits_for_verifying(point.split, rows["split"])), split_for_evaluation(rows))
