"""Compare two sources of scores on the same studies, each at its own threshold. No torch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

from core.data.datasets import read_dataset
from core.data.references import may_share_studies, name_in
from core.errors import OverreadError
from core.metrics.compare import MatchedStudies, compare, discordant_table, match_studies
from core.metrics.studies import own_aggregation, study_table
from core.scores.halves import halves_of, whole_of
from core.scores.loading import require_matched, split_for_evaluation, split_scores
from core.scores.operating_points import OperatingPoint
from core.scores.source import Source, find_source, source_of
from core.scores.threshold_in_use import point_in_use, threshold_in_use


@dataclass(frozen=True)
class Side:
    """One of the two sources, with its threshold; without one, `threshold_in_use` says which is taken."""

    source: Source
    threshold: float | None = None


def find_pair(a: str, b: str, data: str = "") -> tuple[Source, Source]:
    """The sources of two names, each checkpoint on one data set: the named one, else the one of the imported scores."""
    found = find_source(a), find_source(b)
    data = data or next((name_in(source.belongs_to) for source in found if source.belongs_to), "")
    dataset = read_dataset(data) if data and any(source.has_network for source in found) else None
    for source in found:
        if source.belongs_to:
            require_matched(source, data)
    first, second = (source_of(source.model, dataset) if source.has_network else source for source in found)
    return first, second


def half_for_comparing(sources: Sequence[Source], points: Sequence[OperatingPoint | None], split: str) -> str:
    """The half of a split for verifying, where a point in use was chosen on its other half; else ''.

    points: the point in use of each source. split: a whole split or its half for choosing.
    """
    halves = halves_of(whole_of(split))
    chosen = [
        point for source, point in zip(sources, points) if point and point.split == halves[0] and _is_of(source, point)
    ]
    return halves[1] if chosen and split != halves[1] else ""


def _is_of(source: Source, point: OperatingPoint) -> bool:
    reference = source.dataset.reference if source.dataset else source.belongs_to
    return source.kind == "imported" or not reference or may_share_studies(point.dataset, reference)


def half_words(split: str) -> str:
    """Why a comparison is on this half of a split, in a sentence."""
    return f"Compared on {split}: a threshold was chosen on the other half of {whole_of(split)}."


def match_sources(
    a: Source,
    b: Source,
    split: str = "",
    aggregation: str = "",
    progress: Callable[[int, int, str], None] | None = None,
    default: Callable[[pd.DataFrame], str] = split_for_evaluation,
) -> tuple[MatchedStudies, str, list[str], str]:
    """The studies of one split that both sources scored, the split, the aggregation of each, and the data set.

    The data set is `name@hash8`, '' where none is named. OverreadError for scores of two data sets.
    """
    frames, used = [], split
    for source in (a, b):
        frame, used = split_scores(source, used, progress, default)
        frames.append(frame)
    # Imported scores without a data set are matched by the names of their studies alone.
    references = [
        str(frame["dataset"].iloc[0])
        for source, frame in zip((a, b), frames)
        if source.kind == "checkpoint" or source.belongs_to
    ]
    if len(set(references)) > 1:
        raise OverreadError(
            f"{a.name} was scored on {references[0]} and {b.name} on {references[1]}; name one data set for both, "
            "with --data.",
            code="scores-of-two-datasets",
        )
    aggregations = [aggregation or own_aggregation(frame) for frame in frames]
    matched = match_studies(*(study_table(frame, way) for frame, way in zip(frames, aggregations)))
    return matched, used, aggregations, next(iter(references), "")


def compare_sources(
    a: Side,
    b: Side,
    split: str = "",
    by: str | None = None,
    aggregation: str = "",
    progress: Callable[[int, int, str], None] | None = None,
) -> dict:
    """`metrics.compare.compare` of two sources, with their names, their thresholds and where these are from, and
    `discordant`: a row for each study that only one of them classifies correctly.

    split: by default valid, or valid:verify where a threshold in use was chosen on the other half. `split_note` says
    that it was. OverreadError for one source twice, and for an operating point with two thresholds.
    """
    if (a.source.kind, a.source.digest) == (b.source.kind, b.source.digest):
        raise OverreadError(
            f"{a.source.name} and {b.source.name} are the same scores; name two models to compare.", code="same-scores"
        )
    half = ""

    def default(rows: pd.DataFrame) -> str:
        nonlocal half
        whole = split_for_evaluation(rows)
        points = [point_in_use(side.source, "", aggregation) if side.threshold is None else None for side in (a, b)]
        half = half_for_comparing([a.source, b.source], points, whole) if whole else ""
        return half or whole

    matched, used_split, aggregations, reference = match_sources(
        a.source, b.source, split, aggregation, progress, default
    )
    used: dict[str, dict] = {}
    for name, side in (("a", a), ("b", b)):
        threshold, origin, point = side.threshold, "stated", None
        if threshold is None:
            found = threshold_in_use(side.source, reference, used_split, aggregation)
            threshold, origin, point = found.threshold, found.words, found.point
            if point and point.threshold_high is not None:
                raise OverreadError(
                    f"The operating point {point.id} of {side.source.name} has two thresholds ({point.threshold:g} and "
                    f"{point.threshold_high:g}), and a comparison needs one. State it with --threshold-{name}.",
                    code="two-thresholds",
                )
        used[name] = {
            "name": side.source.name,
            "reference": side.source.reference,
            "threshold": threshold,
            "threshold_from": origin,
            "operating_point": point.id if point else None,
        }
    thresholds = used["a"]["threshold"], used["b"]["threshold"]
    return {
        **used,
        "split": used_split,
        "split_note": half_words(half) if half else "",
        "aggregation": " and ".join(dict.fromkeys(aggregations)),
        **compare(matched, *thresholds, by),
        "left_out": matched.left_out(a.source.name, b.source.name),
        "discordant": discordant_table(matched.studies, *thresholds).to_dict("records"),
    }
