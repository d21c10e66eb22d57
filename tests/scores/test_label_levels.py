"""Labels of radiographs and of studies, and further columns of imported tables, against tables made by hand."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from core.data.label_levels import LabelRule, label_studies
from core.metrics.evaluation import evaluate, evaluate_images
from core.metrics.studies import study_table
from core.scores.import_frame import Columns
from core.scores.imports import imported_predictions, read_imported
from core.workflows.import_scores import import_scores
from tests.refusals import refused
from tests.test_command_line import core

N = np.nan
COLUMNS = Columns("label", "score", "study", "image", "patient", split="split")


def labels_by_study(labels: list[float], rule: str, level: str = "image"):
    """The study's label of one study beside a second, normal one, and the level found."""
    frame = pd.DataFrame({"study_id": ["a"] * len(labels) + ["b"], "label": [*labels, 0.0]})
    found = label_studies(frame, LabelRule(level, rule), "labels.csv")
    assert found.frame.groupby("study_id")["label"].nunique(dropna=False).eq(1).all()
    return found.frame["label"].iloc[0]


@pytest.mark.parametrize(
    ("labels", "any_", "all_", "drop"),
    [
        ([0, 1], 1, 0, N),
        ([1, 1], 1, 1, 1),
        ([0, 0], 0, 0, 0),
        ([1, N], 1, N, N),
        ([0, N], N, 0, N),
        ([0, 1, N], 1, 0, N),
        ([N, N], N, N, N),
    ],
)
def test_a_study_takes_the_label_that_the_rule_gives_its_radiographs(labels, any_, all_, drop):
    found = [labels_by_study(labels, rule) for rule in ("any", "all", "drop")]
    np.testing.assert_array_equal(found, [any_, all_, drop])


def test_labels_of_studies_are_unchanged():
    frame = pd.DataFrame({"study_id": ["a", "a", "b"], "label": [0.0, 1.0, 0.0]})
    found = label_studies(frame, LabelRule("study"), "labels.csv")
    assert found.frame is frame and found.level == "study"
    assert [note.code for note in found.notes] == ["study-labels-differ"] and "1 of 2 studies" in found.notes[0]


def frame_with_mixed(mixed: int, abnormal: int) -> pd.DataFrame:
    """Studies of two radiographs, of which `mixed` have both labels and `abnormal` are abnormal on both."""
    pairs = [(0.0, 1.0)] * mixed + [(1.0, 1.0)] * abnormal + [(0.0, 0.0)] * 5
    return pd.DataFrame([(f"s{at:03}", label) for at, pair in enumerate(pairs) for label in pair],
                        columns=["study_id", "label"])  # fmt: skip


@pytest.mark.parametrize(("mixed", "abnormal", "level"), [(0, 10, "study"), (1, 10, "image"), (1, 200, "")])
def test_the_level_is_inferred_only_without_doubt_and_stated(mixed, abnormal, level):
    frame = frame_with_mixed(mixed, abnormal)
    found = label_studies(frame, LabelRule(), "labels.csv")
    assert found.level == level and ("image_label" in found.frame) == (level == "image")
    assert found.notes[0].code == ("label-level" if level else "label-level-open")
    if level != "image":
        assert found.frame["label"].equals(frame["label"])


def test_unknown_levels_and_rules_are_refused():
    with refused("label-level-unknown", "patient"):
        LabelRule("patient")
    with refused("study-rule-unknown", "most"):
        LabelRule("image", "most")


@pytest.fixture(scope="module")
def graz(shared) -> pd.DataFrame:
    return pd.read_csv(shared / "data/predictions/graz_yolov7/predictions.csv")


@pytest.fixture
def imported(shared, workspace):
    """A function: import the published scores with a study rule, as PREDICTIONS of the test split."""

    def load(rule: str) -> pd.DataFrame:
        file = shared / "data/predictions/graz_yolov7/predictions.csv"
        found = imported_predictions(import_scores(file, "graz", COLUMNS, labels=LabelRule(rule=rule)))
        return found[found["split"] == "test"].reset_index(drop=True)

    return load


@pytest.mark.parametrize("rule", ["any", "all", "drop"])
def test_published_scores_by_study_equal_scikit_learn(graz, imported, rule):
    rows = graz[graz["split"] == "test"].groupby(["patient", "study"])
    by_hand = rows.agg(high=("label", "max"), low=("label", "min"), score=("score", "max"))
    if rule == "drop":
        by_hand = by_hand[by_hand["high"] == by_hand["low"]]
    label = by_hand["low" if rule == "all" else "high"]
    found = evaluate(imported(rule), 0.25, aggregation="max")
    assert found["auroc"] == pytest.approx(roc_auc_score(label, by_hand["score"]), abs=1e-12)
    assert (found["n"], found["n_abnormal"]) == (len(by_hand), label.sum())
    assert found["sensitivity"] == ((by_hand["score"] >= 0.25) & (label == 1)).sum() / (label == 1).sum()
    assert found["n_unknown"] == (rows.ngroups - len(by_hand))


def test_the_rule_changes_the_published_figure(imported):
    """Leaving out the studies whose radiographs differ makes the ranking look better than it is."""
    whole, left_out = evaluate(imported("any"), aggregation="max"), evaluate(imported("drop"), aggregation="max")
    assert left_out["auroc"] - whole["auroc"] > 0.003 and whole["n"] - left_out["n"] == left_out["n_unknown"] > 40


def test_published_scores_by_radiograph_and_cast_equal_scikit_learn(graz, imported):
    rows = graz[graz["split"] == "test"]
    found = evaluate_images(imported("any"), 0.25, by="cast")
    assert found["level"] == "image" and (found["n"], found["patients"]) == (len(rows), rows["patient"].nunique())
    assert found["auroc"] == pytest.approx(roc_auc_score(rows["label"], rows["score"]), abs=1e-12)
    assert found["auroc_patient_low"] < found["auroc"] < found["auroc_patient_high"]
    assert [group["cast"] for group in found["groups"]] == [0, 1]
    for group in found["groups"]:
        part = rows[rows["cast"] == group["cast"]]
        called = part["score"] >= 0.25
        assert group["auroc"] == pytest.approx(roc_auc_score(part["label"], part["score"]), abs=1e-12)
        assert group["sensitivity"] == pytest.approx(called[part["label"] == 1].mean())
        assert group["specificity"] == pytest.approx(1 - called[part["label"] == 0].mean())


def test_published_scores_by_cast_and_by_age_equal_scikit_learn(graz, imported):
    rows = graz[graz["split"] == "test"].groupby(["patient", "study"])
    names = ["label", "score", "age"]
    by_hand = (
        rows[names]
        .max()
        .assign(
            cast=rows["cast"].max().where(rows["cast"].nunique() == 1),
            age=rows["age"].max().where(rows["age"].nunique() == 1),
        )
    )
    frame = imported("any")
    for by, parts in {
        "cast": {0: by_hand["cast"] == 0, 1: by_hand["cast"] == 1},
        "age:10,14": {
            "under 10": by_hand["age"] < 10,
            "10 to under 14": (by_hand["age"] >= 10) & (by_hand["age"] < 14),
            "14 and over": by_hand["age"] >= 14,
        },
    }.items():
        found = evaluate(frame, 0.25, by=by, aggregation="max")
        column = by.split(":")[0]
        assert found["by"] == column and found["ungrouped"] == by_hand[column].isna().sum()
        assert [group[column] for group in found["groups"]] == list(parts)
        for group, inside in zip(found["groups"], parts.values()):
            part = by_hand[inside]
            assert group["n"] == len(part)
            assert group["auroc"] == pytest.approx(roc_auc_score(part["label"], part["score"]), abs=1e-12)


def table(**columns) -> pd.DataFrame:
    """Four radiographs of two studies, of one patient each, labelled singly."""
    frame = pd.DataFrame({"image": list("abcd"), "study": [1, 1, 2, 2], "patient": ["p", "p", "q", "q"]})
    return frame.assign(label=[0, 1, 0, 0], score=[0.2, 0.9, 0.1, 0.4], split="valid", **columns)


def kept(tmp_path, frame: pd.DataFrame, **more):
    file = tmp_path / "scores.csv"
    frame.to_csv(file, index=False)
    import_scores(file, "other", COLUMNS, **more)
    return read_imported("other"), imported_predictions(read_imported("other"))


def test_the_level_the_rule_and_the_columns_are_stored(tmp_path, workspace):
    found, frame = kept(tmp_path, table(age=["9", "", "12.5", "12.5"], sex=list("MFFF"), scanned="2024-01-31"))
    assert (found.label_level, found.study_rule) == ("image", "any")
    assert found.extra == {"age": "number", "sex": "category", "scanned": "date"}
    assert list(frame["image_label"]) == [0, 1, 0, 0] and list(frame["label"]) == [1, 1, 0, 0]
    assert frame["scanned"].eq(pd.Timestamp("2024-01-31")).all()
    assert list(study_table(frame)["label"]) == [1, 0]


def test_columns_with_names_of_our_own_are_kept_under_another_one(tmp_path, workspace):
    found, frame = kept(tmp_path, table(outcome=list("wxyz"), image_label=[7, 7, 7, 7], view=["ap", "", "pa", "pa"]))
    assert list(frame["outcome_given"]) == list("wxyz") and frame["image_label_given"].eq(7).all()
    assert frame["view"].fillna("").tolist() == ["ap", "", "pa", "pa"]
    assert any("outcome as outcome_given" in note for note in found.notes)


def test_the_command_states_the_rule_and_adds_figures_by_radiograph(tmp_path, workspace):
    file = tmp_path / "scores.csv"
    table(sex=list("MFFF")).to_csv(file, index=False)
    options = ["--label", "label", "--score", "score", "--study", "study", "--image", "image", "--patient", "patient"]
    rule = ["--label-level", "image", "--study-rule", "all"]
    made = json.loads(core(workspace, "import-predictions", file, "--name", "x", *options, *rule, "--json"))
    assert "abnormal if all" in str(made["notes"])
    found = json.loads(core(workspace, "evaluate", "x", "--level", "image", "--by", "sex", "--json"))
    assert (found["n"], found["n_abnormal"], found["ungrouped"]) == (2, 0, 1)
    assert (found["image"]["n"], found["image"]["n_abnormal"], found["image"]["level"]) == (4, 1, "image")
    assert [group["sex"] for group in found["groups"]] == ["F"]
    assert [(group["sex"], group["n"]) for group in found["image"]["groups"]] == [("F", 3), ("M", 1)]


def test_a_second_import_keeps_the_label_level_and_the_rule(tmp_path, workspace):
    found, _ = kept(tmp_path, table(), labels=LabelRule("image", "all"))
    assert (found.label_level, found.study_rule) == ("image", "all")
    again, frame = kept(tmp_path, table())
    assert (again.label_level, again.study_rule) == ("image", "all") and frame["label"].eq(0).all()
    assert "label-level-kept" in [note.code for note in again.notes]
    asked, frame = kept(tmp_path, table(), labels=LabelRule(rule="any"))
    assert (asked.label_level, asked.study_rule) == ("image", "any") and frame["label"].tolist() == [1, 1, 0, 0]


def test_the_command_keeps_the_rule_and_refuses_changed_labels(tmp_path, workspace):
    file = tmp_path / "scores.csv"
    table().to_csv(file, index=False)
    options = ["--label", "label", "--score", "score", "--study", "study", "--image", "image", "--patient", "patient"]
    import_again = ["import-predictions", file, "--name", "x", *options]
    core(workspace, *import_again, "--label-level", "image", "--study-rule", "all")
    made = json.loads(core(workspace, *import_again, "--json"))
    assert (made["label_level"], made["study_rule"]) == ("image", "all")
    table().assign(label=[0, 0, 1, 0]).to_csv(file, index=False)
    done = core(workspace, *import_again, status=1)
    assert "labels-changed" in done and "2 of 4" in done
    made = json.loads(core(workspace, *import_again, "--allow-lost-labels", "--json"))
    assert "labels-changed" in [note["code"] for note in made["notes"]]


def test_figures_by_radiograph_need_labels_of_radiographs(tmp_path, workspace):
    _, frame = kept(tmp_path, table(), labels=LabelRule("study"))
    with refused("image-labels-missing", "--label-level image"):
        evaluate_images(frame)
    with refused("group-column-unknown", "'weight'"):
        evaluate(frame, by="weight")
