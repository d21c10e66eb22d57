import numpy as np
import pytest
import statsmodels.api as sm
from scipy.optimize import brentq
from scipy.special import expit, logit
from sklearn import metrics as peer
from sklearn.linear_model import LogisticRegression

from core.metrics import calibration
from core.metrics.intervals import wilson
from tests.metrics.examples import P, Y
from tests.oracles import bootstrap_by_loop
from tests.refusals import refused

Z = 1.959963984540054


def made(slope, intercept, n=4000, seed=0):
    """Scores, and labels drawn with a known calibration line."""
    random = np.random.default_rng(seed)
    x = random.normal(0, 1.5, n)
    return expit(x), (random.random(n) < expit(intercept + slope * x)).astype(int)


def test_t20():
    assert calibration.brier(P, Y) == pytest.approx(0.16488, abs=1e-12)
    assert calibration.log_loss(P, Y) == pytest.approx(0.494677375734, abs=1e-12)
    assert calibration.brier_skill(P, Y) == pytest.approx(0.333818181818, abs=1e-12)
    line = calibration.calibration_line(P, Y)
    assert line["slope"].value == pytest.approx(1.0013285, abs=1e-7)
    # The published 0.2501345 is 6e-7 from the maximum, so the root of the score equation is checked below.
    assert line["intercept"].value == pytest.approx(0.2501345, abs=1e-6)
    root = brentq(lambda a: (expit(logit(P) + a) - Y).sum(), -5, 5, xtol=1e-15)
    assert line["intercept"].value == pytest.approx(root, abs=1e-12)
    assert "9 abnormal" in line["slope"].why and np.isnan(line["slope"].low)


def test_t20_standard_errors(monkeypatch):
    # T20 has 9 abnormal studies, and an interval needs 10; the published errors need the rule switched off.
    monkeypatch.setattr(calibration, "too_few", lambda abnormal, normal: "")
    line = calibration.calibration_line(P, Y)
    errors = [(line[name].high - line[name].low) / 2 / Z for name in ("slope", "intercept")]
    assert errors == pytest.approx([0.46043739, 0.5565179], abs=1e-7)


def test_t20_binned_errors():
    shifted = P + 0.005
    assert calibration.ece(shifted, Y, bins=10) == pytest.approx(0.1475, abs=1e-12)
    assert calibration.ece(shifted, Y, bins=5) == pytest.approx(0.0505, abs=1e-12)
    assert calibration.mce(shifted, Y, bins=10) == pytest.approx(0.395, abs=1e-12)


def test_scores_agree_with_scikit_learn():
    scores, labels = made(0.7, 0.3)
    assert calibration.brier(scores, labels) == pytest.approx(peer.brier_score_loss(labels, scores), abs=1e-14)
    assert calibration.log_loss(scores, labels) == pytest.approx(peer.log_loss(labels, scores), abs=1e-12)
    certain = np.array([0.0, 1.0, 0.0, 1.0])
    wrong = np.array([0, 1, 1, 1])
    assert calibration.log_loss(certain, wrong) == pytest.approx(peer.log_loss(wrong, certain), rel=1e-12)


@pytest.mark.parametrize(("slope", "intercept"), [(1.0, 0.0), (0.5, 0.0), (1.6, -1.0)])
def test_the_calibration_line_is_recovered_and_agrees_with_scikit_learn(slope, intercept):
    scores, labels = made(slope, intercept)
    line = calibration.calibration_line(scores, labels)
    assert line["slope"].low <= slope <= line["slope"].high
    fitted = LogisticRegression(C=np.inf, tol=1e-12, max_iter=1000).fit(logit(scores)[:, None], labels)
    assert line["slope"].value == pytest.approx(fitted.coef_[0, 0], abs=1e-5)
    if slope == 1.0:
        assert line["intercept"].low <= intercept <= line["intercept"].high


def test_the_fit_converges_for_extreme_scores():
    scores, labels = made(0.05, 0.0)
    line = calibration.calibration_line(np.clip(expit(20 * logit(scores)), 1e-15, 1 - 1e-15), labels)
    assert 0 < line["slope"].value < 0.02 and np.isfinite(line["intercept"].value)


def test_undefined_calibration_figures_have_a_reason():
    for scores, labels, word in (
        (P, np.ones(20), "no normal"),
        (np.full(20, 0.3), Y, "same score"),
        (np.sort(P), np.sort(Y), "separate"),
        (-np.sort(-P), np.sort(Y), "separate"),
    ):
        slope = calibration.calibration_line(scores, labels)["slope"]
        assert np.isnan(slope.value) and word in slope.why
    assert np.isnan(calibration.brier_skill(P, np.ones(20))) and np.isnan(calibration.brier([], []))
    assert all(np.isnan(figure([], [])) for figure in (calibration.log_loss, calibration.ece, calibration.mce))


def test_only_the_last_bin_of_the_reliability_table_is_closed():
    table = calibration.reliability_table([0.0, 0.1, 0.1, 0.3, 0.999, 1.0], [0, 1, 0, 1, 1, 1], bins=10)
    assert table["n"].tolist() == [1, 2, 0, 1, 0, 0, 0, 0, 0, 2] and table["n"].sum() == 6
    assert table.loc[1, ["n_abnormal", "mean_score", "share_abnormal"]].tolist() == [1, 0.1, 0.5]
    assert (table.loc[1, "low"], table.loc[1, "high"]) == pytest.approx(wilson(1, 2))
    assert table.loc[2, ["mean_score", "share_abnormal", "low", "high"]].isna().all()
    assert table["lower"].tolist()[0] == 0 and table["upper"].tolist()[-1] == 1


def test_every_edge_belongs_to_the_bin_above():
    table = calibration.reliability_table(np.arange(10) / 10, np.zeros(10), bins=10)
    assert table["n"].tolist() == [1] * 10


@pytest.mark.parametrize("scores", [[0.2, 1.1], [-0.1, 0.3]])
def test_scores_outside_0_to_1_are_refused(scores):
    with refused("scores-not-probabilities", scores[0], scores[1]):
        calibration.brier(scores, [0, 1])


def test_zero_bins_are_refused():
    with refused("bins-range", 0):
        calibration.reliability_table([0.5], [1], bins=0)


@pytest.mark.parametrize("seed", range(4))
def test_both_methods_maximise_the_likelihood(seed):
    scores, labels = made(0.6 + 0.3 * seed, 0.4 - 0.3 * seed, 800, seed)
    x = logit(scores)
    platt = calibration.fit_calibration(scores, labels, "platt")
    peer = sm.GLM(labels, sm.add_constant(x), family=sm.families.Binomial()).fit(tol=1e-14)
    assert (platt.intercept.value, platt.slope.value) == pytest.approx(tuple(peer.params), abs=1e-9)
    assert (platt.slope.low, platt.slope.high) == pytest.approx(tuple(peer.conf_int()[1]), abs=1e-7)
    scaled = calibration.fit_calibration(scores, labels, "temperature")
    # The score equation of the single coefficient, solved by bisection.
    root = brentq(lambda slope: ((expit(slope * x) - labels) * x).sum(), 1e-3, 20, xtol=1e-15)
    assert scaled.temperature.value == pytest.approx(1 / root, abs=1e-9) and scaled.intercept.value == 0
    assert scaled.temperature.low < 1 / root < scaled.temperature.high
    assert scaled.apply(scores) == pytest.approx(expit(x * root), abs=1e-12)
    assert np.isnan(platt.temperature.value)


@pytest.mark.parametrize("method", calibration.CALIBRATIONS)
def test_calibrated_scores_have_slope_1_on_the_studies_of_the_fit(method):
    scores, labels = made(0.5, 0.0, 3000)
    fitted = calibration.fit_calibration(scores, labels, method)
    before, after = (calibration.calibration_facts(part, labels) for part in (scores, fitted.apply(scores)))
    assert after["log_loss"] < before["log_loss"] and after["ece"] < before["ece"]
    assert after["slope"] == pytest.approx(1, abs=1e-8 if method == "platt" else 0.02)
    assert sum(row["n"] for row in after["reliability"]) == 3000
    assert (np.argsort(fitted.apply(scores), kind="stable") == np.argsort(scores, kind="stable")).all()


def test_temperature_scaling_corrects_overconfident_scores():
    scores, labels = made(1.0, 0.0, 3000)
    sure = expit(30 * logit(scores))
    fitted = calibration.fit_calibration(sure, labels, "temperature")
    assert 10 < fitted.temperature.value < 31
    assert calibration.log_loss(fitted.apply(sure), labels) < calibration.log_loss(sure, labels) / 2


@pytest.mark.parametrize("method", calibration.CALIBRATIONS)
def test_a_calibration_that_cannot_be_fitted_is_refused(method):
    scores, labels = made(1.0, 0.0, 200)
    for bad, truth, code, figure in (
        (scores, np.ones(200), "calibration-too-few", "no normal"),
        (P, Y, "calibration-too-few", "9 abnormal studies, 10 are needed"),
        (np.full(200, 0.5), labels, "calibration-scores-equal", 200),
        (np.where(labels == 1, 0.8, 0.3), labels, "calibration-separated", int(labels.sum())),
        (1 - scores, labels, "calibration-reversed", "slope -"),
        (scores + 1, labels, "scores-not-probabilities", "to 1."),
    ):
        with refused(code, figure):
            calibration.fit_calibration(bad, truth, method)
    with refused("calibration-method-unknown", "isotonic", "temperature or platt"):
        calibration.fit_calibration(scores, labels, "isotonic")


def test_improvement_is_the_difference_of_losses_with_intervals_by_patient():
    scores, labels = made(0.5, 0.0, 600)
    after = calibration.fit_calibration(scores, labels).apply(scores)
    groups = np.arange(600) // 2
    found = calibration.improvement(scores, after, labels, groups, draws=300)
    for name, loss in (("log_loss", calibration.log_loss), ("brier", calibration.brier)):
        assert found[name].value == pytest.approx(loss(scores, labels) - loss(after, labels), abs=1e-12)
        slow = bootstrap_by_loop(
            groups, lambda rows, of=loss: of(scores[rows], labels[rows]) - of(after[rows], labels[rows]), 300, 0
        )
        assert (found[name].low, found[name].high) == pytest.approx(np.quantile(slow, [0.025, 0.975]), abs=1e-12)
