"""The threshold at which one model is as sensitive as another, against a search over every score."""

import numpy as np
import pandas as pd
import pytest

from core.metrics.compare import equally_sensitive_threshold


@pytest.mark.parametrize("seed", range(5))
def test_it_is_the_highest_threshold_with_as_many_found(seed):
    random = np.random.default_rng(seed)
    studies = pd.DataFrame(
        {"label": random.integers(0, 2, 60), "score_a": random.random(60), "score_b": random.random(60).round(1)}
    )
    abnormal = studies[studies["label"] == 1]
    wanted = (abnormal["score_a"] >= 0.4).sum()
    best = max(score for score in studies["score_b"] if (abnormal["score_b"] >= score).sum() >= wanted)
    found = equally_sensitive_threshold(studies, 0.4)
    assert (abnormal["score_b"] >= found).sum() >= wanted and found <= best
    assert (abnormal["score_b"] > found).sum() < wanted


def test_where_the_first_finds_none_any_threshold_is_as_sensitive():
    studies = pd.DataFrame({"label": [1, 0], "score_a": [0.2, 0.9], "score_b": [0.8, 0.1]})
    assert equally_sensitive_threshold(studies, 0.95) == np.inf
