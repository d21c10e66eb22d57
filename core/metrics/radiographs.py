"""Radiographs of a study evaluated by their own truth, where labels belong to studies.

Each radiograph of a study has the study's label, so some of an abnormal study may be normal. Where the truth of each
radiograph is known (`image_label`), it shows how good the score of a single radiograph is, and which view drove the
score of its study.
"""

import numpy as np
import pandas as pd

from core.errors import OverreadError
from core.metrics.intervals import Estimate, proportion, undefined
from core.metrics.rates import flat_row

# Radiographs are compared at the highest threshold that finds this share of the abnormal ones.
FOUND = 0.9


def driving_views(predictions: pd.DataFrame) -> np.ndarray:
    """The row of the view that drives each study's score, int [studies], in the order in which the studies appear.

    It is the view with the most attention where the network weighs views, else the one with the highest logit. Every
    pooling here gives that view at least as large a share of the score as any other. The first of equal ones counts.
    """
    weight = predictions["attention" if "attention" in predictions else "logit"].to_numpy(float)
    codes, _ = pd.factorize(predictions["study_id"])
    order = np.lexsort((np.arange(len(codes)), -weight, codes))
    return order[np.unique(codes[order], return_index=True)[1]]


def found_threshold(logits: np.ndarray, truth: np.ndarray, found: float = FOUND) -> float:
    """The highest logit at which at least the share `found` of the abnormal radiographs are called abnormal."""
    abnormal = np.sort(logits[truth == 1])[::-1]
    return float(abnormal[int(np.ceil(found * len(abnormal) - 1e-9)) - 1]) if len(abnormal) else np.nan


def mixed_studies(predictions: pd.DataFrame, truth: np.ndarray) -> np.ndarray:
    """Whether each row is of a study with both normal and abnormal radiographs, bool [n]; unknown truth is left out."""
    by_study = pd.Series(truth).groupby(predictions["study_id"].to_numpy())
    return (by_study.transform("min") < by_study.transform("max")).to_numpy()


def truth_of(predictions: pd.DataFrame, truth: str = "image_label") -> np.ndarray:
    """The truth of each radiograph in a column, 1, 0 or NaN, float64 [n]. OverreadError for a missing column or another
    value."""
    if truth not in predictions:
        raise OverreadError(
            f"These scores and their index have no column {truth!r}; expected the truth of each radiograph, 1 or 0. "
            "Index the radiographs with --truth-column NAME, or name another column.",
            code="truth-missing",
        )
    values = pd.to_numeric(predictions[truth], errors="coerce").to_numpy(float)
    bad = predictions[truth].notna().to_numpy() & ~np.isin(values, (0.0, 1.0))
    if bad.any():
        raise OverreadError(
            f"The column {truth} has {str(predictions[truth][bad].iloc[0])[:40]!r}; expected 1 (abnormal), 0 (normal) "
            "or empty.",
            code="image-label-invalid",
        )
    return values


def radiograph_facts(predictions: pd.DataFrame, truth: str = "image_label") -> dict:
    """Figures against the truth of single radiographs: NAME, NAME_low, NAME_high, NAME_n for each name.

    false_alarms_abnormal, false_alarms_normal: the share of normal radiographs called abnormal, in abnormal studies and
    in normal ones, at the threshold that finds 90% of the abnormal radiographs of these scores. driver_abnormal: the
    share of studies with both kinds whose driving view is abnormal; driver_chance: that share for a view drawn at
    random. Errors as in `truth_of`.
    """
    values = truth_of(predictions, truth)
    logits = predictions["logit"].to_numpy(float)
    threshold = found_threshold(logits, values)
    called, mixed = logits >= threshold, mixed_studies(predictions, values)
    of_study = predictions["label"].to_numpy(float)
    driver = driving_views(predictions)
    driver = driver[mixed[driver]]
    figures = {
        **{
            f"false_alarms_{name}": _share(called[(values == 0) & (of_study == label)])
            for name, label in (("abnormal", 1), ("normal", 0))
        },
        "driver_abnormal": _share(values[driver] == 1),
    }
    return {
        "truth": truth,
        "found_share": FOUND,
        "found_threshold": threshold if np.isfinite(threshold) else None,
        "mixed_studies": len(driver),
        "driver_chance": float(values[mixed].mean()) if mixed.any() else None,
        **{name: None if value != value else value for name, value in flat_row(figures).items() if name != "why"},
        **{f"{name}_n": found.n for name, found in figures.items()},
    }


def radiograph_lines(facts: dict) -> list[str]:
    """The figures of `radiograph_facts` in sentences; one line for each that can be estimated."""
    lines = []
    for kind in ("abnormal", "normal"):
        if facts[f"false_alarms_{kind}_n"]:
            share = f"{facts['found_share']:.0%} of the abnormal radiographs"
            lines.append(
                f"normal radiographs of {kind} studies called abnormal, at the threshold that finds {share}: "
                f"{_percent(facts, f'false_alarms_{kind}')}"
            )
    if facts["mixed_studies"]:
        lines.append(
            "the view that drives the score is abnormal, in studies with normal and abnormal radiographs: "
            f"{_percent(facts, 'driver_abnormal')}; {facts['driver_chance']:.1%} by chance"
        )
    return [f"by radiograph, {line}" for line in lines]


def _percent(facts: dict, name: str) -> str:
    low, high, n = (facts[f"{name}_{end}"] for end in ("low", "high", "n"))
    return f"{facts[name]:.1%} ({low:.1%}-{high:.1%}), n = {n}"


def _share(hits: np.ndarray) -> Estimate:
    return proportion(int(hits.sum()), len(hits)) if len(hits) else undefined(0, "no such radiograph")
