"""AUROC by patient: resamples and closed form agree, and equal DeLong's with one study a patient."""

import numpy as np
import pandas as pd
import pytest

from core.metrics.clustered import RESAMPLED, auroc_by_patient, draws_of, repeated
from core.metrics.evaluation import evaluate
from core.metrics.ranking import auroc


def studies(n: int, patients: int, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    group, label = random.integers(0, patients, n), random.integers(0, 2, n).astype(float)
    # A patient effect added to every score makes the studies of one patient correlate.
    score = 0.8 * label + random.normal(size=patients)[group] + random.normal(size=n)
    return pd.DataFrame({"group_id": [f"p{name}" for name in group], "label": label, "score": score})


def test_the_closed_form_and_the_resamples_agree():
    known = studies(1500, 300)
    closed, drawn = auroc_by_patient(known, 0), auroc_by_patient(known)
    plain = auroc(known["score"], known["label"])
    assert [closed.value, drawn.value] == pytest.approx([plain.value] * 2, abs=1e-12)
    assert [drawn.low, drawn.high] == pytest.approx([closed.low, closed.high], abs=0.004)


def test_the_interval_is_wider_where_a_patients_studies_share_a_label():
    known = studies(1500, 300)
    known["label"] = (known.groupby("group_id")["label"].transform("mean") > 0.5).astype(float)
    closed, plain = auroc_by_patient(known, 0), auroc(known["score"], known["label"])
    assert closed.high - closed.low > 1.3 * (plain.high - plain.low)


def test_one_study_a_patient_gives_delongs_interval_up_to_denominators():
    known = studies(400, 400).assign(group_id=[f"p{place}" for place in range(400)])
    closed, plain = auroc_by_patient(known, 0), auroc(known["score"], known["label"], "normal")
    assert closed.high - closed.low == pytest.approx(plain.high - plain.low, rel=0.005)
    assert not repeated(known) and repeated(studies(400, 100))


def test_duplicate_studies_of_a_patient_do_not_change_the_interval():
    known = studies(300, 120)
    once, thrice = auroc_by_patient(known, 0), auroc_by_patient(pd.concat([known] * 3), 0)
    assert [thrice.low, thrice.high] == pytest.approx([once.low, once.high], abs=1e-12)


@pytest.mark.parametrize(
    ("labels", "why"), [([1.0] * 30, "no normal"), ([0.0] * 30, "no abnormal"), ([1.0] * 5 + [0.0] * 25, "5 abnormal")]
)
def test_an_undefined_area_has_a_reason(labels, why):
    known = pd.DataFrame({"group_id": range(30), "label": labels, "score": np.linspace(0, 1, 30)})
    found = auroc_by_patient(known)
    assert why in found.why and np.isnan(found.low)
    assert auroc_by_patient(known, 0).why == found.why


def test_evaluate_gives_the_same_interval():
    known = studies(200, 80)
    ids = [f"s{place}" for place in range(200)]
    rows = known.assign(study_id=ids, image_id=ids, patient_id=known["group_id"], bone="wrist", split="valid")
    rows = rows.assign(logit=known["score"], probability=1 / (1 + np.exp(-known["score"])))
    facts = evaluate(rows)
    found = auroc_by_patient(known.assign(score=rows["probability"]))
    assert (facts["auroc_patient_low"], facts["auroc_patient_high"]) == (found.low, found.high)
    assert facts["bootstrap_draws"] == draws_of(200) == 2000 and draws_of(RESAMPLED + 1) == 0
