"""Radiographs judged by their truth, and figures of variants minus a reference, against counting and scikit-learn."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from core.metrics.paired_figures import FIGURES, figure_table, scored_of
from core.metrics.radiographs import driving_views, found_threshold, radiograph_facts, radiograph_lines
from tests.refusals import refused

# Four studies of two views: both kinds (the driver is right), both kinds (wrong), both abnormal, both normal.
TRUTH = [1, 0, 0, 1, 1, 1, 0, 0]
LOGIT = [2.0, 1.0, 3.0, -1.0, 0.5, 0.4, -2.0, 1.5]
LABEL = [1, 1, 1, 1, 1, 1, 0, 0]


def small() -> pd.DataFrame:
    return pd.DataFrame({"image_id": list("abcdefgh"), "study_id": list("11223344"), "logit": LOGIT, "label": LABEL,
                         "image_label": TRUTH, "bone": "knee", "split": "valid"})  # fmt: skip


def test_the_driving_view_and_the_false_alarms_are_those_of_counting():
    frame = small()
    assert frame["image_id"].iloc[driving_views(frame)].tolist() == ["a", "c", "e", "h"]
    # Four abnormal radiographs: at -1 all are found, and 90% of four are four.
    assert found_threshold(np.array(LOGIT), np.array(TRUTH)) == -1
    assert found_threshold(np.array(LOGIT), np.array(TRUTH), 0.75) == 0.4
    facts = radiograph_facts(frame)
    assert (facts["driver_abnormal"], facts["mixed_studies"], facts["driver_chance"]) == (0.5, 2, 0.5)
    assert (facts["false_alarms_abnormal"], facts["false_alarms_abnormal_n"]) == (1.0, 2)
    assert (facts["false_alarms_normal"], facts["false_alarms_normal_n"]) == (0.5, 2)
    assert len(radiograph_lines(facts)) == 3 and "50.0%" in radiograph_lines(facts)[2]


def test_attention_says_which_view_drives_the_score():
    frame = small().assign(attention=[0, 1, 0, 1, 0, 0, 0, 0])
    assert frame["image_id"].iloc[driving_views(frame)].tolist() == ["b", "d", "e", "g"]
    assert radiograph_facts(frame)["driver_abnormal"] == 0.5


def test_without_a_usable_truth_nothing_is_judged():
    with refused("truth-missing", "grade"):
        radiograph_facts(small(), "grade")
    with refused("image-label-invalid", "2"):
        radiograph_facts(small().assign(image_label=2))
    facts = radiograph_facts(small().assign(image_label=[0, 0, 0, 0, 0, 0, 0, np.nan]))
    assert facts["found_threshold"] is None and facts["mixed_studies"] == 0
    assert len(radiograph_lines(facts)) == 2


def scores(seed: int, shift: float, patients: int = 240) -> pd.DataFrame:
    """PREDICTIONS of two views a study; abnormal views have logits higher by `shift`."""
    random = np.random.default_rng(0)
    truth = random.integers(0, 2, 2 * patients)
    frame = pd.DataFrame({"study_id": np.repeat(np.arange(patients), 2).astype(str)})
    frame["image_id"] = [f"{number:04}" for number in range(2 * patients)]
    frame["patient_id"] = frame["group_id"] = frame["study_id"]
    frame["bone"], frame["split"] = "knee", "valid"
    frame["label"] = pd.Series(truth).groupby(frame["study_id"].to_numpy()).transform("max").astype(float)
    frame["truth"] = truth
    frame["logit"] = shift * truth - 0.5 + np.random.default_rng(seed).normal(0, 1, 2 * patients)
    return frame


def test_variants_are_compared_on_the_same_patients():
    frames = {"weak": [scores(1, 0.5), scores(2, 0.5)], "strong": [scores(3, 3), scores(4, 3)]}
    half = np.repeat(np.arange(240) % 2 == 0, 2)
    truth = frames["weak"][0].set_index("image_id")["truth"]
    judged = {
        # The order of the rows has no effect.
        name: [scored_of(frame.iloc[::-1], "max", half[::-1], truth) for frame in found]
        for name, found in frames.items()
    }
    table = figure_table(judged, "weak", list(FIGURES), draws=300).set_index(["figure", "variant"])
    for name, found in frames.items():
        by_study = [frame.assign(p=expit(frame["logit"])).groupby("study_id")[["p", "label"]].max() for frame in found]
        area = np.mean([roc_auc_score(part["label"], part["p"]) for part in by_study])
        own = np.mean([roc_auc_score(frame["truth"], frame["logit"]) for frame in found])
        square = np.mean([((part["p"] - part["label"]) ** 2).mean() for part in by_study])
        for figure, expected in (("study_auroc", area), ("radiograph_auroc", own), ("brier", square)):
            row = table.loc[figure, name]
            assert row["value"] == pytest.approx(expected) and row["low"] < row["value"] < row["high"]
    change = table.loc["study_auroc", "strong"]
    assert change["difference"] == pytest.approx(change["value"] - table.loc["study_auroc", "weak"]["value"])
    assert change["difference_low"] > 0 and change["p_holm"] <= 0.02 and change["seeds"] == 2
    assert np.isnan(table.loc["study_auroc", "weak"]["difference"])
    assert table.loc["driver", "strong"]["value"] > table.loc["driver", "weak"]["value"]
    assert table.loc["sensitivity", "strong"]["value"] > 0.8
    other = {"weak": judged["weak"], "strong": [scored_of(frames["strong"][0].iloc[2:], "max", half[2:], truth)]}
    with refused("radiographs-differ", "strong", "weak"):
        figure_table(other, "weak", ["study_auroc"])


def test_without_truth_the_figures_of_radiographs_are_left_out():
    frame = scores(1, 1)
    judged = {"one": [scored_of(frame.drop(columns="truth"), "mean", np.zeros(len(frame), bool), None)]}
    assert set(figure_table(judged, "one", list(FIGURES), draws=50)["figure"]) == {"study_auroc", "brier"}
