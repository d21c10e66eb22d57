"""Whether an operating point may be used for these scores, and verified on these studies. No torch."""

import pandas as pd

from core.data.references import same_content
from core.errors import OverreadError
from core.scores.halves import DataSplit
from core.scores.operating_points import OperatingPoint, check_standing, studies_hash
from core.scores.source import Source


def check_applies(point: OperatingPoint, source: Source, aggregation: str = "", precision: str = "") -> None:
    """OverreadError where a point was withdrawn, or locked for other scores, aggregation or precision."""
    check_standing(point)
    if point.digest != source.digest:
        raise OverreadError(
            f"The operating point {point.id} was locked for {point.reference}, not for {source.reference}: these are "
            "other weights or scores. Choose a threshold for them and lock it.",
            code="point-of-other-scores",
        )
    if aggregation and aggregation != point.aggregation:
        raise OverreadError(
            f"The operating point {point.id} was locked for studies scored by {point.aggregation}, not by "
            f"{aggregation}; use --aggregation {point.aggregation}, or lock one for {aggregation}.",
            code="point-of-other-aggregation",
        )
    if precision and "unknown" not in (precision, point.precision) and precision != point.precision:
        raise OverreadError(
            f"The operating point {point.id} was chosen on scores computed in {point.precision}, and these are in "
            f"{precision}, which can differ in the third digit; score on a device with {point.precision} "
            "(--device cpu gives float32).",
            code="point-of-other-precision",
        )


def check_fresh(point: OperatingPoint, on: DataSplit, studies: pd.DataFrame) -> None:
    """OverreadError where a verification would use the very studies that the point was chosen on."""
    if point.chosen_on.overlaps(on) or studies_hash(studies) == point.studies_hash:
        part = "" if on.split == point.split else f", which shares studies with {on.split}"
        if not same_content(point.dataset, on.dataset):
            part = f", and {on.split} of {on.dataset} may have the same studies"
        raise OverreadError(
            f"The operating point {point.id} was chosen on the split {point.split} of {point.dataset}{part}: its "
            "figures there are too good (Leeflang 2008). Verify it on other studies, with --split or --data.",
            code="verified-on-own-split",
        )
