"""One call from predictions to figures: what the command line prints and the pages show."""

import math
from dataclasses import dataclass

import pandas as pd

from core.errors import OverreadError
from core.metrics import calibration
from core.metrics.by_patient import auroc_by_patient, draws_of
from core.metrics.counts import counts_at, counts_table
from core.metrics.intervals import Estimate
from core.metrics.ranking import auroc, average_precision_of, one_class
from core.metrics.studies import labelled, own_aggregation, study_table
from core.metrics.thresholds.search import rates_at
from core.schema import bone_order

_WITH_BOUNDS = (
    "auroc", "sensitivity", "specificity", "ppv", "npv", "accuracy", "balanced_accuracy", "f1", "kappa", "mcc",
    "likelihood_ratio_positive", "likelihood_ratio_negative", "calibration_slope", "calibration_intercept",
)  # fmt: skip
FIGURES = (
    "n", "n_abnormal", "n_unknown", "level", "average_precision", "threshold", "tp", "fp", "tn", "fn",
    *(f"{name}{end}" for name in _WITH_BOUNDS for end in ("", "_low", "_high")),
    "brier", "brier_skill", "log_loss", "ece", "why",
)  # fmt: skip
# What rests on both classes and has no interval of its own to say so.
_NEED_BOTH = ("average_precision", "brier_skill")


@dataclass(frozen=True)
class Judged:
    """COUNTS of the labelled, and the figures that need no threshold: estimates, and plain numbers."""

    counts: pd.DataFrame
    estimates: dict[str, Estimate]
    numbers: dict[str, float]

    def at(self, threshold: float) -> dict:
        """FIGURES at a threshold."""
        at = counts_at(self.counts, threshold)
        estimates = {**self.estimates, **rates_at(self.counts, threshold)}
        why = {name: estimates[name].why for name in _WITH_BOUNDS}
        why |= dict.fromkeys(_NEED_BOTH, one_class(at["tp"] + at["fn"], at["tn"] + at["fp"]))
        found = {
            "n": sum(at.values()),
            "n_abnormal": at["tp"] + at["fn"],
            "level": "study",
            "threshold": float(threshold),
            "why": "; ".join(f"{name}: {reason}" for name, reason in why.items() if reason),
            **self.numbers,
            **at,
        }
        for name in _WITH_BOUNDS:
            figure = estimates[name]
            found |= {name: figure.value, f"{name}_low": figure.low, f"{name}_high": figure.high}
        return {name: found[name] for name in FIGURES}


def evaluate(predictions: pd.DataFrame, threshold: float = 0.5, by: str | None = None, aggregation: str = "") -> dict:
    """The figures of PREDICTIONS at the level of studies, ready for JSON: undefined is None, and `why` says why.

    Keys as in FIGURES, auroc_patient_low and _high (`clustered.auroc_by_patient`; by `bootstrap_draws` resamples, 0: in
    closed form), `patients`, and `aggregation`; with `by` (a column of STUDIES) also `by` and `groups`, a list of the
    same keys with the group's name under the column's. Studies without a label count only in n_unknown.
    """
    aggregation = aggregation or own_aggregation(predictions)
    studies = study_table(predictions, aggregation)
    facts = judge(studies).at(threshold) | _by_patient(studies)
    found = {name: _plain(value) for name, value in facts.items()} | {"aggregation": aggregation}
    if by is None:
        return found
    groups = [
        {by: _plain(name)}
        | {key: _plain(value) for key, value in (judge(part).at(threshold) | _by_patient(part)).items()}
        for name, part in parts(studies, by)
    ]
    return found | {"by": by, "groups": groups}


def group_table(
    predictions: pd.DataFrame, threshold: float, by: str = "bone", aggregation: str = "", bones=None
) -> pd.DataFrame:
    """The same figures, one row a group, undefined as NaN. Groups without a labelled study are kept, with n = 0.

    `bones` (any iterable of names) adds rows for bones that these predictions lack. MURA's bones come first, in their
    fixed order.
    """
    return study_group_table(study_table(predictions, aggregation), threshold, by, bones)


def study_group_table(studies: pd.DataFrame, threshold: float, by: str = "bone", bones=None) -> pd.DataFrame:
    """`group_table` from STUDIES."""
    rows = [{by: name} | judge(part).at(threshold) for name, part in parts(studies, by, bones or ())]
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


def parts(studies: pd.DataFrame, by: str, extra=()) -> list[tuple]:
    """The studies of each value of a column, by name; bones in MURA's order. `extra` names may be empty."""
    if by not in studies or by in ("label", "score"):
        expected = "bone, split, n_views, patient_id or another column of the studies"
        raise OverreadError(f"Groups by {by!r}; expected {expected}.")
    values = studies[by].dropna()
    names = bone_order([*values, *extra]) if by == "bone" else sorted({*values.tolist(), *extra})
    found = dict(list(studies.groupby(by)))
    return [(name, found.get(name, studies.iloc[:0])) for name in names]


def judge(studies: pd.DataFrame) -> Judged:
    """What is known of STUDIES before a threshold is named."""
    known = labelled(studies)
    scores, labels = known["score"].to_numpy(), known["label"].to_numpy()
    counts = counts_table(scores, labels)
    line = calibration.calibration_line(scores, labels)
    return Judged(
        counts,
        {"auroc": auroc(scores, labels), **{f"calibration_{name}": figure for name, figure in line.items()}},
        {
            "n_unknown": len(studies) - len(known),
            "average_precision": average_precision_of(counts),
            "brier": calibration.brier(scores, labels),
            "brier_skill": calibration.brier_skill(scores, labels),
            "log_loss": calibration.log_loss(scores, labels),
            "ece": calibration.ece(scores, labels),
        },
    )


def _by_patient(studies: pd.DataFrame) -> dict:
    """The AUROC's interval by patient; NaN where DeLong's has none for want of studies."""
    known = labelled(studies)
    found = auroc_by_patient(known)
    return {
        "patients": int(known["group_id"].nunique()),
        "auroc_patient_low": found.low,
        "auroc_patient_high": found.high,
        "auroc_patient_why": found.why,
        "bootstrap_draws": draws_of(len(known)),
    }


def _plain(value):
    """A Python value that JSON can hold: NaN and infinity become None."""
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value
