"""Two sources of scores on the same studies, each at its own threshold. No torch."""

from collections.abc import Callable

from core.errors import OverreadError
from core.metrics.compare import MatchedStudies, compare, discordant_table, match_studies
from core.metrics.studies import own_aggregation, study_table
from core.scores.loading import split_scores
from core.scores.operating_points import check_applies, read_points
from core.scores.source import Source


def own_threshold(scored: Source, aggregation: str = "") -> tuple[float, str]:
    """The latest locked threshold of these scores and which it is; .5 where nothing is locked.

    OverreadError where the point has two thresholds, or was locked for another aggregation.
    """
    points = read_points(scored)
    if not points:
        return 0.5, "nothing is locked, so 0.5"
    point = points[-1]
    check_applies(point, scored, aggregation)
    if point.threshold_high is not None:
        raise OverreadError(
            f"The operating point {point.id} of {scored.name} has two thresholds ({point.threshold:g} and "
            f"{point.threshold_high:g}), and a comparison needs one; state it."
        )
    return point.threshold, f"locked as {point.id}"


def matched_scores(
    a: Source,
    b: Source,
    split: str = "",
    data: str = "",
    aggregation: str = "",
    progress: Callable[[int, int, str], None] | None = None,
) -> tuple[MatchedStudies, str, list[str]]:
    """The studies of one split that both scored, the split's name, and how each becomes a study's score (by default
    its own way). OverreadError for scores of two data sets."""
    data = data or next((one.belongs_to.rsplit("@", 1)[0] for one in (a, b) if one.belongs_to), "")
    frames, used = [], split
    for one in (a, b):
        # Scores of no data set are matched by the names of their studies alone.
        of = data if one.kind == "checkpoint" or one.belongs_to else ""
        frame, used = split_scores(one, of, used, progress)
        frames.append(frame)
    of_data = [
        str(frame["dataset"].iloc[0])
        for one, frame in zip((a, b), frames)
        if one.kind == "checkpoint" or one.belongs_to
    ]
    if len(set(of_data)) > 1:
        raise OverreadError(
            f"{a.name} was scored on {of_data[0]} and {b.name} on {of_data[1]}; name one for both, with --data."
        )
    read_by = [aggregation or own_aggregation(frame) for frame in frames]
    return match_studies(*(study_table(frame, way) for frame, way in zip(frames, read_by))), used, read_by


def compare_scored(
    a: Source,
    b: Source,
    threshold_a: float | None = None,
    threshold_b: float | None = None,
    split: str = "",
    by: str | None = None,
    data: str = "",
    aggregation: str = "",
    progress: Callable[[int, int, str], None] | None = None,
) -> dict:
    """`metrics.compare.compare` of two sources, with who they are, where each threshold is from, and `discordant`: a
    row for each study that only one of them calls right."""
    if (a.kind, a.digest) == (b.kind, b.digest):
        raise OverreadError(f"{a.name} and {b.name} are the same scores; name two models to compare.")
    stated, own = (threshold_a, threshold_b), []
    for one, threshold in zip((a, b), stated):
        own.append((threshold, "stated") if threshold is not None else own_threshold(one, aggregation))
    matched, used, read_by = matched_scores(a, b, split, data, aggregation, progress)
    facts = compare(matched, own[0][0], own[1][0], by)
    rows = discordant_table(matched.studies, own[0][0], own[1][0])
    return {
        "a": {"name": a.name, "reference": a.reference, "threshold": own[0][0], "threshold_from": own[0][1]},
        "b": {"name": b.name, "reference": b.reference, "threshold": own[1][0], "threshold_from": own[1][1]},
        "split": used, "aggregation": " and ".join(dict.fromkeys(read_by)), **facts,
        "discordant": rows.to_dict("records"),
    }  # fmt: skip
