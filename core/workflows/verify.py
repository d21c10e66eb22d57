"""A locked point read on other studies than it was chosen on, both sets of figures side by side. No torch."""

from collections.abc import Callable

from core.errors import OverreadError
from core.metrics.counts import counts_table
from core.metrics.studies import labelled, study_table
from core.metrics.thresholds.search import figures_at, two_thresholds
from core.scores.lookup import scores_for
from core.scores.operating_points import (
    check_applies,
    check_fresh,
    find_point,
    looks_sentence,
    precision_of,
    record_look,
)
from core.scores.patient_overlap import shared_patients, shared_sentence, split_rows
from core.scores.source import Source


def verify(
    scored: Source,
    split: str = "",
    wanted: str = "latest",
    data: str = "",
    aggregation: str = "",
    progress: Callable[[int, int, str], None] | None = None,
) -> dict:
    """point, chosen (figures at choice), verified (figures on the other split), what earlier looks there were, and
    shared_patients: how many of its patients also stand in the split of choice (None: not known), with a sentence.

    Each call is a look at that split, and is kept. OverreadError where the point was not made for these scores, or the
    studies are those it was chosen on.
    """
    point = find_point(scored, wanted)
    check_applies(point, scored, aggregation)
    frame, used = scores_for(scored, data, split, progress)
    check_applies(point, scored, aggregation, precision_of(scored, frame))
    dataset = str(frame["dataset"].iloc[0])
    studies = study_table(frame, point.aggregation)
    check_fresh(point, dataset, used, studies)
    known = labelled(studies)
    if known.empty:
        raise OverreadError(f"No study of the split {used} has a label, so the point cannot be verified on it.")
    counts = counts_table(known["score"], known["label"])
    verified = {"split": used, "dataset": dataset} | figures_at(counts, point.threshold, point.prevalence, point.bound)
    verified["n_unknown"] = len(studies) - len(known)
    if point.threshold_high is not None:
        verified["at_high"] = figures_at(counts, point.threshold_high, point.prevalence, point.bound)
        for name, share in two_thresholds(counts, point.threshold, point.threshold_high).items():
            verified |= {name: share.value, f"{name}_low": share.low, f"{name}_high": share.high}
    of_chosen = split_rows(scored, point.dataset, point.split) if point.dataset == dataset else None
    shared = shared_patients(of_chosen, studies)
    earlier = record_look(scored, point, dataset, used)
    return {
        "reference": scored.reference,
        "point": {"id": point.id, "hash": point.hash, "threshold": point.threshold, "rule": point.rule,
                  "threshold_high": point.threshold_high, "aggregation": point.aggregation, "split": point.split,
                  "author": point.author, "date": point.date, "note": point.note},
        "chosen": {"split": point.split, "dataset": point.dataset, **point.figures},
        "verified": verified,
        "looks_before": len(earlier),
        "first_look": earlier[0]["date"] if earlier else None,
        "looked_at": looks_sentence(used, earlier),
        "shared_patients": shared,
        "shared": shared_sentence(shared, studies["group_id"].nunique(), point.split, used),
    }  # fmt: skip
