import numpy as np
import pytest
from scipy.special import expit
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

from core.metrics.counts import counts_table
from core.metrics.ranking import (
    area,
    auroc,
    auroc_difference,
    average_precision,
    delong,
    precision_recall_table,
    roc_table,
)
from tests.metrics.examples import ALB, KG, OUTCOME, TP, P, Q, Y, tied
from tests.oracles import average_precision_by_loop, delong_by_pairs, pair_wins
from tests.refusals import refused

SEEDS = range(6)


@pytest.mark.parametrize(
    ("scores", "value", "error", "low", "high"),
    [
        (KG, 0.725806451612903, 0.102821608980048, 0.524279801, 0.927333102),
        (ALB, 0.736559139784946, 0.0926943460524027, 0.554881560, 0.918236720),
        (TP, 0.647849462365591, 0.100047375583742, 0.451760209, 0.843938715),
    ],
)
def test_areas_of_delongs_43_patients(scores, value, error, low, high):
    found, variance = delong(scores, OUTCOME)
    assert found == pytest.approx(value, abs=1e-14) and np.sqrt(variance) == pytest.approx(error, abs=1e-14)
    estimate = auroc(scores, OUTCOME, interval="normal")
    assert (estimate.low, estimate.high) == pytest.approx((low, high), abs=1e-9)
    assert estimate.n == 43 and estimate.why == ""


def test_comparisons_of_delongs_paper():
    albumin, protein = auroc_difference(KG, ALB, OUTCOME), auroc_difference(KG, TP, OUTCOME)
    assert (albumin["z"], albumin["p"]) == pytest.approx((-0.112778269044526, 0.910206347201035), abs=1e-12)
    assert (protein["z"], protein["p"]) == pytest.approx((0.745218389657993, 0.456139707507474), abs=1e-12)
    assert albumin["low"] < albumin["difference"] < albumin["high"] and albumin["why"] == ""
    assert albumin["difference"] == pytest.approx(0.725806451612903 - 0.736559139784946, abs=1e-14)


def test_identical_scores_have_a_difference_of_exactly_0():
    found = auroc_difference(KG, KG, OUTCOME)
    assert (found["difference"], found["z"], found["p"]) == (0.0, 0.0, 1.0)
    assert "degenerate" in found["why"] and np.isnan(found["low"])


def test_t20():
    assert delong(P, Y) == pytest.approx((0.838383838383838, 0.00867258443016), abs=1e-14)
    assert delong(Q, Y) == pytest.approx((0.919191919191919, 0.00395877971636), abs=1e-14)
    normal, logit = auroc(P, Y, interval="normal", fewest=2), auroc(P, Y, fewest=2)
    assert (normal.low, normal.high) == pytest.approx((0.655858837, 1.0), abs=1e-9)
    assert (logit.low, logit.high) == pytest.approx((0.574239090, 0.952272154), abs=1e-9)
    found = auroc_difference(P, Q, Y)
    assert (found["z"], found["p"]) == pytest.approx((-1.15470053838, 0.248213078990), abs=1e-11)
    assert (found["auroc_a"], found["auroc_b"]) == pytest.approx((0.838383838, 0.919191919), abs=1e-9)
    assert np.isnan(found["low"]) and "9 abnormal studies, 10 are needed" in found["why"]


def test_t20_average_precision_is_not_the_trapezoid():
    curve = precision_recall_table(counts_table(P, Y)).iloc[1:]
    trapezoid = np.trapezoid([1.0, *curve["ppv"]], [0.0, *curve["sensitivity"]])
    assert average_precision(P, Y) == pytest.approx(0.833046737213, abs=1e-12)
    assert trapezoid == pytest.approx(0.822247274331, abs=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_delong_agrees_with_counting_every_pair(seed):
    (a, labels), (b, _) = tied(seed), tied(seed + 100)
    areas, covariance = delong_by_pairs(a, b, labels)
    assert delong(a, labels) == pytest.approx((areas[0], covariance[0, 0]), abs=1e-14)
    found = auroc_difference(a, b, labels)
    z = (areas[0] - areas[1]) / np.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    assert found["z"] == pytest.approx(z, abs=1e-10)


@pytest.mark.parametrize("seed", SEEDS)
def test_curves_and_areas_agree_with_scikit_learn_with_ties(seed):
    scores, labels = tied(seed)
    counts = counts_table(scores, labels)
    x, y, thresholds = roc_curve(labels, scores, drop_intermediate=False)
    full = {t: (a, b) for a, b, t in zip(x, y, thresholds, strict=True)}
    for row in roc_table(counts).itertuples():
        assert (row.false_positive_rate, row.sensitivity) == pytest.approx(full[row.threshold], abs=1e-15)
        assert row.specificity == pytest.approx(1 - row.false_positive_rate, abs=1e-15)
    precision, recall, thresholds = precision_recall_curve(labels, scores)
    ours = precision_recall_table(counts).iloc[:0:-1]
    assert ours["threshold"].tolist() == thresholds.tolist()
    assert ours["ppv"].tolist() == pytest.approx(precision[:-1].tolist(), abs=1e-15)
    assert ours["sensitivity"].tolist() == pytest.approx(recall[:-1].tolist(), abs=1e-15)
    assert auroc(scores, labels).value == pytest.approx(roc_auc_score(labels, scores), abs=1e-14)
    assert average_precision(scores, labels) == pytest.approx(average_precision_score(labels, scores), abs=1e-14)
    assert average_precision(scores, labels) == pytest.approx(average_precision_by_loop(scores, labels), abs=1e-14)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_roc_table_has_only_corners_and_the_same_area(seed):
    random = np.random.default_rng(seed)
    scores, labels = random.normal(size=400), random.integers(0, 2, 400)
    table = roc_table(counts_table(scores, labels))
    assert area(table) == pytest.approx(pair_wins(scores, labels).mean(), abs=1e-14)
    steps = np.diff(table[["false_positive_rate", "sensitivity"]].to_numpy(), axis=0)
    turn = steps[:-1, 0] * steps[1:, 1] - steps[:-1, 1] * steps[1:, 0]
    assert (np.abs(turn) > 1e-9).all()
    assert table.iloc[0, 1:3].tolist() == [0, 0] and table.iloc[-1, 1:3].tolist() == [1, 1]
    assert len(table) < 401


def test_collinear_points_of_the_roc_curve_are_removed():
    # Two groups of ties with the same share of abnormal studies: (0,0) -> (1/3,1/3) -> (1,1).
    scores, labels = [3, 3, 1, 1, 1, 1], [1, 0, 1, 1, 0, 0]
    assert len(roc_table(counts_table(scores, labels))) == 2


@pytest.mark.parametrize("seed", SEEDS)
def test_areas_do_not_change_under_a_monotone_map_or_reordering(seed):
    scores, labels = tied(seed)
    shuffled = np.random.default_rng(seed).permutation(len(scores))
    for other, of in ((np.exp(5 * scores), labels), (expit(scores), labels), (scores[shuffled], labels[shuffled])):
        assert auroc(other, of).value == auroc(scores, labels).value
        assert auroc(other, of).low == pytest.approx(auroc(scores, labels).low, abs=1e-13)
        assert average_precision(other, of) == average_precision(scores, labels)


@pytest.mark.parametrize("seed", SEEDS)
def test_negated_scores_mirror_the_area(seed):
    scores, labels = tied(seed)
    one, other = auroc(scores, labels), auroc(-scores, labels)
    assert (one.value, one.low, one.high) == pytest.approx((1 - other.value, 1 - other.high, 1 - other.low), abs=1e-12)


def test_the_area_of_one_class_is_undefined_and_not_one_half():
    for labels, lacking in ((np.ones(20), "normal"), (np.zeros(20), "abnormal")):
        found = auroc(P, labels)
        assert np.isnan(found.value) and np.isnan(found.low) and lacking in found.why and found.n == 20
        assert np.isnan(average_precision(P, labels))
        compared = auroc_difference(P, Q, labels)
        assert np.isnan(compared["difference"]) and np.isnan(compared["p"]) and lacking in compared["why"]
    assert auroc([], []).n == 0 and "no labelled studies" in auroc([], []).why


def test_fewer_than_ten_of_a_class_has_a_value_and_no_interval():
    found = auroc(P, Y)
    assert found.value == pytest.approx(0.838383838, abs=1e-9)
    assert np.isnan(found.low) and np.isnan(found.high)
    assert found.why == "no interval: 9 abnormal studies, 10 are needed"
    assert not np.isnan(auroc(np.r_[P, 0.99], np.r_[Y, 1]).low)
    single = auroc([0.2, 0.3, 0.4], [0, 0, 1], fewest=0)
    assert single.value == 1.0 and np.isnan(single.low)


@pytest.mark.parametrize("scores", [np.r_[np.zeros(40), np.ones(40)], np.zeros(80)])
def test_an_area_with_standard_error_0_has_no_interval(scores):
    found = auroc(scores, np.r_[np.zeros(40), np.ones(40)])
    assert found.value in (1.0, 0.5) and np.isnan(found.low) and "degenerate" in found.why


def test_the_logit_interval_is_used_for_high_areas_and_small_classes():
    random = np.random.default_rng(3)
    labels = np.r_[np.zeros(60), np.ones(60)]
    middle, high = random.normal(labels), random.normal(3.2 * labels)
    assert auroc(middle, labels) == auroc(middle, labels, interval="normal")
    assert auroc(high, labels).value > 0.95 and auroc(high, labels) == auroc(high, labels, interval="logit")
    small = slice(31, 120)
    assert auroc(middle[small], labels[small]) == auroc(middle[small], labels[small], interval="logit")
    enough = slice(30, 120)
    assert auroc(middle[enough], labels[enough]) == auroc(middle[enough], labels[enough], interval="normal")
    assert auroc(high, labels).high < 1


def test_an_unknown_interval_is_refused():
    with refused("interval-method-unknown", "exact"):
        auroc(P, Y, interval="exact")


def test_precision_is_undefined_where_nothing_is_called_abnormal():
    assert np.isnan(precision_recall_table(counts_table(P, Y))["ppv"][0])


def test_a_curve_of_one_class_has_no_false_positive_rate():
    table = roc_table(counts_table(P, np.ones(20)))
    assert table["false_positive_rate"].isna().all() and table["sensitivity"].tolist()[-1] == 1
