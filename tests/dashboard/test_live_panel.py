"""The panel's figures in JavaScript equal those of Python, and the data sent to it are exact and small."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from core.metrics.confusion import kappa
from core.metrics.counts import counts_table
from core.metrics.decision import predictive_values
from core.metrics.histogram import score_histogram
from core.metrics.intervals import wilson
from core.metrics.rates import rates_at
from core.metrics.threshold_grid import grid_at, grid_counts
from dashboard.shared.widgets import estimate_text
from dashboard.threshold import live_panel
from tests.metrics.test_threshold_grid import made

FOLDER = Path(live_panel.__file__).parent
KINDS = {
    "sensitivity": "percent",
    "specificity": "percent",
    "ppv": "percent",
    "npv": "percent",
    "kappa": "auroc",
    "alerts_per_100": "number",
    "number_needed_to_review": "number",
}


def evaluated(code: str, *given):
    """The value of a JavaScript function body, with `given` in scope and NaN as null."""
    if not (node := shutil.which("node")):
        pytest.skip(
            "the system has no node; the same figures are read from the page by tests/browser/test_threshold.py"
        )
    source = (FOLDER / "figures.js").read_text().replace("export ", "")
    script = (
        f"{source}\nconst given = {json.dumps(given)};\nprocess.stdout.write(JSON.stringify((() => {{ {code} }})()));"
    )
    return json.loads(subprocess.run([node, "-"], input=script, capture_output=True, text=True, check=True).stdout)


def cases() -> list[tuple[int, int, int, int, float | None]]:
    """Counts of every size, with empty cells, one class, few of a class, and prevalences stated or not."""
    random = np.random.default_rng(0)
    found = [(*random.integers(0, top, 4).tolist(), None) for top in (2, 8, 15, 40, 300, 100_000) for _ in range(60)]
    found += [(0, 0, 5, 0, None), (5, 0, 0, 0, 0.1), (0, 0, 0, 0, None), (20, 0, 20, 0, 0.05), (0, 0, 30, 30, 0.2)]
    stated = random.choice([0.001, 0.05, 0.2, 0.5, 0.999], len(found)).tolist()
    return found + [(*case[:4], share) for case, share in zip(found, stated)]


def python_figures(tp, fp, tn, fn, prevalence) -> dict:
    scores = np.repeat([1.0, 1.0, 0.0, 0.0], [tp, fp, fn, tn])
    labels = np.repeat([1, 0, 1, 0], [tp, fp, fn, tn])
    rates = rates_at(counts_table(scores, labels), 0.5, prevalence)
    return {name: rates[name] for name in KINDS}


def test_figures_and_their_words_equal_those_of_python():
    every = cases()
    theirs = evaluated(
        "return given[0].map(([tp, fp, tn, fn, share]) => { const found = figures(tp, fp, tn, fn, share);"
        " return Object.fromEntries(Object.entries(given[1]).map(([name, kind]) =>"
        " [name, [found[name].value, found[name].low, found[name].high, found[name].n, found[name].why,"
        " ...written(found[name], kind)]])) })",
        every,
        {name: "ratio" if kind == "auroc" else kind for name, kind in KINDS.items()},
    )
    for case, found in zip(every, theirs):
        for name, ours in python_figures(*case).items():
            value, low, high, n, why, *words = found[name]
            numbers = [np.nan if part is None else part for part in (value, low, high)]
            np.testing.assert_allclose(numbers, [ours.value, ours.low, ours.high], rtol=1e-9, atol=1e-12)
            assert (n, why) == (ours.n, ours.why), (case, name)
            assert tuple(words) == estimate_text(ours, KINDS[name]), (case, name)


def test_published_figures_hold_in_the_browser_too():
    found = evaluated("return [wilson(81, 263), kappa(20, 10, 15, 5), predictive(420, 66, 595, 118, .1)]")
    assert found[0] == pytest.approx([0.25528852, 0.36620958], abs=1e-8) and found[0] == pytest.approx(wilson(81, 263))
    assert [found[1][end] for end in ("value", "low", "high")] == pytest.approx([0.4, 0.151092290, 0.648907710])
    assert found[1]["value"] == pytest.approx(kappa(20, 10, 15, 5).value)
    assert found[2]["ppv"]["value"] == pytest.approx(0.464876, abs=1e-6)
    assert found[2]["alerts_per_100"]["value"] == pytest.approx(16.7931, abs=1e-4)
    assert found[2]["npv"]["low"] == pytest.approx(predictive_values(420, 66, 595, 118, 0.1)["npv"].low)


def test_digits_are_rounded_as_python_rounds_them():
    values = [0.25, 0.35, 12.25, 12.75, 0.0625, -0.0625, 99.95, 1 / 3, 1e-9, 0.9995, 100.0, 2.5]
    shown = evaluated("return given[0].map((value) => [0, 1, 3].map((digits) => fixed(value, digits)))", values)
    assert shown == [[f"{value:.{digits}f}" for digits in (0, 1, 3)] for value in values]


def test_the_payload_is_small_and_gives_the_exact_counts():
    sizes = {}
    for n in (20, 20_000, 1_000_000):
        studies = made(n, 1)
        grid = grid_counts(studies)
        data = live_panel.payload(grid)
        tp = np.cumsum(np.array(data["tp"]), axis=1).sum(axis=0)
        for place in (0, len(tp) // 2, len(tp) - 1):
            called = studies[studies["score"] >= data["thresholds"][place]]
            assert tp[place] == (called["label"] == 1).sum()
        sizes[n] = len(json.dumps(data | {"bins": score_histogram(studies, "probability")}))
    assert sizes[1_000_000] < 150_000 and sizes[1_000_000] < 1.5 * sizes[20_000]


def test_above_every_score_is_one_unless_a_score_is_one():
    studies = pd.DataFrame({"bone": "wrist", "label": [0.0, 1.0], "score": [0.2, 0.7]})
    assert live_panel.payload(grid_counts(studies))["thresholds"] == [1.0, 0.7, 0.2]
    studies["score"] = [0.2, 1.0]
    sent = live_panel.payload(grid_counts(studies))
    assert sent["thresholds"] == [1.0, 0.2] and sent["tp"] == [[1, 0]] and sent["fp"] == [[0, 1]]


def test_the_identity_follows_the_counts():
    one, other = (live_panel.payload(grid_counts(made(50, seed))) for seed in (1, 2))
    assert live_panel.identity(one) == live_panel.identity(dict(one)) != live_panel.identity(other)


@pytest.mark.parametrize("axis", live_panel.AXES)
@pytest.mark.parametrize("scores", [[0.0, 0.5, 1.0], [0.5, 0.5, 0.5], [1e-12, 1e-6, 1e-5], []])
def test_every_study_is_in_one_bar(axis, scores):
    studies = pd.DataFrame({"score": np.array(scores, float), "label": np.array([1.0, 0.0, 1.0][: len(scores)])})
    bins = score_histogram(studies, axis)
    assert sum(bins["abnormal"]) + sum(bins["normal"]) == len(scores)
    assert (np.diff(bins["edges"]) > 0).all() and bins["edges"][0] >= 0 and bins["edges"][-1] <= 1
    json.dumps(bins)


def test_the_exact_row_at_a_threshold_between_candidates():
    studies = made(30_000, 2)
    grid = grid_counts(studies)
    tp, _ = grid_at(grid, studies, 0.33333)
    assert (
        0.33333 not in grid.thresholds and tp.sum() == ((studies["score"] >= 0.33333) & (studies["label"] == 1)).sum()
    )
