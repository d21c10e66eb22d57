"""Published predictions and counts give the published figures."""

from pathlib import Path

import pandas as pd
import pytest

from core.metrics import confusion
from core.metrics.intervals import auroc_statistic, patient_bootstrap
from core.metrics.ranking import auroc

FOLDER = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "predictions"
EXACT = ("Cardiomegaly", "Pneumothorax", "Consolidation", "Edema", "Fibrosis", "Pleural_Thickening")

pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason="published predictions are not beside this checkout (shared/data/predictions)"
)


@pytest.fixture(scope="module")
def chest():
    names = [f"{letter}_{finding}" for finding in EXACT for letter in "yp"]
    return pd.read_csv(FOLDER / "nih_chexnet" / "predictions.csv", usecols=["patient_id", *names])


@pytest.fixture(scope="module")
def published():
    return pd.read_csv(FOLDER / "nih_chexnet" / "published_aucs.csv").set_index("label")


@pytest.mark.parametrize("finding", EXACT)
def test_six_published_areas_agree_to_the_last_digit(chest, published, finding):
    found = auroc(chest[f"p_{finding}"], chest[f"y_{finding}"])
    assert published.loc[finding, "reproduces_exactly"]
    assert found.value == pytest.approx(published.loc[finding, "published_auc"], abs=2e-15)
    assert found.n == 22433 and found.low < found.value < found.high


def test_the_interval_by_patient_is_wider_for_several_images_a_patient(chest):
    scores, labels = chest["p_Edema"], chest["y_Edema"]
    plain = auroc(scores, labels)
    clustered = patient_bootstrap(chest["patient_id"], auroc_statistic(scores, labels), draws=200)
    assert clustered.value == pytest.approx(plain.value, abs=1e-12) and clustered.n == 22433
    assert clustered.high - clustered.low > 1.1 * (plain.high - plain.low)


@pytest.mark.parametrize("level", ["study_level.csv", "image_level.csv"])
def test_published_mura_counts_give_the_published_figures(level):
    table = pd.read_csv(FOLDER / "mura_published" / level)
    printed, f1 = ("kappa", "f1") if level == "study_level.csv" else ("cohen_kappa", "f1_score")
    # The image-level figures were published in single precision.
    tolerance = 1e-9 if level == "study_level.csv" else 2e-7
    assert len(table) == (72 if level == "study_level.csv" else 5)
    for row in table.to_dict("records"):
        at = {name: row[name] for name in ("tp", "fp", "tn", "fn")}
        assert confusion.kappa(**at).value == pytest.approx(row[printed], abs=tolerance)
        assert confusion.f1(**at).value == pytest.approx(row[f1], abs=tolerance)
        if level == "study_level.csv":
            balanced = confusion.balanced_accuracy(**at).value
            assert balanced == pytest.approx(row["roc_auc_of_hard_decision"], abs=1e-9)
