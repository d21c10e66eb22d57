"""Small published and hand-made data sets that many tests use."""

import numpy as np
import pandas as pd
from scipy.special import logit

# DeLong, DeLong and Clarke-Pearson 1988: albumin, total protein, KG score, outcome.
_DELONG = """
3.0 5.8 10 0|3.2 6.3 5 1|3.9 6.8 3 1|2.8 4.8 6 0|3.2 5.8 3 1|0.9 4.0 5 0|2.5 5.7 8 0|1.6 5.6 5 1
3.8 5.7 5 1|3.7 6.7 6 1|3.2 5.4 4 1|3.8 6.6 6 1|4.1 6.6 5 1|3.6 5.7 5 1|4.3 7.0 4 1|3.6 6.7 4 0
2.3 4.4 6 1|4.2 7.6 4 0|4.0 6.6 6 0|3.5 5.8 6 1|3.8 6.8 7 1|3.0 4.7 8 0|4.5 7.4 5 1|3.7 7.4 5 1
3.1 6.6 6 1|4.1 8.2 6 1|4.3 7.0 5 1|4.3 6.5 4 1|3.2 5.1 5 1|2.6 4.7 6 1|3.3 6.8 6 0|1.7 4.0 7 0
3.7 6.1 5 1|3.3 6.3 7 1|4.2 7.7 6 1|3.5 6.2 5 1|2.9 5.7 9 0|2.1 4.8 7 1|2.8 6.2 8 0|4.0 7.0 7 1
3.3 5.7 6 1|3.7 6.9 5 1|3.6 6.6 5 1
"""
DELONG = np.array([[float(value) for value in row.split()] for row in _DELONG.replace("\n", "|").split("|") if row])
ALB, TP, KG, OUTCOME = DELONG[:, 0], DELONG[:, 1], 10 - DELONG[:, 2], DELONG[:, 3]

# T20: twenty patients, one study each, two models p and q.
P = np.array(
    [
        0.03,
        0.05,
        0.08,
        0.10,
        0.12,
        0.15,
        0.20,
        0.22,
        0.30,
        0.35,
        0.40,
        0.45,
        0.50,
        0.55,
        0.60,
        0.70,
        0.75,
        0.80,
        0.90,
        0.95,
    ]
)
Y = np.array([0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 1, 0, 1, 1, 1, 0, 1, 1, 1])
Q = np.array(
    [
        0.10,
        0.02,
        0.30,
        0.05,
        0.40,
        0.15,
        0.25,
        0.10,
        0.45,
        0.20,
        0.60,
        0.35,
        0.30,
        0.70,
        0.50,
        0.65,
        0.55,
        0.85,
        0.80,
        0.97,
    ]
)


def tied(seed: int, n: int = 80, values: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Scores on a coarse grid, with many ties, and labels that correlate with them; both classes occur."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, n)
    labels[:2] = 0, 1
    scores = np.clip(random.integers(0, values, n) + labels, 0, values) / values
    return scores, labels


def separated(abnormal: int, normal: int = 100, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Scores of two overlapping classes, abnormal studies first, and their labels."""
    random = np.random.default_rng(seed)
    scores = np.r_[random.beta(4, 2, abnormal), random.beta(2, 4, normal)].round(3)
    return scores, np.r_[np.ones(abnormal), np.zeros(normal)]


def predictions(studies: int = 200, seed: int = 0, bones=("wrist", "elbow", "hip")) -> pd.DataFrame:
    """PREDICTIONS: 1 to 4 radiographs per study, 1 to 3 studies per patient, logits that depend on the label."""
    random = np.random.default_rng(seed)
    views = random.integers(1, 5, studies)
    study = np.repeat(np.arange(studies), views)
    label = random.integers(0, 2, studies).astype(float)
    bone = random.choice(bones, studies)
    patient = random.integers(0, max(1, studies // 2), studies)
    frame = pd.DataFrame(
        {
            "image_id": [f"image{i}" for i in range(len(study))],
            "path": [f"image{i}.png" for i in range(len(study))],
            "study_id": [f"valid/{bone[i]}/patient{patient[i]}/study{i}" for i in study],
            "patient_id": [f"patient{patient[i]}" for i in study],
            "group_id": [f"patient{patient[i]}" for i in study],
            "bone": bone[study],
            "view": None,
            "label": label[study],
            "split": "valid",
            "logit": random.normal(label[study] - 0.5, 1.0),
            "checkpoint": "small@00000000",
            "dataset": "made-up",
        }
    )
    return frame.sample(frac=1, random_state=seed).reset_index(drop=True)


def one_view_each(scores, labels, bone="wrist") -> pd.DataFrame:
    """PREDICTIONS of one radiograph per study, one study a patient."""
    names = [f"s{i:04d}" for i in range(len(scores))]
    return pd.DataFrame(
        {
            "image_id": names, "path": names, "study_id": names, "patient_id": names, "group_id": names,
            "bone": bone, "view": None, "label": np.asarray(labels, dtype=float), "split": "valid",
            "logit": logit(np.asarray(scores, dtype=float)), "checkpoint": "small@00000000", "dataset": "made-up",
        }
    )  # fmt: skip
