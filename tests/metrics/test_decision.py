import numpy as np
import pytest

from core.metrics.counts import counts_at, counts_table
from core.metrics.decision import at_prevalence, net_benefit_table, predictive_values
from core.metrics.intervals import wilson
from tests.metrics.examples import P, Y
from tests.refusals import refused

DENSENET = {"tp": 420, "fp": 66, "tn": 595, "fn": 118}
Z = 1.959963984540054


@pytest.mark.parametrize(
    ("prevalence", "ppv", "npv", "alerts", "review"),
    [
        (0.05, 0.291534, 0.987338, 13.3890, 3.4301),
        (0.10, 0.464876, 0.973640, 16.7931, 2.1511),
        (0.20, 0.661548, 0.942583, 23.6013, 1.5116),
    ],
)
def test_published_figures_at_three_prevalences(prevalence, ppv, npv, alerts, review):
    plain = at_prevalence(420 / 538, 595 / 661, prevalence)
    assert (plain["ppv"], plain["npv"]) == pytest.approx((ppv, npv), abs=1e-6)
    assert (plain["alerts_per_100"], plain["number_needed_to_review"]) == pytest.approx((alerts, review), abs=1e-4)
    for name, figure in predictive_values(**DENSENET, prevalence=prevalence).items():
        assert figure.value == pytest.approx(plain[name], abs=1e-12)
        assert figure.low < figure.value < figure.high and figure.n == 1199 and figure.why == ""


def test_without_a_stated_prevalence_figures_are_those_of_the_data():
    found = predictive_values(**DENSENET)
    assert found["ppv"].value == 420 / 486 and (found["ppv"].low, found["ppv"].high) == pytest.approx(wilson(420, 486))
    assert found["npv"].value == 595 / 713 and found["alerts_per_100"].value == pytest.approx(100 * 486 / 1199)
    assert found["number_needed_to_review"].high == pytest.approx(1 / found["ppv"].low)
    at_its_own = predictive_values(**DENSENET, prevalence=538 / 1199)
    for name in found:
        assert at_its_own[name].value == pytest.approx(found[name].value, abs=1e-12)


def test_the_interval_of_ppv_is_mercaldos_on_the_logit():
    """Mercaldo 2007: variance of logit PPV = (1 - Se) / (Se n1) + Sp / ((1 - Sp) n0)."""
    found = predictive_values(**DENSENET, prevalence=0.1)["ppv"]
    sensitivity, specificity = 420 / 538, 595 / 661
    half = Z * np.sqrt((1 - sensitivity) / (sensitivity * 538) + specificity / ((1 - specificity) * 661))
    centre = np.log(found.value / (1 - found.value))
    expected = 1 / (1 + np.exp(-(centre + half * np.array([-1, 1]))))
    assert (found.low, found.high) == pytest.approx(tuple(expected), abs=1e-12)


@pytest.mark.parametrize("name", ["ppv", "npv", "alerts_per_100", "number_needed_to_review"])
def test_intervals_at_a_stated_prevalence_cover_about_95_in_100(name):
    sensitivity, specificity = 0.85, 0.8
    truth = at_prevalence(sensitivity, specificity, 0.08)[name]
    random = np.random.default_rng(0)
    inside = []
    for tp, tn in zip(random.binomial(150, sensitivity, 1000), random.binomial(200, specificity, 1000), strict=True):
        found = predictive_values(int(tp), int(200 - tn), int(tn), int(150 - tp), prevalence=0.08)[name]
        inside.append(found.low <= truth <= found.high)
    assert 0.93 <= np.mean(inside) <= 0.98


def test_a_count_of_0_has_a_value_inside_its_interval():
    found = predictive_values(tp=30, fp=0, tn=50, fn=10, prevalence=0.1)
    assert found["ppv"].value == 1 and found["ppv"].high == 1 and 0.3 < found["ppv"].low < 1
    assert found["number_needed_to_review"].value == 1 and found["number_needed_to_review"].high < 4


def test_ppv_is_undefined_where_nothing_is_called_abnormal():
    for prevalence in (None, 0.1):
        found = predictive_values(tp=0, fp=0, tn=50, fn=10, prevalence=prevalence)
        assert np.isnan(found["ppv"].value) and "no study is called abnormal" in found["ppv"].why
        assert np.isnan(found["number_needed_to_review"].value) and found["alerts_per_100"].value == 0
    wrong = predictive_values(tp=0, fp=5, tn=45, fn=10)
    assert wrong["ppv"].value == 0 and np.isnan(wrong["number_needed_to_review"].value)


def test_one_class_and_small_classes():
    one = predictive_values(tp=10, fp=0, tn=0, fn=10, prevalence=0.1)
    assert np.isnan(one["ppv"].value) and "no normal studies" in one["ppv"].why
    small = predictive_values(tp=6, fp=2, tn=9, fn=3, prevalence=0.1)
    assert small["ppv"].value > 0 and np.isnan(small["ppv"].low) and "9 abnormal" in small["ppv"].why


@pytest.mark.parametrize("prevalence", [0, 1, -0.1, 45, np.nan])
def test_a_prevalence_outside_0_to_1_is_refused(prevalence):
    with refused("prevalence-range", prevalence):
        at_prevalence(0.9, 0.9, prevalence)
    with refused("prevalence-range", prevalence):
        predictive_values(**DENSENET, prevalence=prevalence)


def test_t20_net_benefit():
    table = net_benefit_table(counts_table(P, Y), [0.10, 0.20, 0.25, 0.50])
    assert table["net_benefit"].tolist() == pytest.approx([0.405556, 0.325, 0.333333, 0.2], abs=1e-6)
    assert table["treat_all"].tolist() == pytest.approx([0.388889, 0.3125, 0.266667, -0.1], abs=1e-6)
    assert (table["treat_none"] == 0).all()


def test_net_benefit_agrees_with_its_definition():
    counts = counts_table(P, Y)
    table = net_benefit_table(counts)
    assert len(table) == 99 and table["threshold"].iloc[[0, -1]].tolist() == [0.01, 0.99]
    for row in table.itertuples():
        at = counts_at(counts, row.threshold)
        expected = at["tp"] / 20 - at["fp"] / 20 * row.threshold / (1 - row.threshold)
        assert row.net_benefit == pytest.approx(expected, abs=1e-12)


def test_net_benefit_at_a_stated_prevalence_agrees_with_reweighted_studies():
    counts = counts_table(np.r_[P, P[Y == 0]], np.r_[Y, Y[Y == 0]])
    expected = net_benefit_table(counts)
    found = net_benefit_table(counts_table(P, Y), prevalence=9 / 31)
    for name in ("net_benefit", "treat_all"):
        assert found[name].tolist() == pytest.approx(expected[name].tolist(), abs=1e-12)


def test_net_benefit_of_one_class_and_of_impossible_thresholds():
    assert net_benefit_table(counts_table(P, np.ones(20)))["net_benefit"].isna().all()
    with refused("threshold-range", 1):
        net_benefit_table(counts_table(P, Y), [0.5, 1.0])
