"""A scaling fitted on one split, and its figures on another, before and after."""

from dataclasses import dataclass

from core.metrics.calibration import Calibration, calibration_facts, fit_calibration, improvement
from core.metrics.intervals import Estimate
from core.metrics.studies import labelled
from core.scores.patient_overlap import shared_patients
from core.scores.view import View
from dashboard.shared.cache import cached_data, cached_resource
from dashboard.shared.study_tables import tables


@dataclass(frozen=True)
class Calibrated:
    """The scaling, `calibration_facts` after it, its gains, and the patients in both splits (None: unknown)."""

    fitted: Calibration
    after: dict
    gains: dict[str, Estimate]
    shared: int | None


def before(view: View, bins: int) -> dict:
    """`calibration_facts` of the scores without scaling."""
    return _before(view.cohort, bins)


def calibrated(fit_view: View, method: str, view: View, bins: int) -> Calibrated:
    """Fitted on one view and evaluated on another. OverreadError where it cannot be fitted."""
    return _calibrated(fit_view.cohort, method, view.cohort, bins)


@cached_data(max_entries=16)
def _before(cohort: View, bins: int) -> dict:
    known = labelled(tables(cohort).studies)
    return calibration_facts(known["score"], known["label"], bins)


@cached_resource(max_entries=16, show_spinner="Fitting")
def _fitted(cohort: View, method: str) -> Calibration:
    known = labelled(tables(cohort).studies)
    return fit_calibration(known["score"], known["label"], method)


@cached_resource(max_entries=16, show_spinner="Evaluating on the other split")
def _calibrated(fit_cohort: View, method: str, cohort: View, bins: int) -> Calibrated:
    fitted = _fitted(fit_cohort, method)
    known = labelled(tables(cohort).studies)
    scores, labels = known["score"].to_numpy(), known["label"].to_numpy()
    after = fitted.apply(scores)
    shared = shared_patients(tables(fit_cohort).studies, known)
    return Calibrated(
        fitted, calibration_facts(after, labels, bins), improvement(scores, after, labels, known["group_id"]), shared
    )
