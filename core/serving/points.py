"""The locked operating points that a reader applies, pinned when it starts and checked again when their file changes.

A point that was altered or withdrawn since is never applied: the answer then has no decision and says why.
"""

from collections.abc import Sequence

from core.data.references import name_in
from core.errors import OverreadError
from core.metrics.thresholds import NONE
from core.plural import count_text
from core.scores.operating_point_checks import check_applies
from core.scores.operating_points import OperatingPoint, find_point, usable_points
from core.scores.source import Source
from core.serving.answers import Thresholds

LATEST, NO_POINT = "latest", "none"


def find_thresholds(source: Source, wanted: Sequence[str] = (LATEST,), precision: str = "") -> Thresholds:
    """The thresholds of one or two operating points of a source.

    wanted: ids, 'latest', or 'none' for scores without decisions. Two points, each with one threshold, refer the
    studies between them. Without a locked point 'latest' gives scores and says why no decision can be given.
    OverreadError where a named point does not exist or does not apply, or the file was altered.
    """
    wanted = tuple(wanted) or (LATEST,)
    if wanted == (NO_POINT,):
        return Thresholds(unavailable="No decision was asked for.")
    if wanted == (LATEST,) and not usable_points(source):
        return Thresholds(unavailable=f"No operating point is locked for {source.name}, so no decision can be given.")
    if len(wanted) > 2:
        raise OverreadError(
            f"{count_text(len(wanted), 'operating point')} were named; expected one, or two that refer the studies "
            f"between them.",
            code="points-too-many",
        )
    points = tuple(find_point(source, name) for name in wanted)
    for point in points:
        check_applies(point, source, precision=precision)
    if len(points) == 2:
        _check_pair(*points)
    edges = sorted(
        {value for point in points for value in (point.threshold, point.threshold_high) if value is not None}
    )
    guarantee = " ".join(guarantee_text(point) for point in points)
    return Thresholds(points, edges[0], edges[-1], points[0].aggregation, guarantee)


def _check_pair(first: OperatingPoint, second: OperatingPoint) -> None:
    if first.threshold_high is not None or second.threshold_high is not None:
        raise OverreadError(
            f"The operating points {first.id} and {second.id} cannot be combined: one of them has two thresholds "
            "already. Name that one alone.",
            code="points-not-combinable",
        )
    if first.aggregation != second.aggregation:
        raise OverreadError(
            f"The operating points {first.id} ({first.aggregation}) and {second.id} ({second.aggregation}) were "
            "locked for different aggregations; expected the same.",
            code="points-not-combinable",
        )


def guarantee_text(point: OperatingPoint) -> str:
    """The figures on the studies that the point was chosen on, in words. Never more than was shown there."""
    figures, parts = point.figures, []
    for name in ("sensitivity", "specificity"):
        value, low, high = (figures.get(key) for key in (name, f"{name}_low", f"{name}_high"))
        if value is not None:
            interval = "too few studies for an interval" if low is None or high is None else f"{low:.1%} to {high:.1%}"
            parts.append(f"{name} {value:.1%} ({interval})")
    count = count_text(int(figures.get("n") or 0), "study")
    held = "The rule uses no interval." if point.bound == NONE else f"It was met by the {point.bound} bound."
    return (
        f"The rule {point.rule} chose the threshold on {count} of {name_in(point.dataset)}, split {point.split}: "
        f"{', '.join(parts) or 'no figures were kept'}. {held} Figures on other studies may differ."
    )
