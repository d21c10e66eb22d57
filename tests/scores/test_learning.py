"""A run that has learned nothing says so, with its figure."""

import subprocess
import sys
from types import SimpleNamespace

import pandas as pd
import pytest

from core.models.checkpoint import read_checkpoint
from core.paths import REPOSITORY
from core.scores.learning import LEAST, learned
from tests.dashboard.conftest import write_checkpoint


@pytest.fixture
def run(workspace, tmp_path):
    """A checkpoint whose held-out fold gives these figures in its two epochs; the second is kept."""

    def write(**figures):
        checkpoint = write_checkpoint(tmp_path / "run", SimpleNamespace(name="ph", phantom=True), seed=1)
        rows = {"epoch": [1, 2], "tune_auroc": [0.9, 0.593], "tune_studies": 90, "best": [True, True], **figures}
        pd.DataFrame(rows).to_csv(checkpoint.folder / "history.csv", index=False)
        return read_checkpoint(checkpoint.folder)

    return write


def test_the_lower_end_of_the_interval_decides(run):
    nothing = learned(run(tune_auroc_low=[0.8, 0.495], tune_auroc_high=[0.95, 0.691]))
    assert not nothing.enough and nothing.known and nothing.mark == "learned nothing"
    assert "AUROC 0.593 (0.495-0.691), n = 90" in nothing.warning
    at_limit = learned(run(tune_auroc_low=[0.1, LEAST], tune_auroc_high=[0.95, 0.691]))
    assert at_limit.enough and not at_limit.mark and not at_limit.warning


def test_a_run_without_an_interval_is_not_known_to_have_learned(run):
    unknown = learned(run(tune_auroc_low=None, tune_auroc_high=None))
    assert not unknown.known and not unknown.enough and "no interval" in unknown.warning
    one_class = learned(run(tune_auroc=None))
    assert not one_class.known and "one class" in one_class.warning
    unread = run(tune_auroc=None)
    (unread.folder / "history.csv").write_bytes(b"\x00\xff")
    assert not learned(unread).known


def test_an_ensemble_is_judged_by_its_out_of_fold_scores(run):
    checkpoint = run()
    (checkpoint.folder / "history.csv").unlink()
    assert "stored no figure" in learned(checkpoint).warning
    count = 60
    scores = pd.DataFrame(
        {
            "image_id": [f"i{number}" for number in range(count)],
            "study_id": [f"s{number}" for number in range(count)],
            "patient_id": None,
            "group_id": [f"s{number}" for number in range(count)],
            "bone": "wrist",
            "split": "tune",
            "label": [float(number % 2) for number in range(count)],
            "logit": [1.0 * (number % 2) + number / count for number in range(count)],
        }
    )
    scores.to_parquet(checkpoint.folder / "predictions.parquet")
    judged = learned(checkpoint)
    assert judged.tuning.n == count and judged.tuning.value == 1 and judged.enough and not judged.warning
    scores.assign(logit=[float(number % 7) for number in range(count)]).to_parquet(
        checkpoint.folder / "predictions.parquet"
    )
    assert not learned(checkpoint).enough and learned(checkpoint).known


def test_imported_scores_have_no_run():
    assert learned(object()) is None


def test_judging_a_run_needs_no_torch():
    program = "import sys, core.scores.learning; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY).returncode == 0
