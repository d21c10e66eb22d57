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


def sample_weights(rows: pd.DataFrame, balance: str) -> np.ndarray:
    """Weight of each row in the loss, float64 [n]: that of the balance times its own `weight`, if rows have one."""
    weights = loss_weights(rows) if balance == "weight" else np.ones(len(rows))
    return weights * rows["weight"].to_numpy(float) if "weight" in rows else weights


def effective_prior(rows: pd.DataFrame, balance: str) -> float:
    """The share of abnormal samples in the loss after balancing, 0..1."""
    weights = sample_weights(rows, balance)
    if balance == "sampler":
        weights = weights * sampling_weights(rows)
    return float(weights @ rows["label"].to_numpy(float) / weights.sum())
