import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import confusion_matrix

import core.metrics
from core.metrics.counts import checked, class_sizes, counts_at, counts_table, group_counts, rows_at
from tests.metrics.examples import P, Y, tied
from tests.oracles import counts_by_loop
from tests.refusals import refused


@pytest.mark.parametrize("seed", range(5))
def test_counts_agree_with_a_loop_at_every_threshold(seed):
    scores, labels = tied(seed)
    counts = counts_table(scores, labels)
    between = (np.unique(scores)[1:] + np.unique(scores)[:-1]) / 2
    for threshold in [*scores, *between, -np.inf, -1.0, np.nextafter(scores[0], 2), 2.0, np.inf]:
        assert counts_at(counts, threshold) == counts_by_loop(scores, labels, threshold)


def test_columns_order_and_first_row_of_the_counts():
    counts = counts_table(P, Y)
    assert list(counts) == ["threshold", "tp", "fp", "tn", "fn"]
    assert counts["threshold"].is_monotonic_decreasing and counts["threshold"].is_unique and len(counts) == 21
    assert counts.iloc[0].tolist() == [np.inf, 0, 0, 11, 9]
    assert counts.iloc[-1].tolist() == [0.03, 9, 11, 0, 0]
    assert all(counts[name].dtype == np.int64 for name in ("tp", "fp", "tn", "fn"))


def test_a_score_at_the_threshold_is_positive_as_in_scikit_learn():
    at = counts_at(counts_table(P, Y), 0.5)
    tn, fp, fn, tp = confusion_matrix(Y, P >= 0.5).ravel()
    assert at == {"tp": tp, "fp": fp, "tn": tn, "fn": fn} == {"tp": 6, "fp": 2, "tn": 9, "fn": 3}
    assert counts_at(counts_table(P, Y), np.nextafter(0.5, 1))["fp"] == 1


def test_the_order_of_the_rows_does_not_matter():
    scores, labels = tied(7)
    shuffled = np.random.default_rng(0).permutation(len(scores))
    pd.testing.assert_frame_equal(counts_table(scores, labels), counts_table(scores[shuffled], labels[shuffled]))


def test_without_studies_there_is_one_row_at_infinity():
    counts = counts_table([], [])
    assert len(counts) == 1 and counts_at(counts, 0.5) == {"tp": 0, "fp": 0, "tn": 0, "fn": 0}
    assert class_sizes(counts) == (0, 0)


def test_counts_are_python_integers():
    assert all(type(value) is int for value in counts_at(counts_table(P, Y), 0.5).values())
    assert class_sizes(counts_table(P, Y)) == (9, 11)


def test_rows_at_many_thresholds():
    counts = counts_table(P, Y)
    assert counts["threshold"].to_numpy()[rows_at(counts, [0.5, 0.51, 0.0])].tolist() == [0.5, 0.55, 0.03]


@pytest.mark.parametrize(
    ("scores", "labels", "code", "figure"),
    [
        ([0.1, 0.2], [1], "scores-shape", "(1,)"),
        ([[0.1]], [[1]], "scores-shape", "(1, 1)"),
        ([0.1, np.nan], [0, 1], "score-not-finite", "nan at position 1"),
        ([0.1, np.inf], [0, 1], "score-not-finite", "inf at position 1"),
        ([0.1, 0.2], [0, 2], "label-not-binary", "2.0 at position 1"),
        ([0.1, 0.2], [0, np.nan], "label-not-binary", "nan at position 1"),
        (["high"], [1], "scores-not-numbers", "high"),
    ],
)
def test_bad_scores_and_labels_are_refused(scores, labels, code, figure):
    with refused(code, figure):
        counts_table(scores, labels)


def test_labels_may_be_whole_boolean_or_float():
    for labels in (Y, Y.astype(bool), Y.astype(float), pd.Series(Y, dtype="Int64"), Y.tolist()):
        values, positive = checked(pd.Series(P), labels)
        assert positive.dtype == bool and positive.sum() == 9 and values.dtype == np.float64


def test_a_threshold_of_nan_is_refused():
    with refused("threshold-nan"):
        counts_at(counts_table(P, Y), np.nan)


@pytest.mark.parametrize("seed", range(4))
def test_group_counts_equal_the_counts_of_each_group(seed):
    scores, labels = tied(seed)
    groups = np.random.default_rng(seed).choice(["hand", "elbow", "wrist"], len(scores))
    made = group_counts(scores, labels, groups)
    assert made.names == ("all", *sorted(set(groups)))
    for threshold in [*np.unique(scores), -np.inf, np.inf, 0.123456]:
        for name, row in zip(made.names, made.at(threshold)):
            part = np.ones(len(scores), bool) if name == "all" else groups == name
            at = counts_at(counts_table(scores[part], labels[part]), threshold)
            assert row.tolist() == [at["tp"], at["fp"], at["tn"], at["fn"]]
    assert group_counts([], [], []).at(0.5).tolist() == [[0, 0, 0, 0]]
    with refused("threshold-nan"):
        made.at(np.nan)


def test_metrics_import_without_torch_or_scikit_learn():
    root = Path(core.metrics.__file__).parent
    files = [file.relative_to(root).with_suffix("") for file in root.rglob("*.py") if file.stem != "__init__"]
    assert {Path("rates"), Path("thresholds/search")} <= set(files)
    code = "import sys\n" + "".join(f"import core.metrics.{'.'.join(file.parts)}\n" for file in files)
    code += "print(sorted({name.split('.')[0] for name in sys.modules} & {'torch', 'sklearn', 'streamlit', 'plotly'}))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
