"""The threshold that commands and pages use where none is stated, and the words that say which. No torch."""

from dataclasses import dataclass

from core.data.references import may_share_studies, name_in, same_content
from core.scores.halves import DataSplit
from core.scores.operating_points import OperatingPoint, usable_points
from core.scores.source import Source
from core.scores.view import DEFAULT_THRESHOLD


@dataclass(frozen=True)
class ThresholdInUse:
    """A threshold and where it is from: an operating point, or none. words: a phrase that follows the threshold."""

    threshold: float
    point: OperatingPoint | None
    words: str


def point_in_use(source: Source, reference: str = "", aggregation: str = "") -> OperatingPoint | None:
    """The latest operating point of these weights: of this data set (`name@hash8`) if it has one, else of another.

    None where none is locked. OverreadError where the list was altered.
    """
    points = [point for point in usable_points(source) if point.digest == source.digest]
    points = [point for point in points if aggregation in ("", point.aggregation)]
    here = [point for point in points if not reference or same_content(point.dataset, reference)]
    return next(iter(reversed(here or points)), None)


def threshold_in_use(source: Source, reference: str = "", split: str = "", aggregation: str = "") -> ThresholdInUse:
    """The threshold of `point_in_use`, else 0.5, also where the point has two thresholds.

    reference, split: where it is used, for the words.
    """
    point = point_in_use(source, reference, aggregation)
    if point is None:
        what = f" for studies scored by {aggregation}" if aggregation and usable_points(source) else ""
        return ThresholdInUse(DEFAULT_THRESHOLD, None, f"nothing is locked{what}, so {DEFAULT_THRESHOLD:g}")
    if point.threshold_high is not None:
        why = f"operating point {point.id} has two thresholds, so {DEFAULT_THRESHOLD:g}"
        return ThresholdInUse(DEFAULT_THRESHOLD, point, why)
    words = f"operating point {point.id}, chosen on {point.split} of {name_in(point.dataset)}"
    if reference and not same_content(point.dataset, reference):
        related = may_share_studies(point.dataset, reference)
        words += " in another version" if related else ", which is another data set"
    if split and point.chosen_on.overlaps(DataSplit(reference or point.dataset, split)):
        words += ", so the figures here are too good"
    return ThresholdInUse(point.threshold, point, words)
