import json

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.special import expit
from sklearn import metrics
from sklearn.metrics import average_precision_score, confusion_matrix, roc_auc_score

from core.metrics.evaluation import errors_first, evaluate, figure_names, group_table, outcome_table
from core.metrics.intervals import wilson
from core.metrics.ranking import auroc
from core.metrics.studies import study_table
from tests.metrics.examples import P, Y, one_view_each, predictions
from tests.oracles import bootstrap_by_loop
from tests.refusals import refused

CONTRACT = {
    "n", "n_abnormal", "level", "auroc", "auroc_low", "auroc_high", "average_precision", "threshold", "tp", "fp", "tn",
    "fn", "sensitivity", "sensitivity_low", "sensitivity_high", "specificity", "specificity_low", "specificity_high",
}  # fmt: skip


def by_hand(frame, threshold):
    """The figures with pandas and scikit-learn alone."""
    groups = frame.assign(score=expit(frame["logit"])).groupby("study_id")
    part = groups.agg(score=("score", "mean"), label=("label", "first"))
    tn, fp, fn, tp = confusion_matrix(part["label"], part["score"] >= threshold, labels=[0, 1]).ravel().tolist()
    return {
        "n": len(part), "n_abnormal": int(part["label"].sum()), "tp": tp, "fp": fp, "tn": tn, "fn": fn,
        "sensitivity": tp / (tp + fn), "specificity": tn / (tn + fp),
        "auroc": roc_auc_score(part["label"], part["score"]),
        "average_precision": average_precision_score(part["label"], part["score"]),
    }  # fmt: skip


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.71])
def test_figures_agree_with_pandas_and_scikit_learn(threshold):
    frame = predictions(300, seed=4)
    found = evaluate(frame, threshold, by="bone")
    for name, value in by_hand(frame, threshold).items():
        assert found[name] == pytest.approx(value, abs=1e-12), name
    for group in found["groups"]:
        for name, value in by_hand(frame[frame["bone"] == group["bone"]], threshold).items():
            assert group[name] == pytest.approx(value, abs=1e-12), name


def test_evaluate_has_the_documented_keys():
    frame = predictions(300, seed=4)
    found = evaluate(frame, 0.4, by="bone")
    assert set(found) >= CONTRACT and found["level"] == "study" and found["threshold"] == 0.4 and found["why"] == ""
    assert all(CONTRACT | {"bone"} <= set(group) for group in found["groups"])
    assert found == json.loads(json.dumps(found, allow_nan=False))
    studies = study_table(frame)
    area = auroc(studies["score"], studies["label"])
    assert (found["auroc"], found["auroc_low"], found["auroc_high"]) == (area.value, area.low, area.high)
    bounds = wilson(found["tp"], found["tp"] + found["fn"])
    assert (found["sensitivity_low"], found["sensitivity_high"]) == pytest.approx(bounds)
    bounds = wilson(found["tn"], found["tn"] + found["fp"])
    assert (found["specificity_low"], found["specificity_high"]) == pytest.approx(bounds)
    assert "groups" not in evaluate(frame)


@pytest.mark.parametrize("seed", range(3))
def test_all_figures_agree_with_scikit_learn_and_statsmodels(seed):
    frame = predictions(400, seed=seed)
    found = evaluate(frame, 0.45, by="bone")
    studies = study_table(frame)
    for facts, part in [(found, studies)] + [(g, studies[studies["bone"] == g["bone"]]) for g in found["groups"]]:
        y, p = part["label"].to_numpy().astype(int), part["score"].to_numpy()
        call = (p >= 0.45).astype(int)
        tp, fp, fn, tn = facts["tp"], facts["fp"], facts["fn"], facts["tn"]
        expected = {
            "kappa": metrics.cohen_kappa_score(y, call), "mcc": metrics.matthews_corrcoef(y, call),
            "f1": metrics.f1_score(y, call), "ppv": metrics.precision_score(y, call), "npv": tn / (tn + fn),
            "accuracy": metrics.accuracy_score(y, call), "brier": metrics.brier_score_loss(y, p),
            "balanced_accuracy": metrics.balanced_accuracy_score(y, call), "log_loss": metrics.log_loss(y, p),
            "likelihood_ratio_positive": (tp / (tp + fn)) / (fp / (fp + tn)),
        }  # fmt: skip
        for name, value in expected.items():
            assert facts[name] == pytest.approx(value, abs=1e-12), name
        x = np.log(p / (1 - p))
        fit = sm.GLM(y, sm.add_constant(x), family=sm.families.Binomial()).fit(tol=1e-14)
        assert facts["calibration_slope"] == pytest.approx(fit.params[1], abs=1e-9)
        assert facts["calibration_slope_low"] == pytest.approx(fit.conf_int()[1][0], abs=1e-6)
        fit = sm.GLM(y, np.ones(len(y)), family=sm.families.Binomial(), offset=x).fit(tol=1e-14)
        assert facts["calibration_intercept"] == pytest.approx(fit.params[0], abs=1e-9)
        edges = np.minimum((p * 10).astype(int), 9)
        gaps = [abs(y[edges == b].mean() - p[edges == b].mean()) * (edges == b).sum() for b in np.unique(edges)]
        assert facts["ece"] == pytest.approx(sum(gaps) / len(p), abs=1e-12)
        assert (facts["ppv_low"], facts["ppv_high"]) == pytest.approx(wilson(tp, tp + fp))


def test_evaluate_has_the_interval_by_patient():
    frame = predictions(150, seed=5)
    studies = study_table(frame)
    y, p = studies["label"].to_numpy(), studies["score"].to_numpy()
    found = evaluate(frame)
    slow = bootstrap_by_loop(studies["group_id"], lambda rows: roc_auc_score(y[rows], p[rows]), 2000, 0)
    bounds = found["auroc_patient_low"], found["auroc_patient_high"]
    assert bounds == pytest.approx(np.quantile(slow, [0.025, 0.975]), abs=1e-12) and found["bootstrap_draws"] == 2000
    few = evaluate(one_view_each(P, Y))
    assert few["auroc_patient_low"] is None and "9 abnormal studies" in few["auroc_patient_why"]


def test_groups_are_in_muras_order_and_add_up_to_the_whole():
    frame = predictions(300, seed=4, bones=("hip", "shoulder", "ankle", "finger", "wrist"))
    found = evaluate(frame, by="bone")
    assert [group["bone"] for group in found["groups"]] == ["finger", "wrist", "shoulder", "ankle", "hip"]
    for name in ("n", "tp", "fp", "tn", "fn"):
        assert sum(group[name] for group in found["groups"]) == found[name]


def test_any_column_of_the_studies_can_group():
    found = evaluate(predictions(), by="n_views")
    assert [group["n_views"] for group in found["groups"]] == [1, 2, 3, 4]
    json.dumps(found, allow_nan=False)
    for wrong in ("colour", "label", "score"):
        with refused("group-column-unknown", wrong):
            evaluate(predictions(), by=wrong)


def test_undefined_figures_are_null_with_a_reason():
    found = evaluate(one_view_each(P, np.zeros(20)))
    assert found["auroc"] is None and found["average_precision"] is None and found["sensitivity"] is None
    assert found["specificity"] is not None and found["specificity_low"] is not None
    assert "auroc: not estimable: no abnormal studies" in found["why"] and "sensitivity" in found["why"]
    small = evaluate(one_view_each(P, Y))
    assert small["auroc"] == pytest.approx(0.838383838, abs=1e-9) and small["auroc_low"] is None
    assert "9 abnormal studies, 10 are needed" in small["why"]
    empty = evaluate(predictions().iloc[:0], by="bone")
    assert empty["n"] == 0 and empty["groups"] == [] and empty["sensitivity"] is None and empty["tp"] == 0
    json.dumps([found, small, empty], allow_nan=False)


def test_unknown_labels_are_counted_and_left_out():
    frame = one_view_each(P, Y)
    more = pd.concat([frame, one_view_each([0.9, 0.1], [np.nan, np.nan]).assign(study_id=["x", "y"])])
    found, without = evaluate(more), evaluate(frame)
    assert found["n_unknown"] == 2 and without["n_unknown"] == 0
    assert {**found, "n_unknown": 0} == without


def test_evaluate_uses_the_aggregation():
    frame = predictions(100, seed=6)
    assert evaluate(frame, aggregation="max")["tp"] > evaluate(frame, aggregation="mean")["tp"]
    assert evaluate(frame, aggregation="max")["aggregation"] == "max"


def test_the_group_table_keeps_empty_bones():
    frame = predictions(300, seed=4, bones=("wrist", "elbow"))
    table = group_table(frame, 0.5, bones=["shoulder", "finger", "wrist"]).set_index("bone")
    assert table.index.tolist() == ["finger", "wrist", "elbow", "shoulder"]
    assert list(table.reset_index()) == ["bone", *figure_names()]
    for bone in ("finger", "shoulder"):
        assert table.loc[bone, ["n", "tp", "fp", "tn", "fn"]].tolist() == [0, 0, 0, 0, 0]
        assert table.loc[bone, ["auroc", "sensitivity", "specificity"]].isna().all() and table.loc[bone, "why"]
    groups = evaluate(frame, by="bone")["groups"]
    for group in groups:
        assert table.loc[group["bone"], "auroc"] == group["auroc"] and table.loc[group["bone"], "n"] == group["n"]
    assert len(group_table(frame.iloc[:0], 0.5)) == 0 and list(group_table(frame.iloc[:0], 0.5)) == [
        "bone",
        *figure_names(),
    ]
    assert table["n"].dtype.kind == "i" and table["auroc"].dtype == float


def test_a_bone_without_labels_has_a_row_with_n_0():
    frame = one_view_each(P, Y)
    frame.loc[:4, ["bone", "label"]] = "hip", np.nan
    table = group_table(frame, 0.5).set_index("bone")
    assert table.loc["hip", ["n", "n_unknown"]].tolist() == [0, 5] and table.loc["wrist", "n"] == 15


def test_outcome_table_at_a_threshold():
    frame = pd.concat([one_view_each(P, Y), one_view_each([0.9], [np.nan]).assign(study_id="unknown")])
    studies = study_table(frame)
    table = outcome_table(studies, studies["score"][12])
    assert table["outcome"].value_counts().to_dict() == {"TN": 9, "TP": 6, "FN": 3, "FP": 2, "": 1}
    assert table.loc[12, ["outcome", "predicted", "margin"]].tolist() == ["FP", 1, 0.0]
    assert table.loc[20, ["outcome", "predicted"]].tolist() == ["", 1]
    assert table["margin"].tolist() == (table["score"] - studies["score"][12]).tolist()
    assert "outcome" not in studies and list(table)[:8] == list(studies)
    found = evaluate(frame, studies["score"][12])
    for name in ("tp", "fp", "tn", "fn"):
        assert (table["outcome"] == name.upper()).sum() == found[name]


def test_a_threshold_of_nan_is_refused():
    for call in (lambda: evaluate(predictions(), np.nan), lambda: outcome_table(study_table(predictions()), np.nan)):
        with refused("threshold-nan"):
            call()


def test_errors_come_first_and_the_views_of_a_study_stay_together():
    rows = pd.DataFrame(
        {
            "outcome": ["TN", "TP", "FP", "FN", "FN", "FN", ""],
            "score": [0.0, 0.9, 0.6, 0.4, 0.1, 0.1, 0.0],
            "study_id": ["a", "b", "c", "d", "e", "e", "f"],
            "image_id": ["a1", "b1", "c1", "d1", "e2", "e1", "f1"],
        }
    )
    assert errors_first(rows)["image_id"].tolist() == ["e1", "e2", "d1", "c1", "b1", "a1", "f1"]
    assert list(errors_first(rows)) == list(rows)


def test_the_first_errors_are_the_first_of_all():
    draw = np.random.default_rng(3)
    rows = pd.DataFrame(
        {
            "study_id": [f"s{number}" for number in draw.permutation(400)],
            "outcome": draw.choice(["FN", "FP", "TP", "TN", ""], 400),
            # Many are equal, and some are unknown.
            "score": np.where(draw.random(400) < 0.1, np.nan, draw.integers(0, 6, 400) / 5),
        }
    )
    for most in (1, 7, 50, 399, 400, 500):
        pd.testing.assert_frame_equal(errors_first(rows, most), errors_first(rows).head(most))
