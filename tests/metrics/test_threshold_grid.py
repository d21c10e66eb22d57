"""The candidate thresholds of the live panel have exact counts for any scores."""

import json

import numpy as np
import pandas as pd
import pytest

from core.metrics.counts import counts_at, counts_table
from core.metrics.threshold_grid import OTHER, grid_at, grid_counts
from core.schema import MURA_BONES
from tests.metrics.examples import P, Y
from tests.refusals import refused


def made(n: int, seed: int = 0, share: float = 0.3, sharp: float = 1.0, digits: int = 16) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    label = (random.random(n) < share).astype(float)
    score = 1 / (1 + np.exp(-sharp * random.normal(2 * label - 3, 1)))
    return pd.DataFrame({"bone": random.choice(MURA_BONES, n), "label": label, "score": score.round(digits)})


def exact(studies: pd.DataFrame, threshold: float) -> tuple[int, int]:
    known = studies[studies["label"].notna()]
    called = known["score"] >= threshold
    return int((called & (known["label"] == 1)).sum()), int((called & (known["label"] == 0)).sum())


@pytest.mark.parametrize("studies", [made(5000), made(5000, 1, 0.01, 4.0), made(5000, 2, digits=2), made(30, 3)])
def test_every_candidate_is_a_score_and_its_counts_are_exact(studies):
    grid = grid_counts(studies, points=201)
    assert np.isinf(grid.thresholds[0]) and (np.diff(grid.thresholds) < 0).all() and len(grid.thresholds) <= 201
    assert set(grid.thresholds[1:]) <= set(studies["score"])
    for place, threshold in enumerate(grid.thresholds):
        assert (grid.tp[:, place].sum(), grid.fp[:, place].sum()) == exact(studies, threshold)
    for group, bone in enumerate(grid.groups):
        part = studies[studies["bone"] == bone]
        assert (grid.tp[group, 40 % grid.tp.shape[1]], grid.fp[group, 40 % grid.fp.shape[1]]) == exact(
            part, grid.thresholds[40 % grid.tp.shape[1]]
        )


def test_a_small_set_has_all_its_scores_as_candidates():
    studies = pd.DataFrame({"bone": "wrist", "label": Y, "score": P})
    grid = grid_counts(studies)
    assert grid.complete and grid.between == (0, 0)
    table = counts_table(P, Y)
    assert grid.thresholds.tolist() == table["threshold"].tolist()
    assert grid.tp[0].tolist() == table["tp"].tolist() and grid.fp[0].tolist() == table["fp"].tolist()


@pytest.mark.parametrize(("share", "sharp"), [(0.5, 1.0), (0.02, 1.0), (0.002, 3.0)])
def test_the_number_of_studies_between_candidates_is_limited(share, sharp):
    studies = made(60_000, 4, share, sharp)
    grid = grid_counts(studies)
    n1, n0 = grid.tp[:, -1].sum(), grid.fp[:, -1].sum()
    assert grid.between[0] <= np.ceil(4 * n1 / 990) and grid.between[1] <= np.ceil(4 * n0 / 990)
    gaps = [np.diff(found.sum(axis=0)).max() for found in (grid.tp, grid.fp)]
    # Without ties, one study has the score of the candidate and the others are between.
    assert gaps[0] <= grid.between[0] + 1 and gaps[1] <= grid.between[1] + 1


def test_tied_scores_stay_together():
    studies = made(20_000, 5, digits=3)
    studies.loc[:9000, "score"] = 0.5
    grid = grid_counts(studies, points=101)
    assert 0.5 in grid.thresholds
    place = int(np.flatnonzero(grid.thresholds == 0.5)[0])
    assert grid.tp[:, place].sum() == exact(studies, 0.5)[0]


@pytest.mark.parametrize("threshold", [0.0, 0.123456, 0.5, 1.0])
def test_counts_at_any_threshold_are_exact(threshold):
    studies = made(20_000, 6)
    studies.loc[::7, "label"] = np.nan
    grid = grid_counts(studies, points=101)
    tp, fp = grid_at(grid, studies, threshold)
    known = studies[studies["label"].notna()]
    for group, bone in enumerate(grid.groups):
        part = known[known["bone"] == bone]
        at = counts_at(counts_table(part["score"], part["label"]), threshold)
        assert (tp[group], fp[group]) == (at["tp"], at["fp"])


def test_the_size_of_the_grid_does_not_grow_with_the_studies():
    small, large = (grid_counts(made(n, 7)) for n in (2_000, 400_000))
    assert large.tp.shape[1] <= 1001 and large.tp.shape[1] < 1.5 * small.tp.shape[1]


def test_no_studies_one_class_one_score_and_unlabelled_bones():
    none = grid_counts(made(20).iloc[:0])
    assert none.thresholds.tolist() == [np.inf] and none.tp.shape == (0, 1) and none.complete
    same = grid_counts(made(20).assign(score=0.5))
    assert same.thresholds.tolist() == [np.inf, 0.5]
    one = grid_counts(made(3000).assign(label=0.0), points=101)
    assert one.tp.sum() == 0 and one.fp[:, -1].sum() == 3000
    studies = made(50).assign(bone="wrist")
    studies.loc[:4, "bone"], studies.loc[:4, "label"] = "hand", np.nan
    grid = grid_counts(studies)
    assert grid.groups == ("hand", "wrist") and grid.tp[0, -1] == grid.fp[0, -1] == 0


def test_the_smallest_groups_are_added_together():
    studies = made(4000).assign(bone=[f"site{place % 40:02}" for place in range(4000)])
    studies.loc[0, "bone"] = OTHER
    studies.loc[1, "bone"] = None
    grid = grid_counts(studies, groups=12)
    assert len(grid.groups) == 12 and grid.groups[-1] == OTHER
    assert grid.tp[:, -1].sum() + grid.fp[:, -1].sum() == 4000
    tp, fp = grid_at(grid, studies, 0.1234)
    assert (tp.sum(), fp.sum()) == exact(studies, 0.1234)
    json.dumps(grid.groups)


def test_scores_and_thresholds_of_nan_are_refused():
    with refused("score-not-finite", "nan"):
        grid_counts(made(20).assign(score=np.nan))
    with refused("threshold-nan"):
        grid_at(grid_counts(made(20)), made(20), float("nan"))
