"""Which radiographs of a data set are sampled to check maps on. Imports no torch."""

from dataclasses import dataclass

import pandas as pd

from core.among import among
from core.data.abnormality_masks import AbnormalityMasks
from core.data.index import Dataset, read_index
from core.data.label_levels import IMAGE_LABEL, known_image_labels
from core.errors import OverreadError
from core.metrics.radiographs import driving_views, mixed_studies

FINDING, VIEW = "finding", "view"


@dataclass(frozen=True)
class TrustSample:
    """The split and number of sampled radiographs, and the saliency methods that are checked on them.

    truth: '' samples any radiographs, half of them abnormal; FINDING abnormal ones whose finding is known; VIEW the
    view that drives the score of each study which has a normal and an abnormal view.
    """

    split: str
    count: int
    methods: tuple[str, ...]
    truth: str = ""


def known_truth(dataset: Dataset) -> str:
    """FINDING where the places of findings are known, VIEW where only the truth of each view is.

    OverreadError where neither is known.
    """
    if AbnormalityMasks.of(dataset).image_ids():
        return FINDING
    if IMAGE_LABEL in read_index(dataset.name):
        return VIEW
    raise OverreadError(
        f"{dataset.name} has no masks of findings and no truth of single views, so it is not known where a map should "
        "point. Index it with --truth-column, or name another data set.",
        code="truth-unknown",
    )


def rows_with_truth(scores: pd.DataFrame, dataset: Dataset, truth: str) -> pd.DataFrame:
    """The rows of PREDICTIONS that `truth` of a TrustSample samples from.

    With VIEW also `right`, whether the view is abnormal, and `chance`, the share of abnormal views in its study.
    """
    if truth == FINDING:
        known = among(scores["image_id"], AbnormalityMasks.of(dataset).image_ids())
        return scores[known & (scores["label"] == 1)]
    if truth == VIEW:
        index = read_index(dataset.name).set_index("image_id")
        views = scores["image_id"].map(pd.Series(known_image_labels(index[IMAGE_LABEL]), index.index))
        scores = scores.assign(right=views, chance=views.groupby(scores["study_id"]).transform("mean"))
        mixed = mixed_studies(scores, views.to_numpy(float))
        scores = scores[mixed & (scores["label"] == 1).to_numpy()]
        return scores.iloc[driving_views(scores)] if len(scores) else scores
    return scores
