"""Histograms of study scores by label, on the probability or the log-odds axis."""

import numpy as np
import pandas as pd
from scipy.special import expit, logit

BINS = 60
# Scores beyond these log-odds (about a millionth) share the end bins.
FARTHEST = 13.8


def score_histogram(studies: pd.DataFrame, axis: str, bins: int = BINS) -> dict:
    """Abnormal and normal studies in each bin of labelled STUDIES: axis, edges (scores, ascending), abnormal, normal.

    axis 'probability': even bins from 0 to 1; 'log-odds': even bins between the log-odds of the lowest and the highest
    score.
    """
    score, abnormal = studies["score"].to_numpy(), studies["label"].to_numpy() == 1
    if axis == "probability":
        level, edges = score, np.linspace(0, 1, bins + 1)
        shown = edges
    else:
        level = np.clip(logit(score), -FARTHEST, FARTHEST)
        low, high = (level.min(), level.max()) if len(level) else (-1.0, 1.0)
        # One bin of room, so that a threshold above the highest score can be reached too.
        edges = np.linspace(low - 0.05 * (high - low) - 0.05, high + 0.05 * (high - low) + 0.05, bins + 1)
        shown = expit(edges)
    counted = {
        name: np.histogram(level[kind], edges)[0] for name, kind in (("abnormal", abnormal), ("normal", ~abnormal))
    }
    return {"axis": axis, "edges": shown.tolist(), **{name: found.tolist() for name, found in counted.items()}}
