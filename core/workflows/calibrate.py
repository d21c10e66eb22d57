"""A calibration fitted on one split and judged on another, before and after. No torch."""

from collections.abc import Callable

from core.errors import OverreadError
from core.metrics.calibration import calibration_facts, fit_calibration, improvement
from core.metrics.studies import labelled, own_aggregation, study_table
from core.scores.loading import split_scores
from core.scores.patient_overlap import shared_patients, shared_sentence
from core.scores.source import Source


def calibrate_scored(
    scored: Source,
    method: str = "temperature",
    fit_split: str = "tune",
    split: str = "valid",
    data: str = "",
    aggregation: str = "",
    bins: int = 10,
    progress: Callable[[int, int, str], None] | None = None,
) -> dict:
    """method, temperature or slope and intercept with intervals, `fit` (where it was fitted), `before` and `after`
    (`calibration_facts` on the other split), log_loss_gain and brier_gain with intervals by patient, shared_patients.

    OverreadError where both splits are the same, or the scores are no probabilities.
    """
    if fit_split == split:
        raise OverreadError(
            f"Fitted and judged on the same split {split}, a calibration flatters itself; name two, with --fit-split "
            "and --split."
        )
    if scored.kind == "imported" and scored.model.scale == "raw":
        raise OverreadError(
            f"The scores of {scored.name} were imported with --raw: only their order is known, so there is no "
            "probability to calibrate. Import them as probabilities, or with --logit."
        )
    frames = list(_frames(scored, fit_split, split, data, progress))
    aggregation = aggregation or own_aggregation(frames[0])
    parts = [labelled(study_table(frame, aggregation)) for frame in frames]
    chosen, judged = parts
    fitted = fit_calibration(chosen["score"], chosen["label"], method)
    if judged.empty:
        raise OverreadError(f"No study of the split {split} has a label, so the calibration cannot be judged on it.")
    scores, labels = judged["score"].to_numpy(), judged["label"].to_numpy()
    after = fitted.apply(scores)
    shared, total = shared_patients(chosen, judged), judged["group_id"].nunique()
    facts = {
        "reference": scored.reference, "name": scored.name, "method": method, "aggregation": aggregation,
        "fit": {"split": fit_split, "n": fitted.n, "n_abnormal": fitted.n_abnormal},
    }  # fmt: skip
    estimates = {"temperature": fitted.temperature, "slope": fitted.slope, "intercept": fitted.intercept}
    gains = improvement(scores, after, labels, judged["group_id"])
    estimates |= {f"{name}_gain": gain for name, gain in gains.items()}
    for name, figure in estimates.items():
        facts |= {name: figure.value, f"{name}_low": figure.low, f"{name}_high": figure.high}
    return facts | {
        "split": split,
        "before": calibration_facts(scores, labels, bins),
        "after": calibration_facts(after, labels, bins),
        "shared_patients": shared,
        "note": shared_sentence(shared, total, fit_split, split),
    }


def _frames(scored: Source, fit_split: str, split: str, data: str, progress):
    for name, option in ((fit_split, "--fit-split"), (split, "--split")):
        try:
            yield split_scores(scored, data, name, progress)[0]
        except OverreadError as error:
            # The same sentence, but for the option that chooses this split.
            raise OverreadError(str(error).replace("with --split", f"with {option}")) from error
