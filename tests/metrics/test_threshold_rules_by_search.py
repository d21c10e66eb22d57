"""Every rule agrees with trying all thresholds, on random scores with ties, one class, 0, 1 and tiny numbers."""

import math
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.metrics.intervals import bounds
from core.metrics.thresholds import choose

VALUES = st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0, 5e-324, 1 - 2**-53]))
STUDIES = st.lists(st.tuples(VALUES, st.integers(0, 1)), max_size=40)


class ExhaustiveSearch:
    """Counts at every score and at +infinity, by a loop over every study."""

    def __init__(self, drawn):
        self.studies = pd.DataFrame(drawn, columns=["score", "label"], dtype=np.float64)
        self.n1 = sum(label for _, label in drawn)
        self.n0 = len(drawn) - self.n1
        self.candidates = [math.inf, *sorted({score for score, _ in drawn}, reverse=True)]
        self.at = {
            threshold: tuple(sum(s >= threshold and y == label for s, y in drawn) for label in (1, 0))
            for threshold in self.candidates
        }


def lower(k: int, n: int, bound: str) -> float:
    if not n:
        return math.nan
    return k / n if bound == "none" else float(bounds(k, n, bound.replace("-", "_"))[0])


def agrees(choice, wanted: list[float], best) -> None:
    assert choice.feasible == bool(wanted)
    assert math.isnan(choice.threshold) if not wanted else choice.threshold == best(wanted)


@settings(max_examples=120, deadline=None)
@given(STUDIES, st.sampled_from([0.3, 0.5, 0.8, 0.9]), st.sampled_from(["wilson", "clopper-pearson", "none"]))
def test_constraints_on_one_rate(drawn, target, bound):
    force = ExhaustiveSearch(drawn)
    keeps = [t for t in force.candidates if lower(force.at[t][0], force.n1, bound) >= target]
    agrees(choose(force.studies, f"sensitivity>={target}", bound), keeps, max)
    clear = [
        t for t in force.candidates if lower(force.n0 - force.at[t][1], force.n0, bound) >= target and t < math.inf
    ]
    agrees(choose(force.studies, f"specificity>={target}", bound), clear, min)


@settings(max_examples=120, deadline=None)
@given(STUDIES, st.sampled_from([None, "0.05", "0.3"]))
def test_youden_cost_and_alerts(drawn, prevalence):
    force = ExhaustiveSearch(drawn)
    if not (force.n1 and force.n0):
        assert not choose(force.studies, "youden").feasible and not choose(force.studies, "cost=5").feasible
        return
    stated = None if prevalence is None else float(prevalence)
    share = Fraction(force.n1, force.n1 + force.n0) if prevalence is None else Fraction(prevalence)
    rates = {t: (Fraction(tp, force.n1), Fraction(fp, force.n0)) for t, (tp, fp) in force.at.items()}
    index = {t: se - false for t, (se, false) in rates.items()}
    best = [t for t in index if index[t] == max(index.values())]
    agrees(choose(force.studies, "youden"), best, min)
    for miss, alarm in ((5, 1), (1, 2)):
        cost = {t: miss * share * (1 - se) + alarm * (1 - share) * false for t, (se, false) in rates.items()}
        cheapest = [t for t in cost if cost[t] == min(cost.values())]
        agrees(choose(force.studies, f"cost={miss}:{alarm}", prevalence=stated), cheapest, min)
    alerts = {t: 100 * (share * se + (1 - share) * false) for t, (se, false) in rates.items()}
    for most in (10, 37, 50):
        few = [t for t in alerts if alerts[t] <= most and t < math.inf]
        agrees(choose(force.studies, f"alerts<={most}", prevalence=stated), few, min)


@settings(max_examples=120, deadline=None)
@given(STUDIES, st.sampled_from(["0.05", "0.2", "0.5"]))
def test_conformal_rules(drawn, alpha):
    force = ExhaustiveSearch(drawn)
    abnormal = sorted(score for score, label in drawn if label)
    k = math.floor(Fraction(alpha) * (force.n1 + 1))
    agrees(choose(force.studies, f"miss<={alpha}"), [abnormal[k - 1]] if 1 <= k <= force.n1 else [], min)


def test_the_exhaustive_search_agrees_with_counts_by_hand():
    force = ExhaustiveSearch([(0.5, 1), (0.5, 0), (0.2, 1)])
    assert force.at == {math.inf: (0, 0), 0.5: (1, 1), 0.2: (2, 1)}
    assert lower(1, 1, "none") == 1 and math.isnan(lower(0, 0, "wilson"))
    with pytest.raises(AssertionError):
        agrees(choose(force.studies, "youden"), [], min)
