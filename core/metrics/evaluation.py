"""Every figure of a set of scores, from one call: what `evaluate` prints and the pages show."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.errors import OverreadError
from core.metrics import calibration
from core.metrics.clustered import auroc_by_patient, draws_of
from core.metrics.counts import counts_at, counts_table
from core.metrics.groups import parse_grouping, shared_values, with_groups
from core.metrics.intervals import Estimate
from core.metrics.ranking import auroc, average_precision_of, one_class
from core.metrics.rates import RATES, flat_row, rates_at, reasons
from core.metrics.studies import image_table, labelled, own_aggregation, study_table
from core.schema import bone_order

# Columns of PREDICTIONS that describe a score, a file or a label, not a group.
_NO_GROUPS = (
    "label", "score", "logit", "probability", "attention", "pooling", "given", "image_label", "label_given", "path",
    "image_id", "study_id", "checkpoint", "dataset", "tta", "draws",
)  # fmt: skip
# These figures need both classes. They have no interval, so no `why` says that a class is missing.
_NEED_BOTH = ("average_precision", "brier_skill")


def figure_names() -> list[str]:
    """The keys of `Evaluation.at`: counts, figures without an interval, and NAME, NAME_low, NAME_high of the others."""
    with_interval = ("auroc", *RATES, "calibration_slope", "calibration_intercept")
    return [
        "n", "n_abnormal", "n_unknown", "level", "average_precision", "threshold", "tp", "fp", "tn", "fn",
        *(f"{name}{end}" for name in with_interval for end in ("", "_low", "_high")),
        "brier", "brier_skill", "log_loss", "ece", "why",
    ]  # fmt: skip


@dataclass(frozen=True)
class Evaluation:
    """STUDIES evaluated once, so that the figures at any threshold follow at once.

    counts: COUNTS of the labelled studies. estimates and numbers: the figures that need no threshold.
    """

    counts: pd.DataFrame
    estimates: dict[str, Estimate]
    numbers: dict[str, float]

    def at(self, threshold: float) -> dict:
        """The figures of `figure_names` at a threshold."""
        at = counts_at(self.counts, threshold)
        estimates = {**self.estimates, **rates_at(self.counts, threshold)}
        missing = one_class(at["tp"] + at["fn"], at["tn"] + at["fp"])
        why = [reasons(estimates), *(f"{name}: {missing}" for name in _NEED_BOTH if missing)]
        found = {
            "n": sum(at.values()),
            "n_abnormal": at["tp"] + at["fn"],
            "level": "study",
            "threshold": float(threshold),
            "why": "; ".join(reason for reason in why if reason),
            **self.numbers,
            **at,
            **flat_row(estimates),
        }
        return {name: found[name] for name in figure_names()}


def evaluate_studies(studies: pd.DataFrame) -> Evaluation:
    """Evaluate STUDIES; those without a label count only in n_unknown."""
    known = labelled(studies)
    scores, labels = known["score"].to_numpy(), known["label"].to_numpy()
    counts = counts_table(scores, labels)
    line = calibration.calibration_line(scores, labels)
    return Evaluation(
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


def evaluate(predictions: pd.DataFrame, threshold: float = 0.5, by: str | None = None, aggregation: str = "") -> dict:
    """The figures of PREDICTIONS by study, ready for JSON: an undefined figure is None, and `why` says why.

    Keys: `figure_names`; auroc_patient_low and auroc_patient_high (`clustered.auroc_by_patient`, by `bootstrap_draws`
    resamples, where 0 means in closed form); `patients`; `aggregation`. With `by` (a column of STUDIES or of the
    predictions, with or without cut points: 'age:10,14') also `by`, the column; `groups`: a list of records with the
    same keys and the group's name under the column's; and `ungrouped`: how many have no value, or radiographs that
    differ in it.
    """
    aggregation = aggregation or own_aggregation(predictions)
    studies = study_table(predictions, aggregation)
    return _by_group(studies, predictions, threshold, by, "study_id") | {"aggregation": aggregation}


def evaluate_images(predictions: pd.DataFrame, threshold: float = 0.5, by: str | None = None) -> dict:
    """`evaluate` by radiograph, against `image_label`: the same keys with level 'image', without `aggregation`.

    OverreadError where the radiographs have no labels of their own.
    """
    found = _by_group(image_table(predictions), predictions, threshold, by, "image_id")
    groups = {"groups": [group | {"level": "image"} for group in found["groups"]]} if by else {}
    return found | {"level": "image"} | groups


def _by_group(table: pd.DataFrame, predictions: pd.DataFrame, threshold: float, by: str | None, unit: str) -> dict:
    found = _json_figures(table, threshold)
    if by is None:
        return found
    grouped, column = group_rows(table, predictions, by, unit)
    groups = [{column: _plain(name)} | _json_figures(part, threshold) for name, part in study_groups(grouped, column)]
    return found | {"by": column, "groups": groups, "ungrouped": int(grouped[column].isna().sum())}


def group_rows(
    table: pd.DataFrame, predictions: pd.DataFrame, by: str, unit: str = "study_id"
) -> tuple[pd.DataFrame, str]:
    """STUDIES, or `image_table` with the unit 'image_id', with the groups of a column as that column; and its name.

    by: a column of STUDIES or of the predictions, with or without cut points. A study whose radiographs differ in it
    is in no group. OverreadError for an unknown column.
    """
    columns = {*table.columns, *predictions.columns} - {*_NO_GROUPS}
    grouping = parse_grouping(by, columns)
    if grouping.column not in columns:
        others = [name for name in predictions if name in columns and name not in table]
        raise OverreadError(
            f"The studies cannot be grouped by {grouping.column!r}; expected "
            f"{', '.join(['bone', 'split', 'n_views', 'patient_id', *others])}.",
            code="group-column-unknown",
        )
    if grouping.column in table:
        grouped = with_groups(table, table[grouping.column], grouping) if grouping.cuts else table
        return grouped, grouping.column
    values = shared_values(predictions, grouping.column, unit)
    return with_groups(table, table["study_id"].map(values), grouping), grouping.column


def group_table(
    predictions: pd.DataFrame, threshold: float, by: str = "bone", aggregation: str = "", bones=None
) -> pd.DataFrame:
    """The figures of `figure_names`, one row per group, undefined as NaN. Groups without a labelled study have n = 0.

    `bones` (any iterable of names) adds rows for bones that these predictions lack. MURA's bones come first, in their
    fixed order.
    """
    return study_group_table(study_table(predictions, aggregation), threshold, by, bones)


def study_group_table(studies: pd.DataFrame, threshold: float, by: str = "bone", bones=None) -> pd.DataFrame:
    """`group_table` from STUDIES."""
    rows = [{by: name} | evaluate_studies(part).at(threshold) for name, part in study_groups(studies, by, bones or ())]
    return pd.DataFrame(rows, columns=[by, *figure_names()])


_OUTCOMES = pd.Series(["TN", "FP", "FN", "TP", ""])  # by label and call; the last where the label is unknown


def outcome_table(studies: pd.DataFrame, threshold: float) -> pd.DataFrame:
    """STUDIES with predicted (1 iff score >= threshold), outcome (TP, FN, FP, TN, '' if the label is unknown) and
    margin (score - threshold). OverreadError for the threshold NaN."""
    if math.isnan(threshold):
        raise OverreadError("The threshold is NaN; expected a number. Choose a threshold first.", code="threshold-nan")
    label = studies["label"].to_numpy(float, na_value=np.nan)
    positive = studies["score"].to_numpy() >= threshold
    place = np.select([label == 0, label == 1], [positive, 2 + positive], default=4)
    outcome = _OUTCOMES.take(place).set_axis(studies.index)
    return studies.assign(predicted=positive.astype("int64"), outcome=outcome, margin=studies["score"] - threshold)


def errors_first(rows: pd.DataFrame, most: int | None = None) -> pd.DataFrame:
    """Sort an `outcome_table`, or radiographs with its outcome and score: FN, FP, TP, then the others.

    Within an outcome the lowest score is first, and the radiographs of a study stay together. most: only so many rows,
    the first.
    """
    ranked = rows.assign(_rank=rows["outcome"].map({"FN": 0, "FP": 1, "TP": 2}).fillna(3))
    if most is not None and len(rows) > most:
        # Names are compared where they can matter only: of a million rows that takes most of the time.
        rank, score = ranked["_rank"].to_numpy(), ranked["score"].fillna(np.inf).to_numpy()
        last = np.lexsort((score, rank))[most - 1]
        ranked = ranked[(rank < rank[last]) | ((rank == rank[last]) & (score <= score[last]))]
    ties = [name for name in ("study_id", "image_id") if name in rows]
    return ranked.sort_values(["_rank", "score", *ties]).drop(columns="_rank").head(most or len(rows))


def study_groups(studies: pd.DataFrame, by: str, extra=()) -> list[tuple]:
    """(name, studies) of each value of a column, in the order of the names, bones in MURA's. `extra` adds names whose
    group may be empty. OverreadError for an unknown column."""
    if by not in studies or by in ("label", "score"):
        raise OverreadError(
            f"The studies cannot be grouped by {by!r}; expected bone, split, n_views, patient_id or another column of "
            "theirs.",
            code="group-column-unknown",
        )
    values = studies[by].dropna()
    if isinstance(values.dtype, pd.CategoricalDtype):
        found = dict(list(studies.groupby(by, observed=True)))
        return [(name, found[name]) for name in values.cat.categories if name in found]
    names = bone_order([*values, *extra]) if by == "bone" else sorted({*values.tolist(), *extra})
    found = dict(list(studies.groupby(by)))
    return [(name, found.get(name, studies.iloc[:0])) for name in names]


def _json_figures(studies: pd.DataFrame, threshold: float) -> dict:
    known = labelled(studies)
    area = auroc_by_patient(known)
    by_patient = {
        "patients": int(known["group_id"].nunique()),
        "auroc_patient_low": area.low,
        "auroc_patient_high": area.high,
        "auroc_patient_why": area.why,
        "bootstrap_draws": draws_of(len(known)),
    }
    facts = evaluate_studies(studies).at(threshold) | by_patient
    return {name: _plain(value) for name, value in facts.items()}


def _plain(value):
    """A Python value that JSON can store: NaN and infinity become None."""
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value
