import numpy as np
import pandas as pd
import pytest

from core.metrics.intervals import wilson
from core.metrics.studies import study_table
from core.metrics.thresholds import band_table
from tests.metrics.examples import P, Y, one_view_each
from tests.refusals import refused


def test_a_band_has_the_studies_that_change_between_its_thresholds():
    studies = study_table(one_view_each(P, Y))
    row = band_table(studies, 0.4, 0.7).iloc[0]
    inside = (P >= 0.4) & (P < 0.7)
    assert (
        (row.abnormal, row.normal, row.studies) == (Y[inside].sum(), (1 - Y[inside]).sum(), inside.sum()) == (3, 2, 5)
    )
    assert row.fn_at_high - row.fn_at_low == row.abnormal and row.fp_at_low - row.fp_at_high == row.normal
    assert row.alarms_per_find == pytest.approx(2 / 3) and np.isnan(row.alarms_per_find_low) and "9 abnormal" in row.why


@pytest.mark.parametrize("seed", range(3))
def test_bands_of_bones_add_up_and_alarms_per_find_have_wilsons_interval(seed):
    random = np.random.default_rng(seed)
    label = random.integers(0, 2, 400)
    frame = one_view_each(random.beta(2 + label, 3 - label), label, random.choice(["wrist", "elbow"], 400))
    studies = study_table(frame)
    table = band_table(studies, 0.4, 0.6, by="bone").set_index("group")
    counts = ["n", "n_abnormal", "studies", "abnormal", "normal", "fn_at_high", "fp_at_low"]
    assert list(table.index) == ["all", "wrist", "elbow"]
    assert (table.loc[["wrist", "elbow"], counts].sum() == table.loc["all", counts]).all()
    for row in table.itertuples():
        low, high = wilson(row.abnormal, row.studies)
        assert row.alarms_per_find == pytest.approx(row.normal / row.abnormal)
        assert (row.alarms_per_find_low, row.alarms_per_find_high) == pytest.approx((1 / high - 1, 1 / low - 1))
        assert row.alarms_per_find_low < row.alarms_per_find < row.alarms_per_find_high


def test_edges_of_a_band():
    studies = study_table(one_view_each([0.2, 0.4, 0.4, 0.6], [0, 1, np.nan, 0]))
    row = band_table(studies, 0.4, 0.6).iloc[0]
    assert (row.abnormal, row.normal, row.unknown) == (1, 0, 1)
    empty = band_table(studies, 0.7, 0.9).iloc[0]
    assert empty.studies == 0 and "no labelled study" in empty.why and np.isnan(empty.alarms_per_find)
    with refused("thresholds-order", 0.6, 0.4):
        band_table(studies, 0.6, 0.4)
    with refused("group-column-unknown", "hospital"):
        band_table(studies, 0.4, 0.6, by="hospital")
    assert isinstance(band_table(studies.iloc[:0], 0.4, 0.6, by="bone"), pd.DataFrame)
