"""Score histograms count every labelled study once, whichever axis is shown."""

import numpy as np
import pandas as pd
import pytest

from core.metrics.histogram import score_histogram


@pytest.mark.parametrize("axis", ["probability", "log-odds"])
def test_every_study_is_in_one_bin_of_its_label(axis):
    random = np.random.default_rng(0)
    studies = pd.DataFrame({"score": [0.0, 1.0, *random.random(198)], "label": random.integers(0, 2, 200)})
    found = score_histogram(studies, axis)
    assert len(found["edges"]) == 61 and np.all(np.diff(found["edges"]) > 0)
    assert sum(found["abnormal"]) == studies["label"].sum()
    assert sum(found["normal"]) == (1 - studies["label"]).sum()


def test_bins_of_probability_are_even_and_hold_their_scores():
    studies = pd.DataFrame({"score": [0.05, 0.15, 0.15, 0.95], "label": [0, 1, 0, 1]})
    found = score_histogram(studies, "probability", bins=10)
    assert found["normal"][:2] == [1, 1] and found["abnormal"][1] == 1 and found["abnormal"][9] == 1
