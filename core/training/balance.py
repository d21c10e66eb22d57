"""Balance by study: how often a radiograph is drawn, how much it weighs, and the prior that follows."""

import numpy as np
import pandas as pd


def study_counts(rows: pd.DataFrame) -> pd.DataFrame:
    """Per bone and label: `studies` and `radiographs`."""
    grouped = rows.groupby(["bone", "label"])
    return pd.DataFrame({"studies": grouped["study_id"].nunique(), "radiographs": grouped.size()}).reset_index()


def sampling_weights(rows: pd.DataFrame) -> np.ndarray:
    """Chance of each row to be drawn, float64 [n], sum 1: every bone and label alike, every study in them alike."""
    views = rows.groupby("study_id")["image_id"].transform("size")
    studies = rows.groupby(["bone", "label"])["study_id"].transform("nunique")
    weight = (1 / (views * studies)).to_numpy(float)
    return weight / weight.sum()


def loss_weights(rows: pd.DataFrame) -> np.ndarray:
    """Weight of each row in the loss, float64 [n], mean 1: per bone N_neg/N for abnormal, N_pos/N for normal studies.

    Rajpurkar 2017, counted in studies. A bone with one label alone keeps weight 1.
    """
    studies = rows.drop_duplicates("study_id").groupby("bone")["label"].mean()
    abnormal = rows["bone"].map(studies).to_numpy(float)
    label = rows["label"].to_numpy(float)
    weight = np.where(label == 1, 1 - abnormal, abnormal)
    weight[(abnormal == 0) | (abnormal == 1)] = 0.5
    return weight / weight.mean()


def effective_prior(rows: pd.DataFrame, balance: str) -> float:
    """The share of abnormal that the loss sees, 0..1, after balancing."""
    label = rows["label"].to_numpy(float)
    if balance == "sampler":
        return float(sampling_weights(rows) @ label)
    if balance == "weight":
        return float((loss_weights(rows) * label).mean())
    return float(label.mean())
