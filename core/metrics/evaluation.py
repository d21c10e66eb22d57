"""One call from predictions to figures: what the command line prints and the pages show."""

import math

import pandas as pd

from core.errors import OverreadError
from core.metrics import agreement
from core.metrics.counts import counts_at, counts_table
from core.metrics.intervals import Estimate
from core.metrics.ranking import auroc, average_precision_of, one_class
from core.metrics.studies import labelled, study_table
from core.schema import bone_order

FIGURES = (
    "n", "n_abnormal", "n_unknown", "level", "auroc", "auroc_low", "auroc_high", "average_precision", "threshold",
    "tp", "fp", "tn", "fn", "sensitivity", "sensitivity_low", "sensitivity_high",
    "specificity", "specificity_low", "specificity_high", "why",
)  # fmt: skip


def evaluate(
    predictions: pd.DataFrame, threshold: float = 0.5, by: str | None = None, aggregation: str = "mean"
) -> dict:
    """The figures of PREDICTIONS at the level of studies, ready for JSON: undefined is None, and `why` says why.

    Keys as in FIGURES, and `aggregation`; with `by` (a column of STUDIES) also `by` and `groups`, a list of the same
    keys with the group's name under the column's. Studies without a label count only in n_unknown.
    """
    studies = study_table(predictions, aggregation)
    found = {name: _plain(value) for name, value in _figures(studies, threshold).items()} | {"aggregation": aggregation}
    if by is None:
        return found
    groups = [
        {by: _plain(name)} | {key: _plain(value) for key, value in _figures(part, threshold).items()}
        for name, part in _parts(studies, by)
    ]
    return found | {"by": by, "groups": groups}


def group_table(
    predictions: pd.DataFrame, threshold: float, by: str = "bone", aggregation: str = "mean", bones=None
) -> pd.DataFrame:
    """The same figures, one row a group, undefined as NaN. Groups without a labelled study are kept, with n = 0.

    `bones` (any iterable of names) adds rows for bones that these predictions lack. MURA's bones come first, in their
    fixed order.
    """
    return study_group_table(study_table(predictions, aggregation), threshold, by, bones)


def study_group_table(studies: pd.DataFrame, threshold: float, by: str = "bone", bones=None) -> pd.DataFrame:
    """`group_table` from STUDIES."""
    rows = [{by: name} | _figures(part, threshold) for name, part in _parts(studies, by, bones or ())]
    return pd.DataFrame(rows, columns=[by, *FIGURES])


def outcome_table(studies: pd.DataFrame, threshold: float) -> pd.DataFrame:
    """STUDIES with predicted (1 iff score >= threshold), outcome (TP, FN, FP, TN, '' if the label is unknown) and
    margin (score - threshold)."""
    if math.isnan(threshold):
        raise OverreadError("The threshold is NaN; expected a number. Choose a threshold first.")
    table = studies.copy()
    positive = table["score"] >= threshold
    table["predicted"] = positive.astype("int64")
    table["outcome"] = ""
    for label, call, name in ((1, True, "TP"), (1, False, "FN"), (0, True, "FP"), (0, False, "TN")):
        table.loc[(table["label"] == label) & (positive == call), "outcome"] = name
    table["margin"] = table["score"] - threshold
    return table


def _parts(studies: pd.DataFrame, by: str, extra=()) -> list[tuple]:
    if by not in studies or by in ("label", "score"):
        expected = "bone, split, n_views, patient_id or another column of the studies"
        raise OverreadError(f"Groups by {by!r}; expected {expected}.")
    values = studies[by].dropna()
    names = bone_order([*values, *extra]) if by == "bone" else sorted({*values.tolist(), *extra})
    found = dict(list(studies.groupby(by)))
    return [(name, found.get(name, studies.iloc[:0])) for name in names]


def _figures(studies: pd.DataFrame, threshold: float) -> dict:
    known = labelled(studies)
    scores, labels = known["score"].to_numpy(), known["label"].to_numpy()
    counts = counts_table(scores, labels)
    at = counts_at(counts, threshold)
    estimates = {
        "auroc": auroc(scores, labels),
        "sensitivity": agreement.sensitivity(at["tp"], at["fn"]),
        "specificity": agreement.specificity(at["tn"], at["fp"]),
    }
    why = {name: figure.why for name, figure in estimates.items()}
    why["average_precision"] = one_class(at["tp"] + at["fn"], at["tn"] + at["fp"])
    found = {
        "n": len(known),
        "n_abnormal": at["tp"] + at["fn"],
        "n_unknown": len(studies) - len(known),
        "level": "study",
        "average_precision": average_precision_of(counts),
        "threshold": float(threshold),
        "why": "; ".join(f"{name}: {reason}" for name, reason in why.items() if reason),
        **at,
    }
    for name, figure in estimates.items():
        found |= _with_bounds(name, figure)
    return {name: found[name] for name in FIGURES}


def _with_bounds(name: str, figure: Estimate) -> dict[str, float]:
    return {name: figure.value, f"{name}_low": figure.low, f"{name}_high": figure.high}


def _plain(value):
    """A Python value that JSON can hold: NaN and infinity become None."""
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value
