import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import roc_auc_score

from core.metrics.intervals import (
    Estimate,
    auroc_statistic,
    bootstrap_draws,
    bounds,
    clopper_pearson,
    mcnemar,
    newcombe,
    patient_bootstrap,
    patient_means,
    percentile_interval,
    proportion,
    rate_statistic,
    weighted_sum,
    wilson,
)
from core.metrics.ranking import delong
from tests.metrics.examples import P, Y, tied
from tests.oracles import bootstrap_by_loop, clopper_pearson_by_root, pair_wins, wilson_by_root
from tests.refusals import refused


@pytest.mark.parametrize(
    ("k", "n", "score", "exact"),
    [
        (81, 263, (0.25528852, 0.36620958), (0.25273675, 0.36762192)),
        (0, 20, (0.0, 0.16112516), (0.0, 0.16843347)),
        (1, 29, (0.00611321, 0.17175522), (0.00087265, 0.17764430)),
    ],
)
def test_published_proportions(k, n, score, exact):
    assert wilson(k, n) == pytest.approx(score, abs=1e-8)
    assert clopper_pearson(k, n) == pytest.approx(exact, abs=1e-8)


@pytest.mark.parametrize("n", [1, 2, 7, 30])
def test_intervals_equal_their_defining_roots_and_scipys(n):
    k = np.arange(n + 1)
    pairs = ((wilson, wilson_by_root, "wilson"), (clopper_pearson, clopper_pearson_by_root, "exact"))
    for vectorised, slow, name in pairs:
        low, high = vectorised(k, n)
        for hits in k:
            assert (low[hits], high[hits]) == pytest.approx(slow(hits, n), abs=1e-10)
            known = binomtest(int(hits), n).proportion_ci(method=name)
            assert (low[hits], high[hits]) == pytest.approx((known.low, known.high), abs=1e-10)
        assert low[0] == 0.0 and high[-1] == 1.0
        assert np.allclose(low, 1 - high[::-1], atol=1e-12)


def test_a_proportion_of_0_studies_is_undefined():
    for method in (wilson, clopper_pearson):
        low, high = method([0, 3], [0, 4])
        assert np.isnan(low[0]) and np.isnan(high[0]) and 0 < low[1] < high[1] < 1
    assert np.isnan(proportion(0, 0).value) and proportion(0, 0).why == "0 of 0"
    assert proportion(3, 4) == Estimate(0.75, *map(float, wilson(3, 4)), 4)


@pytest.mark.parametrize(("k", "n"), [(5, 4), (-1, 4), (np.nan, 4)])
def test_impossible_counts_are_refused(k, n):
    with refused("proportion-range", k, n):
        wilson(k, n)


def test_an_unknown_method_is_refused():
    with refused("interval-method-unknown", "wald"):
        bounds(1, 2, "wald")


@pytest.mark.parametrize(
    ("counts", "low", "high"),
    [
        ((56, 70, 48, 80), 0.0524, 0.3339), ((9, 10, 3, 10), 0.1705, 0.8090), ((6, 7, 2, 7), 0.0582, 0.8062),
        ((5, 56, 0, 29), -0.0381, 0.1926), ((0, 10, 0, 20), -0.1611, 0.2775), ((0, 10, 0, 10), -0.2775, 0.2775),
        ((10, 10, 0, 20), 0.6791, 1.0), ((10, 10, 0, 10), 0.6075, 1.0),
    ],
)  # fmt: skip
def test_differences_equal_newcombes_published_table(counts, low, high):
    found = newcombe(*counts)
    assert (found.low, found.high) == pytest.approx((low, high), abs=6e-5)


@pytest.mark.parametrize(
    ("k", "n", "score", "exact"),
    [
        (81, 263, (0.2553, 0.3662), (0.2527, 0.3676)), (15, 148, (0.0624, 0.1605), (0.0578, 0.1617)),
        (0, 20, (0.0, 0.1611), (0.0, 0.1684)), (1, 29, (0.0061, 0.1718), (0.0009, 0.1776)),
    ],
)  # fmt: skip
def test_proportions_equal_newcombes_published_table(k, n, score, exact):
    for method, printed in (("wilson", score), ("clopper_pearson", exact)):
        assert [float(end) for end in bounds(k, n, method)] == pytest.approx(list(printed), abs=6e-5)


def test_newcombe_and_mcnemar_equal_published_figures():
    found = newcombe(56, 70, 48, 80)
    assert (found.value, found.low, found.high) == pytest.approx((0.2, 0.052431, 0.333873), abs=1e-6)
    turned = newcombe(48, 80, 56, 70)
    assert (turned.low, turned.high) == pytest.approx((-found.high, -found.low), abs=1e-12)
    assert mcnemar(10, 2) == pytest.approx(0.0385742, abs=1e-7)
    assert mcnemar(2, 10) == mcnemar(10, 2) and mcnemar(0, 0) == 1.0 and mcnemar(4, 4) == 1.0
    for b, c in ((7, 1), (3, 5), (40, 25)):
        assert mcnemar(b, c) == pytest.approx(binomtest(b, b + c).pvalue, abs=1e-12)


def test_a_weighted_sum_of_one_estimate_is_that_estimate():
    one, zero = proportion(8, 10), Estimate(0.0, 0.0, 0.0, 0)
    found = weighted_sum(one, zero, 1.0, 1.0)
    assert (found.value, found.low, found.high) == pytest.approx((one.value, one.low, one.high), abs=1e-15)


# ---- resampling patients


@pytest.fixture(scope="module")
def clustered():
    scores, labels = tied(11, n=120)
    return np.random.default_rng(0).integers(0, 45, 120), scores, labels


def test_draws_agree_with_a_loop_that_copies_rows(clustered):
    groups, scores, labels = clustered

    def area(rows):
        return pair_wins(scores[rows], labels[rows]).mean()

    def sensitivity(rows):
        return (scores[rows][labels[rows] == 1] >= 0.5).mean()

    slow = bootstrap_by_loop(groups, area, 40, seed=5)
    assert bootstrap_draws(groups, auroc_statistic(scores, labels), 40, seed=5) == pytest.approx(slow, abs=1e-13)
    slow = bootstrap_by_loop(groups, sensitivity, 300, seed=5)
    fast = bootstrap_draws(groups, rate_statistic(scores >= 0.5, labels == 1), 300, seed=5)
    assert fast == pytest.approx(slow, abs=1e-13)


def test_one_study_a_patient_is_the_ordinary_bootstrap():
    scores, labels = tied(2, n=60)
    random = np.random.default_rng(9)
    plain = []
    for _ in range(500):
        rows = random.integers(60, size=60)
        plain.append(roc_auc_score(labels[rows], scores[rows]))
    found = patient_bootstrap(np.arange(60), auroc_statistic(scores, labels), draws=500, seed=9)
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(plain, [0.025, 0.975])), abs=1e-12)
    assert found.value == pytest.approx(roc_auc_score(labels, scores), abs=1e-14) and found.n == 60


def test_duplicate_studies_of_a_patient_leave_the_bootstrap_unchanged():
    errors, found = [], []
    for k in (1, 2, 4):
        scores, labels, groups = (np.repeat(part, k) for part in (P, Y, np.arange(20)))
        errors.append(np.sqrt(delong(scores, labels)[1]))
        found.append(patient_bootstrap(groups, auroc_statistic(scores, labels), draws=400, seed=1))
    assert errors == pytest.approx([0.093127, 0.064045, 0.044687], abs=1e-6)
    assert {(one.value, one.low, one.high) for one in found} == {(found[0].value, found[0].low, found[0].high)}
    assert [one.n for one in found] == [20, 40, 80]


def test_draws_depend_on_the_seed_and_not_on_the_order_of_rows(clustered):
    groups, scores, labels = clustered
    shuffled = np.random.default_rng(4).permutation(len(groups))
    one = bootstrap_draws(groups, auroc_statistic(scores, labels), 300, seed=3)
    other = bootstrap_draws(groups[shuffled], auroc_statistic(scores[shuffled], labels[shuffled]), 300, seed=3)
    assert one == pytest.approx(other, abs=1e-13)
    assert not np.array_equal(one, bootstrap_draws(groups, auroc_statistic(scores, labels), 300, seed=4))
    # The first draws do not depend on the number of draws.
    assert np.array_equal(one[:260], bootstrap_draws(groups, auroc_statistic(scores, labels), 260, seed=3))


def test_the_bootstrap_draws_patients_and_not_studies():
    # Ten patients whose studies are all correct or all wrong: the spread is that of 10, not of 1,000.
    hit = np.repeat(np.arange(10) < 7, 100)
    found = patient_bootstrap(np.repeat(np.arange(10), 100), rate_statistic(hit, np.ones(1000)), draws=1000)
    assert found.value == 0.7 and found.high - found.low > 0.4


def test_draws_without_a_class_are_counted():
    labels = np.r_[np.ones(2), np.zeros(30)]
    scores = np.linspace(0, 1, 32)
    found = patient_bootstrap(np.arange(32), auroc_statistic(scores, labels), draws=400)
    assert found.value == 0.0 and np.isnan(found.low) and "draws lack a class" in found.why
    assert percentile_interval(np.r_[np.full(95, 0.5), np.full(5, np.nan)]).why == ""
    assert "6 of 100" in percentile_interval(np.r_[np.full(94, 0.5), np.full(6, np.nan)]).why


def test_the_bootstrap_with_few_patients_one_class_or_no_studies():
    statistic = auroc_statistic(P, Y)
    few = patient_bootstrap(np.arange(20) // 4, statistic)
    assert not np.isnan(few.value) and np.isnan(few.low) and "5 patients" in few.why
    one = patient_bootstrap(np.arange(20), auroc_statistic(P, np.ones(20)))
    assert np.isnan(one.value) and one.why
    assert patient_bootstrap([], auroc_statistic([], [])).n == 0


@pytest.mark.parametrize(("studies", "patients"), [(300, 90), (300, 300), (40, 6), (0, 1)])
def test_means_on_the_same_draws_are_those_of_each_alone(studies, patients):
    draw = np.random.default_rng(4)
    groups = np.array([f"p{number}" for number in draw.permutation(np.arange(studies) % patients)], dtype=str)
    values = [draw.normal(size=studies), draw.normal(size=studies) + 1]
    together = patient_means(values, groups)
    # A share of the studies is such a mean: `patient_bootstrap` weighs studies instead of summing patients.
    alone = [patient_bootstrap(groups, lambda weights, one=one: (one @ weights) / weights.sum(0)) for one in values]
    for one, two in zip(together, alone, strict=True):
        assert (one.n, one.why) == (two.n, two.why)
        assert (one.value, one.low, one.high) == pytest.approx((two.value, two.low, two.high), nan_ok=True)
