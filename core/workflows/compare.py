"""Compare two sources of scores on the same studies, each at its own threshold. No torch."""

from collections.abc import Callable
from dataclasses import dataclass

from core.errors import OverreadError
from core.metrics.compare import MatchedStudies, compare, discordant_table, match_studies
from core.metrics.studies import own_aggregation, study_table
from core.scores.loading import split_scores
from core.scores.operating_points import check_applies, read_points
from core.scores.source import Source
from core.scores.view import DEFAULT_THRESHOLD


@dataclass(frozen=True)
class Side:
    """One of the two sources, with its threshold; without one, the latest locked threshold is taken, else 0.5."""

    source: Source
    threshold: float | None = None


def locked_threshold(source: Source, aggregation: str = "") -> tuple[float, str]:
    """The latest locked threshold of a source, and a few words on where it is from; 0.5 where nothing is locked.

    OverreadError where the operating point has two thresholds, or was locked for another aggregation.
    """
    points = read_points(source)
    if not points:
        return DEFAULT_THRESHOLD, f"nothing is locked, so {DEFAULT_THRESHOLD:g}"
    point = points[-1]
    check_applies(point, source, aggregation)
    if point.threshold_high is not None:
        raise OverreadError(
            f"The operating point {point.id} of {source.name} has two thresholds ({point.threshold:g} and "
            f"{point.threshold_high:g}), and a comparison needs one. State it with --threshold-a or --threshold-b.",
            code="two-thresholds",
        )
    return point.threshold, f"locked as {point.id} on {point.split} of {point.dataset.rsplit('@', 1)[0]}"


def match_sources(
    a: Source,
    b: Source,
    split: str = "",
    data: str = "",
    aggregation: str = "",
    progress: Callable[[int, int, str], None] | None = None,
) -> tuple[MatchedStudies, str, list[str]]:
    """The studies of one split that both sources scored, the name of the split, and the aggregation of each.

    OverreadError for scores of two data sets.
    """
    data = data or next((source.belongs_to.rsplit("@", 1)[0] for source in (a, b) if source.belongs_to), "")
    frames, used = [], split
    for source in (a, b):
        # Imported scores without a data set are matched by the names of their studies alone.
        of_data = source.kind == "checkpoint" or bool(source.belongs_to)
        frame, used = split_scores(source, data if of_data else "", used, progress)
        frames.append(frame)
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
    return match_studies(*(study_table(frame, way) for frame, way in zip(frames, aggregations))), used, aggregations


def compare_sources(
    a: Side,
    b: Side,
    split: str = "",
    by: str | None = None,
    data: str = "",
    aggregation: str = "",
    progress: Callable[[int, int, str], None] | None = None,
) -> dict:
    """`metrics.compare.compare` of two sources, with their names, their thresholds and where these are from, and
    `discordant`: a row for each study that only one of them classifies correctly."""
    if (a.source.kind, a.source.digest) == (b.source.kind, b.source.digest):
        raise OverreadError(
            f"{a.source.name} and {b.source.name} are the same scores; name two models to compare.", code="same-scores"
        )
    used = {}
    for name, side in (("a", a), ("b", b)):
        stated = side.threshold is not None
        threshold, origin = (side.threshold, "stated") if stated else locked_threshold(side.source, aggregation)
        used[name] = {
            "name": side.source.name,
            "reference": side.source.reference,
            "threshold": threshold,
            "threshold_from": origin,
        }
    matched, used_split, aggregations = match_sources(a.source, b.source, split, data, aggregation, progress)
    thresholds = used["a"]["threshold"], used["b"]["threshold"]
    return {
        **used,
        "split": used_split,
        "aggregation": " and ".join(dict.fromkeys(aggregations)),
        **compare(matched, *thresholds, by),
        "discordant": discordant_table(matched.studies, *thresholds).to_dict("records"),
    }
