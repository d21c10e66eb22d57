"""Radiographs that probably do not show what their study's label says: normal ones of abnormal studies.

Each radiograph of a study has the study's label. In a normal study all are normal. In an abnormal study at least one is
abnormal, most likely that with the highest score, so the others are the suspects, the lowest score first.
"""

import numpy as np
import pandas as pd
from scipy.special import expit

from core.errors import OverreadError
from core.metrics.radiographs import driving_views
from core.plural import count_text
from core.review.label_issues import precision_at

ORDERS = ("within_study", "score")


def rank_radiographs(predictions: pd.DataFrame, order: str = ORDERS[0]) -> pd.DataFrame:
    """The radiographs of abnormal studies by rank, from 1: `image_id`, `study_id`, `score`, `drives`, `rank`.

    predictions: scores by a network that did not learn from the radiograph; rows of the split train are left out.
    order: 'within_study' puts the highest radiograph of each study after all others, 'score' does not. OverreadError
    where no abnormal study has two scored radiographs.
    """
    if order not in ORDERS:
        raise OverreadError(
            f"The order is {order[:40]!r}; expected {' or '.join(ORDERS)} for radiographs.", code="order-unknown"
        )
    rows = predictions[(predictions["split"] != "train") & (predictions["label"] == 1)].reset_index(drop=True)
    views = rows.groupby("study_id")["image_id"].transform("size")
    rows = rows[views > 1].reset_index(drop=True)
    if rows.empty:
        raise OverreadError(
            f"None of {count_text(len(predictions), 'scored radiograph')} is of an abnormal study with several that "
            "the network did not learn from. Train with --folds, or score more studies.",
            code="no-study-of-several",
        )
    drives = np.zeros(len(rows), bool)
    # By logit, also for networks that weigh views: the question is what a radiograph shows.
    drives[driving_views(rows[["study_id", "logit"]])] = True
    score = expit(rows["logit"].to_numpy(float))
    late = drives if order == "within_study" else np.zeros(len(rows), bool)
    place = np.lexsort((rows["image_id"].to_numpy(str), score, late))
    found = rows[["image_id", "study_id"]].assign(score=score, drives=drives).iloc[place].reset_index(drop=True)
    return found.assign(rank=np.arange(1, len(found) + 1))


def hits_by_rank(ranked: pd.DataFrame, truth: pd.Series, ks=(25, 50, 100, 200)) -> pd.DataFrame:
    """`precision_at` of a ranking by the truth of each radiograph, by image_id; unknown ones are left out."""
    known = ranked["image_id"].map(truth)
    return precision_at((known.dropna() == 0).to_numpy(), ks)
