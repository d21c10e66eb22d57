"""Two models on the same studies, compared with statsmodels, published tables and loops over the studies."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom
from sklearn.metrics import cohen_kappa_score, roc_auc_score
from statsmodels.stats.contingency_tables import mcnemar as peer
from statsmodels.stats.multitest import multipletests

from core.metrics.compare import (
    compare,
    discordant_table,
    group_differences,
    match_studies,
    p_text,
    ranking_facts,
    sentences,
)
from core.metrics.intervals import mcnemar, mcnemar_mid, paired_difference
from core.metrics.studies import study_table
from tests.metrics.examples import ALB, KG, OUTCOME, TP, P, Q, Y, one_view_each, predictions
from tests.oracles import bootstrap_by_loop, delong_by_pairs
from tests.refusals import refused


def studies_of(scores, labels, **columns):
    return study_table(one_view_each(np.asarray(scores), labels)).assign(score=scores, **columns)


def two(n=500, seed=0):
    """Two models of the same studies, several studies per patient, three bones."""
    one = study_table(predictions(n, seed))
    other = one.assign(score=np.clip(one["score"] + np.random.default_rng(seed).normal(0, 0.15, n), 0, 1))
    return one, other


def test_area_differences_equal_the_published_ones():
    matched = match_studies(studies_of(KG / 10, OUTCOME), studies_of(ALB / 10, OUTCOME))
    facts = ranking_facts(matched.studies)
    assert (facts["auroc_z"], facts["auroc_p"]) == pytest.approx((-0.112778269044526, 0.910206347201035), abs=1e-12)
    facts = ranking_facts(match_studies(studies_of(KG / 10, OUTCOME), studies_of(TP / 10, OUTCOME)).studies)
    assert (facts["auroc_z"], facts["auroc_p"]) == pytest.approx((0.745218389657993, 0.456139707507474), abs=1e-12)


def test_t20():
    facts = compare(match_studies(studies_of(P, Y), studies_of(Q, Y)), 0.5, 0.35, draws=0)
    assert (facts["auroc_z"], facts["auroc_p"]) == pytest.approx((-1.15470053838, 0.248213078990), abs=1e-11)
    assert [facts[f"{name}_a"] for name in ("tp", "fn", "fp", "tn")] == [6, 3, 2, 9]
    assert facts["kappa_a"] == pytest.approx(0.489795918, abs=1e-9)
    assert facts["kappa_b"] == pytest.approx(cohen_kappa_score(Y, Q >= 0.35), abs=1e-12)


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2, 3))])
def test_every_figure_agrees_with_a_loop(seed):
    one, other = two(seed=seed)
    shuffled = other.sample(frac=1, random_state=seed)
    facts = compare(match_studies(one, shuffled), 0.45, 0.55, by="bone", draws=0)
    a, b, y = one["score"].to_numpy(), other["score"].to_numpy(), one["label"].to_numpy()
    for name, among in (("sensitivity", y == 1), ("specificity", y == 0), ("accuracy", y >= 0)):
        cells = {(True, True): 0, (True, False): 0, (False, True): 0, (False, False): 0}
        for pa, pb, label in zip(a[among], b[among], y[among]):
            cells[(pa >= 0.45) == (label == 1), (pb >= 0.55) == (label == 1)] += 1
        only_a, only_b = cells[True, False], cells[False, True]
        assert (facts[f"{name}_only_a"], facts[f"{name}_only_b"]) == (only_a, only_b)
        table = [[cells[True, True], only_a], [only_b, cells[False, False]]]
        assert facts[f"{name}_p"] == pytest.approx(peer(table, exact=True).pvalue, abs=1e-12)
        assert facts[f"{name}_difference"] == pytest.approx((only_a - only_b) / among.sum(), abs=1e-15)
        assert facts[f"{name}_difference_low"] < facts[f"{name}_difference"] < facts[f"{name}_difference_high"]
    areas, covariance = delong_by_pairs(a, b, y)
    z = (areas[0] - areas[1]) / np.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    assert facts["auroc_z"] == pytest.approx(z, abs=1e-10)
    assert facts["auroc_b"] == pytest.approx(roc_auc_score(y, b), abs=1e-12)
    groups = pd.DataFrame(facts["groups"])
    assert groups["n"].sum() == facts["n"] == 500 and groups["fixed"].sum() == facts["fixed"]
    for name in ("auroc", "sensitivity", "accuracy"):
        expected = multipletests(groups[f"{name}_p"], method="holm")[1]
        assert groups[f"{name}_p_holm"].to_numpy() == pytest.approx(expected, abs=1e-12)


def test_the_difference_by_patient_uses_the_same_draws_for_both_models():
    one, other = two(120)
    facts = ranking_facts(match_studies(one, other).studies, draws=60)
    a, b, y = one["score"].to_numpy(), other["score"].to_numpy(), one["label"].to_numpy()
    slow = bootstrap_by_loop(
        one["group_id"], lambda rows: roc_auc_score(y[rows], a[rows]) - roc_auc_score(y[rows], b[rows]), 60, 0
    )
    bounds = facts["auroc_difference_patient_low"], facts["auroc_difference_patient_high"]
    assert bounds == pytest.approx(np.quantile(slow, [0.025, 0.975]), abs=1e-12)


def test_published_paired_tables():
    # Altman et al. 2000, table 6.2; Newcombe 1998 (paired), table II; a worked example with cells 80, 2, 10, 8.
    for cells, low, high, digits in (
        ((14, 5, 0, 22), 0.011, 0.226, 3), ((36, 12, 2, 0), 0.0569, 0.3404, 4), ((80, 2, 10, 8), -0.1554, -0.0102, 4),
    ):  # fmt: skip
        found = paired_difference(*cells)
        assert (round(found.low, digits), round(found.high, digits)) == (low, high)
    assert mcnemar(10, 2) == pytest.approx(0.0385742, abs=1e-7)


def test_swapping_the_models_mirrors_the_interval():
    one, other = paired_difference(30, 9, 4, 7), paired_difference(30, 4, 9, 7)
    assert (one.value, one.low, one.high) == pytest.approx((-other.value, -other.high, -other.low), abs=1e-15)
    assert paired_difference(0, 5, 0, 0).high == 1 and paired_difference(4, 0, 0, 0).value == 0
    with refused("counts-negative"):
        paired_difference(1, -1, 0, 0)


@pytest.mark.parametrize(("b", "c"), [(10, 2), (2, 10), (0, 0), (5, 5), (0, 7), (700, 640)])
def test_mid_p_is_the_exact_p_minus_the_probability_of_the_observed_table(b, c):
    seen, n = binom.pmf(min(b, c), b + c, 0.5), b + c
    expected = 2 * (binom.cdf(min(b, c), n, 0.5) - seen / 2) if b != c else 1 - seen / 2 * (n > 0)
    assert mcnemar_mid(b, c) == pytest.approx(expected, abs=1e-12)


def test_the_discordant_table_lists_the_studies_only_one_model_classifies_correctly():
    one, other = two()
    matched = match_studies(one, other).studies
    table = discordant_table(matched, 0.4, 0.6)
    facts = compare(match_studies(one, other), 0.4, 0.6, draws=0)
    assert (table["change"] == "fixed").sum() == facts["fixed"] and (table["change"] == "broken").sum() == facts[
        "broken"
    ]
    for row in table.itertuples():
        right = [(row.score_a >= 0.4) == (row.label == 1), (row.score_b >= 0.6) == (row.label == 1)]
        assert right == ([False, True] if row.change == "fixed" else [True, False])
    assert table["study_id"].is_unique and set(table["study_id"]) <= set(one["study_id"])


def test_studies_left_out_are_counted_and_named():
    one, other = two(300)
    one.loc[0, "label"], other.loc[1, "label"] = np.nan, 1 - other.loc[1, "label"]
    matched = match_studies(one.iloc[:280], other.iloc[10:].pipe(lambda rows: pd.concat([other.iloc[:2], rows])))
    assert (matched.only_a, matched.only_b, matched.unlabelled, matched.contradicted) == (8, 20, 1, 1)
    assert len(matched.studies) == 270 and "8 scored only by the first model" in matched.left_out()
    assert "1 with different labels" in compare(matched, 0.5, 0.5, draws=0)["left_out"]
    assert "8 scored only by Alpha" in matched.left_out("Alpha", "beta")
    assert match_studies(one.iloc[2:], other.iloc[2:]).left_out() == ""


def test_different_studies_and_contradicting_labels_are_refused():
    one, other = two(100)
    with refused("no-shared-studies", "100 and 100"):
        match_studies(one, other.assign(study_id=[f"else{i}" for i in range(100)]))
    with refused("labels-contradict", "50 of 100"):
        match_studies(one, other.assign(label=np.where(np.arange(100) < 50, 1 - other["label"], other["label"])))
    with refused("group-column-unknown", "score_a"):
        group_differences(match_studies(one, other).studies, 0.5, 0.5, "score_a")


def test_one_class_few_studies_and_the_same_model():
    same = compare(match_studies(studies_of(P, Y), studies_of(P, Y)), 0.5, 0.5, draws=50)
    assert same["auroc_difference"] == 0 and same["auroc_p"] == 1 and same["accuracy_p"] == 1 and same["fixed"] == 0
    assert "same studies correctly" in " ".join(sentences(same, "a", "b"))
    abnormal = compare(match_studies(studies_of(P, np.ones(20)), studies_of(Q, np.ones(20))), 0.5, 0.5, draws=50)
    assert np.isnan(abnormal["auroc_difference"]) and "no normal studies" in abnormal["auroc_why"]
    assert np.isnan(abnormal["specificity_p"]) and "no normal studies" in " ".join(sentences(abnormal, "a", "b"))
    few = compare(match_studies(studies_of(P[:12], Y[:12]), studies_of(Q[:12], Y[:12])), 0.5, 0.5, draws=0)
    assert np.isnan(few["sensitivity_difference_low"]) and "10 are needed" in few["sensitivity_why"]


def test_the_comparison_in_sentences():
    one, other = two(400)
    lines = sentences(compare(match_studies(one, other), 0.5, 0.2, draws=0), "old", "new")
    assert lines[0].startswith("AUROC 0.") and "old ranks better" in lines[0]
    assert "only by new" in lines[1] and "(p under 0.001)" in lines[1]
    assert (p_text(0.0321), p_text(1.0), p_text(1e-7), p_text(np.nan)) == ("0.032", "1", "under 0.001", "-")


def test_with_one_study_a_patient_bootstrap_and_delong_agree():
    one, other = two(200)
    one["group_id"] = one["study_id"]
    matched = match_studies(one, one.assign(score=other["score"])).studies
    facts = ranking_facts(matched, draws=800)
    width = facts["auroc_difference_high"] - facts["auroc_difference_low"]
    spread = facts["auroc_difference_patient_high"] - facts["auroc_difference_patient_low"]
    assert spread == pytest.approx(width, rel=0.15)
