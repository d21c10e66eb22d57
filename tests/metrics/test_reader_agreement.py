"""Kappa of readers, compared with published figures and statsmodels."""

import numpy as np
import pytest

from core.metrics.confusion import kappa
from core.metrics.reader_agreement import cohen, fleiss, raw_agreement

# Fleiss (1971): ten subjects, fourteen raters, five categories.
FLEISS = np.array(
    [
        [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
    ]
)  # fmt: skip


def test_cohens_kappa_of_a_published_example():
    found = cohen(np.array([[20, 5], [10, 15]]))
    assert found.value == pytest.approx(0.4)
    assert (found.low, found.high) == pytest.approx((0.151092290, 0.648907710), abs=1e-8)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("kinds", [2, 3, 4])
def test_cohens_kappa_agrees_with_statsmodels(seed, kinds):
    inter_rater = pytest.importorskip("statsmodels.stats.inter_rater")
    table = np.random.default_rng(seed).integers(0, 40, (kinds, kinds))
    wanted, found = inter_rater.cohens_kappa(table), cohen(table)
    assert found.value == pytest.approx(wanted.kappa)
    assert (found.low, found.high) == pytest.approx((max(-1, wanted.kappa_low), min(1, wanted.kappa_upp)))


def test_cohens_kappa_of_readers_equals_that_of_model_and_label():
    found, wanted = cohen(np.array([[420, 118], [66, 595]])), kappa(tp=420, fn=118, fp=66, tn=595)
    assert (found.value, found.low, found.high) == pytest.approx((wanted.value, wanted.low, wanted.high))


def test_fleiss_kappa_of_his_published_table():
    assert fleiss(FLEISS).value == pytest.approx(0.20993070442)


@pytest.mark.parametrize("seed", range(5))
def test_fleiss_kappa_agrees_with_statsmodels(seed):
    inter_rater = pytest.importorskip("statsmodels.stats.inter_rater")
    counts = np.random.default_rng(seed).multinomial(5, [0.5, 0.3, 0.2], 40)
    assert fleiss(counts).value == pytest.approx(inter_rater.fleiss_kappa(counts))
    assert raw_agreement(counts).value == pytest.approx(((counts * (counts - 1)).sum(1) / 20).mean())


def test_the_bootstrap_interval_is_close_to_the_closed_form():
    random = np.random.default_rng(3)
    first = random.random(400) < 0.4
    second = np.where(random.random(400) < 0.85, first, ~first)
    counts = np.stack([first.astype(int) + second, 2 - first.astype(int) - second], axis=1)
    table = np.array(
        [[(first & second).sum(), (first & ~second).sum()], [(~first & second).sum(), (~first & ~second).sum()]]
    )
    ours, formula = fleiss(counts), cohen(table)
    assert (ours.low, ours.high) == pytest.approx((formula.low, formula.high), abs=0.02)


def test_duplicate_studies_of_a_patient_do_not_narrow_the_interval():
    counts = np.random.default_rng(0).multinomial(3, [0.6, 0.4], 50)
    once = fleiss(counts)
    again = fleiss(np.repeat(counts, 4, axis=0), np.repeat(np.arange(50), 4))
    assert (again.value, again.low, again.high) == pytest.approx((once.value, once.low, once.high))


def test_undefined_agreement_has_a_reason():
    assert "every read is the same" in cohen(np.array([[30, 0], [0, 0]])).why
    assert "every read is the same" in fleiss(np.array([[3, 0]] * 20)).why
    assert "no study" in cohen(np.zeros((2, 2), int)).why
    assert "read twice" in fleiss(np.array([[1, 0], [0, 1]])).why
    few = fleiss(np.array([[2, 0], [1, 1], [0, 2]]))
    assert np.isnan(few.low) and "3 read twice" in few.why and few.value == pytest.approx(1 / 3)


def test_studies_with_a_single_read_are_left_out():
    counts = np.random.default_rng(1).multinomial(3, [0.5, 0.5], 30)
    more = np.concatenate([counts, np.array([[1, 0]] * 50)])
    assert fleiss(more).value == fleiss(counts).value
