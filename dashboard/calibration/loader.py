"""A calibration fitted on one split, and its figures on another, before and after."""

from core.metrics.calibration import Calibration, calibration_facts
from core.metrics.studies import labelled
from core.scores.view import View
from core.workflows.calibrate import CalibrationResult, evaluate_calibration, fit
from dashboard.shared.cache import cached_data, cached_resource
from dashboard.shared.study_tables import tables


def before(view: View, bins: int) -> dict:
    """`calibration_facts` of the scores as they are stored."""
    return _before(view.cohort, bins)


def calibrated(fit_view: View, method: str, view: View, bins: int) -> CalibrationResult:
    """Fitted on one view and evaluated on another. OverreadError where it cannot be fitted."""
    return _calibrated(fit_view.cohort, method, view.cohort, bins)


@cached_data(max_entries=16)
def _before(cohort: View, bins: int) -> dict:
    known = labelled(tables(cohort).studies)
    return calibration_facts(known["score"], known["label"], bins)


@cached_resource(max_entries=16, show_spinner="Fitting")
def _fitted(cohort: View, method: str) -> Calibration:
    return fit(tables(cohort).studies, method)


@cached_resource(max_entries=16, show_spinner="Evaluating on the other split")
def _calibrated(fit_cohort: View, method: str, cohort: View, bins: int) -> CalibrationResult:
    return evaluate_calibration(_fitted(fit_cohort, method), tables(fit_cohort).studies, tables(cohort).studies, bins)
