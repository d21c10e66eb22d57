import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, cohen_kappa_score, f1_score, matthews_corrcoef

from core.metrics import confusion
from core.metrics.intervals import proportion, wilson

Z = 1.959963984540054
DENSENET = {"tp": 420, "fp": 66, "tn": 595, "fn": 118}


def arrays(tp, fp, tn, fn):
    return np.repeat([1, 0, 0, 1], [tp, fp, tn, fn]), np.repeat([1, 1, 0, 0], [tp, fp, tn, fn])


def error(estimate):
    return (estimate.high - estimate.low) / 2 / Z


def test_published_kappa_with_its_standard_error():
    found = confusion.kappa(tp=20, fp=10, tn=15, fn=5)
    assert (found.value, found.low, found.high) == pytest.approx((0.4, 0.151092290, 0.648907710), abs=1e-9)
    assert error(found) == pytest.approx(0.126996063, abs=1e-9) and found.n == 50


def test_published_figures_of_1199_studies():
    kappa = confusion.kappa(**DENSENET)
    assert (kappa.value, error(kappa)) == pytest.approx((0.686998468, 0.021125261), abs=1e-9)
    assert confusion.mcc(**DENSENET).value == pytest.approx(0.689702100, abs=1e-9)
    assert confusion.f1(**DENSENET).value == pytest.approx(0.8203125, abs=1e-12)
    assert confusion.balanced_accuracy(**DENSENET).value == pytest.approx(0.840410215, abs=1e-9)
    positive = confusion.likelihood_ratio_positive(**DENSENET)
    negative = confusion.likelihood_ratio_negative(**DENSENET)
    assert (positive.value, negative.value) == pytest.approx((7.818520, 0.243660), abs=1e-6)


def test_t20_at_one_half():
    at = {"tp": 6, "fp": 2, "tn": 9, "fn": 3}
    assert confusion.kappa(**at).value == pytest.approx(0.489795918, abs=1e-9)
    assert confusion.mcc(**at).value == pytest.approx(0.492365964, abs=1e-9)
    assert confusion.f1(**at).value == pytest.approx(0.705882353, abs=1e-9)
    assert confusion.balanced_accuracy(**at).value == pytest.approx(0.742424242, abs=1e-9)
    assert "9 abnormal studies, 10 are needed" in confusion.kappa(**at).why and np.isnan(confusion.kappa(**at).low)


@pytest.mark.parametrize("seed", range(8))
def test_values_agree_with_scikit_learn(seed):
    tp, fp, tn, fn = np.random.default_rng(seed).integers(1, 60, 4).tolist()
    labels, calls = arrays(tp, fp, tn, fn)
    assert confusion.kappa(tp, fp, tn, fn).value == pytest.approx(cohen_kappa_score(labels, calls), abs=1e-12)
    assert confusion.mcc(tp, fp, tn, fn).value == pytest.approx(matthews_corrcoef(labels, calls), abs=1e-12)
    assert confusion.f1(tp, fp, tn, fn).value == pytest.approx(f1_score(labels, calls), abs=1e-12)
    assert confusion.balanced_accuracy(tp, fp, tn, fn).value == pytest.approx(
        balanced_accuracy_score(labels, calls), abs=1e-12
    )
    assert confusion.accuracy(tp, fp, tn, fn).value == pytest.approx((labels == calls).mean(), abs=1e-12)


@pytest.mark.parametrize("name", ["kappa", "mcc"])
@pytest.mark.parametrize("cells", [(200, 60, 250, 90), (90, 10, 120, 80)])
def test_standard_errors_agree_with_a_numerical_slope(name, cells):
    """The delta method on the multinomial, with the derivative by central differences."""
    figure, total = getattr(confusion, name), sum(cells)
    slope = np.zeros(4)
    for i in range(4):
        step = np.eye(4)[i] * 1e-3
        slope[i] = (figure(*(np.array(cells) + step)).value - figure(*(np.array(cells) - step)).value) / 2e-3 * total
    share = np.array(cells) / total
    expected = np.sqrt(((share * slope**2).sum() - (share * slope).sum() ** 2) / total)
    assert error(figure(*cells)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", ["kappa", "mcc", "f1", "balanced_accuracy", "accuracy"])
def test_intervals_cover_about_95_in_100(name):
    share = np.array([0.35, 0.08, 0.45, 0.12])  # tp, fp, tn, fn
    figure = getattr(confusion, name)
    truth = figure(*(share * 1e6)).value
    draws = np.random.default_rng(0).multinomial(400, share, size=1000)
    inside = [found.low <= truth <= found.high for found in (figure(*row.tolist()) for row in draws)]
    assert 0.93 <= np.mean(inside) <= 0.98


def test_likelihood_ratio_intervals_are_those_of_the_logarithm():
    positive = confusion.likelihood_ratio_positive(**DENSENET)
    negative = confusion.likelihood_ratio_negative(**DENSENET)
    half = Z * np.sqrt(1 / 420 - 1 / 538 + 1 / 66 - 1 / 661)
    assert np.log([positive.low, positive.high]) == pytest.approx(np.log(positive.value) + half * np.array([-1, 1]))
    half = Z * np.sqrt(1 / 118 - 1 / 538 + 1 / 595 - 1 / 661)
    assert np.log([negative.low, negative.high]) == pytest.approx(np.log(negative.value) + half * np.array([-1, 1]))


def test_f1_interval_is_that_of_a_proportion():
    found, (low, high) = confusion.f1(**DENSENET), wilson(420, 604)
    assert (found.low, found.high) == pytest.approx((2 * low / (1 + low), 2 * high / (1 + high)), abs=1e-12)


@pytest.mark.parametrize("at", [(7, 0, 0, 4), (0, 3, 9, 0), (0, 0, 0, 0)])
def test_one_class_is_not_estimable(at):
    figures = [confusion.kappa(*at), confusion.mcc(*at), confusion.balanced_accuracy(*at)]
    for found in (*figures, confusion.likelihood_ratio_positive(*at), confusion.likelihood_ratio_negative(*at)):
        assert np.isnan(found.value) and np.isnan(found.low) and "not estimable" in found.why and found.n == sum(at)


def test_sensitivity_needs_only_abnormal_studies():
    assert confusion.sensitivity(15, 5) == proportion(15, 20)
    assert np.isnan(confusion.specificity(0, 0).value) and "no normal studies" in confusion.specificity(0, 0).why


def test_a_rate_needs_ten_studies_of_its_class_for_an_interval():
    assert np.isnan(confusion.sensitivity(6, 3).low) and confusion.sensitivity(6, 3).value == 6 / 9
    assert confusion.sensitivity(6, 3).why == "no interval: 9 abnormal, 10 are needed"
    assert confusion.sensitivity(6, 4).why == "" and confusion.sensitivity(6, 4).low > 0


def test_mcc_is_undefined_where_every_study_gets_the_same_call():
    found = confusion.mcc(tp=0, fp=0, tn=30, fn=20)
    assert np.isnan(found.value) and "same call" in found.why
    kappa = confusion.kappa(tp=0, fp=0, tn=30, fn=20)
    assert kappa.value == 0 and np.isnan(kappa.low) and "degenerate" in kappa.why


def test_perfect_agreement_has_no_interval():
    for figure in (confusion.kappa, confusion.mcc):
        found = figure(tp=30, fp=0, tn=50, fn=0)
        assert found.value == 1 and np.isnan(found.low) and "degenerate" in found.why


def test_an_unbounded_likelihood_ratio_is_undefined_with_a_reason():
    positive = confusion.likelihood_ratio_positive(tp=30, fp=0, tn=50, fn=10)
    negative = confusion.likelihood_ratio_negative(tp=30, fp=0, tn=50, fn=10)
    assert np.isnan(positive.value) and "no false positive" in positive.why and negative.why == ""
    none_missed = confusion.likelihood_ratio_negative(tp=40, fp=5, tn=45, fn=0)
    assert none_missed.value == 0 and np.isnan(none_missed.low) and none_missed.why
