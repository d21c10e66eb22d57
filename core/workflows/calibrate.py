"""Fit a calibration on one split and evaluate it on another, before and after. No torch."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pandas as pd

from core.errors import OverreadError
from core.metrics.calibration import Calibration, calibration_facts, fit_calibration, improvement
from core.metrics.intervals import Estimate
from core.metrics.studies import labelled, own_aggregation, study_table
from core.scores.halves import DataSplit, overlapping, split_for_choosing, splits_for_verifying
from core.scores.loading import split_for_evaluation, split_scores
from core.scores.patient_overlap import shared_patients, shared_sentence
from core.scores.source import Source


@dataclass(frozen=True)
class CalibrationResult:
    """A calibration on studies it was not fitted on.

    after: `calibration_facts` of the calibrated scores. gains: the fall of log-loss and Brier score, with intervals by
    patient. shared: how many patients are in both splits; None where that is not known.
    """

    fitted: Calibration
    after: dict
    gains: dict[str, Estimate]
    shared: int | None


def fit(studies: pd.DataFrame, method: str) -> Calibration:
    """Fit 'temperature' or 'platt' on the labelled among STUDIES."""
    known = labelled(studies)
    return fit_calibration(known["score"], known["label"], method)


def evaluate_calibration(
    fitted: Calibration, fit_studies: pd.DataFrame, studies: pd.DataFrame, bins: int = 10
) -> CalibrationResult:
    """Apply a calibration that was fitted on `fit_studies` to the labelled among `studies`."""
    known = labelled(studies)
    scores, labels = known["score"].to_numpy(), known["label"].to_numpy()
    after = fitted.apply(scores)
    return CalibrationResult(
        fitted,
        calibration_facts(after, labels, bins),
        improvement(scores, after, labels, known["group_id"]),
        shared_patients(fit_studies, known),
    )


def calibrate(
    source: Source,
    method: str = "temperature",
    splits: tuple[str, str] = ("", ""),
    aggregation: str = "",
    bins: int = 10,
    progress: Callable[[int, int, str], None] | None = None,
) -> dict:
    """method; temperature, or slope and intercept, with intervals; `fit` (where it was fitted); `before` and `after`
    (`calibration_facts` on the other split); log_loss_gain and brier_gain with intervals by patient; shared_patients.

    splits: where it is fitted, and where it is evaluated; by default the split for choosing a threshold and the one for
    verifying it (`core.scores.halves`). OverreadError where they share studies, or the scores are not probabilities.
    """
    fit_split, split = splits
    if fit_split and split and overlapping(fit_split, split):
        raise _own_split(fit_split, split)
    if source.kind == "imported" and source.imported.scale == "raw":
        raise OverreadError(
            f"The scores of {source.name} were imported with --raw: only their order is known, so there is no "
            "probability to calibrate. Import them as probabilities, or with --logit.",
            code="scores-not-probabilities",
        )
    fit_frame, fit_split = _frame(source, fit_split, "--fit-split", split_for_choosing, progress)
    frame, split = _frame(source, split, "--split", partial(_evaluated_split, fit_split), progress)
    if overlapping(fit_split, split):
        raise _own_split(fit_split, split)
    frames = fit_frame, frame
    fitted_on, evaluated_on = (
        DataSplit(str(one["dataset"].iloc[0]), part) for one, part in zip(frames, (fit_split, split))
    )
    aggregation = aggregation or own_aggregation(frames[0])
    fit_studies, studies = (labelled(study_table(frame, aggregation)) for frame in frames)
    fitted = fit(fit_studies, method)
    if studies.empty:
        raise OverreadError(
            f"No study of the split {split} has a label, so the calibration cannot be evaluated on it.",
            code="split-without-labels",
        )
    result = evaluate_calibration(fitted, fit_studies, studies, bins)
    facts: dict = {
        "reference": source.reference, "name": source.name, "method": method, "aggregation": aggregation,
        "fit": {"split": fit_split, "n": fitted.n, "n_abnormal": fitted.n_abnormal},
    }  # fmt: skip
    estimates = {"temperature": fitted.temperature, "slope": fitted.slope, "intercept": fitted.intercept}
    estimates |= {f"{name}_gain": gain for name, gain in result.gains.items()}
    for name, figure in estimates.items():
        facts |= {name: figure.value, f"{name}_low": figure.low, f"{name}_high": figure.high}
    return facts | {
        "split": split,
        "before": calibration_facts(studies["score"], studies["label"], bins),
        "after": result.after,
        "shared_patients": result.shared,
        "note": shared_sentence(result.shared, studies["group_id"].nunique(), fitted_on, evaluated_on),
    }


def _own_split(fit_split: str, split: str) -> OverreadError:
    same = f"the same split {split}" if fit_split == split else f"{fit_split} and on {split}, which share studies,"
    return OverreadError(
        f"A calibration that is fitted and evaluated on {same} looks better than it is; name two splits, with "
        "--fit-split and --split.",
        code="calibrated-on-own-split",
    )


def _evaluated_split(fit_split: str, rows: pd.DataFrame) -> str:
    """The split on which a calibration is evaluated if none is named."""
    return next(iter(splits_for_verifying(fit_split, rows["split"])), split_for_evaluation(rows))


def _frame(source: Source, split: str, option: str, default, progress) -> tuple[pd.DataFrame, str]:
    try:
        return split_scores(source, split=split, progress=progress, default=default)
    except OverreadError as error:
        # The same sentence, with the option that chooses this split.
        raise OverreadError(str(error).replace("with --split", f"with {option}"), code=error.code) from error
