"""Class balance counted in studies: sampling weights, loss weights and the resulting prior."""

import numpy as np
import pandas as pd


def study_counts(rows: pd.DataFrame) -> pd.DataFrame:
    """Numbers of `studies` and `radiographs` for each bone and label."""
    grouped = rows.groupby(["bone", "label"])
    return pd.DataFrame({"studies": grouped["study_id"].nunique(), "radiographs": grouped.size()}).reset_index()


def sampling_weights(rows: pd.DataFrame) -> np.ndarray:
    """Probability to draw each row, float64 [n], sum 1: equal for every bone and label, and for the studies of both."""
    views = rows.groupby("study_id")["image_id"].transform("size")
    studies = rows.groupby(["bone", "label"])["study_id"].transform("nunique")
    weight = (1 / (views * studies)).to_numpy(float)
    return weight / weight.sum()


def loss_weights(rows: pd.DataFrame) -> np.ndarray:
    """Weight of each row in the loss, float64 [n], mean 1: for each bone N_neg/N if abnormal, N_pos/N if normal.

    As in Rajpurkar 2017, but counted in studies. A bone with only one label keeps weight 1.
    """
    studies = rows.drop_duplicates("study_id").groupby("bone")["label"].mean()
    abnormal = rows["bone"].map(studies).to_numpy(float)
    label = rows["label"].to_numpy(float)
    weight = np.where(label == 1, 1 - abnormal, abnormal)
    weight[(abnormal == 0) | (abnormal == 1)] = 0.5
    return weight / weight.mean()


def effective_prior(rows: pd.DataFrame, balance: str) -> float:
    """The share of abnormal samples in the loss after balancing, 0..1."""
    label = rows["label"].to_numpy(float)
    if balance == "sampler":
        return float(sampling_weights(rows) @ label)
    if balance == "weight":
        return float((loss_weights(rows) * label).mean())
    return float(label.mean())
