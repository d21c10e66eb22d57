"""A workspace and checkpoints written before version 0.2 open with today's code."""

import shutil
from pathlib import Path

import pytest

from core import jobs, paths
from core.audit.audit import read_audit
from core.data.index import broken_datasets, list_datasets, read_dataset, read_earlier_index, read_index
from core.data.labels import read_labels
from core.models.checkpoint import list_checkpoints, read_checkpoint
from core.review.database import open_store
from core.review.label_revisions import find_revision, list_revisions, revision_table
from core.review.readers import list_reviewers
from core.review.reading_state import read_state
from core.review.store import entries_table, verdicts_table
from core.review.walkthroughs import list_walkthroughs, read_walkthrough
from core.scores.halves import DataSplit
from core.scores.imports import imported_predictions, list_imported
from core.scores.learning import learned
from core.scores.operating_points import find_point, read_points
from core.scores.source import find_source, source_of
from core.scores.stored_scores import read_predictions
from core.scores.verification_log import verifications

FIXTURE = Path(__file__).parent / "fixtures" / "workspace-0.1"
SHIPPED = paths.CHECKPOINTS
STUDIES = ["train/elbow/patient00010/study1", "train/finger/patient00003/study1", "train/finger/patient00006/study1"]


@pytest.fixture
def old(workspace, tmp_path) -> Path:
    """A copy of the old workspace, and of the checkpoint that shipped then, with what was locked and verified."""
    shutil.copytree(FIXTURE, workspace)
    folder = tmp_path / "checkpoints" / "original-cnn-64"
    shutil.copytree(FIXTURE / "model", folder)
    for file in ("operating_points.json", "looks.jsonl"):
        shutil.copy(FIXTURE / "checkpoint" / file, folder / file)
    return workspace


def test_data_sets_and_stored_scores_open(old):
    (dataset,) = list_datasets()
    index = read_index("phantoms")
    assert (dataset.name, dataset.kind, dataset.phantom, dataset.patients_known) == ("phantoms", "mura", True, 24)
    assert len(index) == 70 and index["study_id"].nunique() == 27 and not broken_datasets()
    assert dataset.problems()["unreadable"] == []
    scores = read_predictions(source_of(read_checkpoint("original-cnn-64"), dataset))
    assert len(scores) == 70 and scores["logit"].notna().all()


def test_the_splits_of_an_earlier_index_are_known(old):
    earlier = read_earlier_index("phantoms", "/data/phantoms/MURA-v1.1")
    # Its files are inspected again, since an earlier version inspected them less closely.
    assert earlier is not None and len(earlier.frame) == 70 and earlier.facts == {}
    assert set(earlier.frame["split"]) == {"train", "valid"} and earlier.splits_from == "source"


def test_imported_scores_open(old):
    (imported,) = list_imported()
    frame = imported_predictions(imported)
    assert imported.name == "outside" and len(frame) == 70 and frame["study_id"].nunique() == 27


@pytest.mark.parametrize(
    ("name", "id", "split", "author", "verified_on"),
    [
        ("original-cnn-64", "7803f168835d", "valid", "Ana", "train"),
        ("outside", "8dc6ca6eac18", "train", "Ben", "valid"),
    ],
)
def test_operating_points_have_intact_seals_and_their_verifications(old, name, id, split, author, verified_on):
    source = find_source(name, read_dataset("phantoms") if name == "original-cnn-64" else None)
    (point,) = read_points(source)
    assert find_point(source, "latest") == point == find_point(source, id)
    assert (point.id, point.split, point.author, point.rule) == (id, split, author, "youden")
    (entry,) = verifications(source, DataSplit(point.dataset, verified_on))
    assert entry["point"] == id
    if name == "original-cnn-64":
        assert point.dataset == read_dataset("phantoms").reference


def test_verdicts_and_their_history_open(old):
    store = open_store()
    current, history = verdicts_table(store, "phantoms"), entries_table(store, "phantoms")
    assert current["study_id"].tolist() == [STUDIES[0], STUDIES[0], STUDIES[1]]
    assert current["reviewer"].tolist() == ["Ana", "Ben", "Ana"]
    assert current["blind"].tolist() == [False, True, False]
    assert current["read"].tolist() == ["abnormal", "abnormal", "normal"]
    assert history["action"].tolist() == ["verdict"] * 4 + ["undo"] and list_reviewers(store) == ["Ana", "Ben"]
    assert current["note"].iloc[0] == "see the film <b>" and current["score"].iloc[2] == 0.25


def test_the_walkthrough_opens_in_its_newest_version(old):
    store = open_store()
    (row,) = list_walkthroughs(store, "phantoms").itertuples()
    walk = read_walkthrough(store, row.id)
    assert (walk.name, walk.author, walk.version, walk.made_from) == ("Monday", "Ana", 2, "missed studies")
    assert [case.study_id for case in walk.cases] == [STUDIES[1], STUDIES[0], STUDIES[2]]
    assert (walk.cases[0].stratum, walk.cases[0].probability) == ("errors", 0.5)
    assert walk.cases[1].note == "look at the joint" and read_state(store, walk).place == 2


def test_the_label_revision_opens_and_its_file_is_unaltered(old):
    store = open_store()
    (revision,) = list_revisions(store, "phantoms")
    assert revision.reference == "1@7d22c302" and find_revision(store, "phantoms") == revision
    labels = read_labels("phantoms", revision.reference)
    assert dict(zip(labels["study_id"], labels["label"])) == {STUDIES[0]: 1.0, STUDIES[1]: 0.0}
    assert revision_table(store, revision)["outcome"].tolist() == ["corrected", "confirmed"]


def test_the_audit_of_the_same_index_opens(old):
    found = read_audit(read_dataset("phantoms"))
    assert found.radiographs == 70 and found.patients_known == 24 and not found.failed


def test_a_finished_job_is_listed_with_its_log(old):
    (job,) = jobs.list_jobs()
    assert (job.state, job.active) == ("done", False)
    assert job.arguments["data"] == "phantoms" and job.arguments["settings"] == ["epochs=1"]
    assert "best epoch 1" in jobs.log_of(job.id)


def test_the_shipped_checkpoints_open(monkeypatch):
    monkeypatch.setattr(paths, "CHECKPOINTS", SHIPPED)
    whole, broken = list_checkpoints()
    assert {"original-cnn-64", "resnet-narrow-128"} <= {checkpoint.name for checkpoint in whole} and not broken
    for checkpoint in whole:
        assert checkpoint.input_spec.size in (64, 128) and len(checkpoint.learned())
        assert {"tune_accuracy", "tune_precision", "tune_recall"} <= set(checkpoint.history())
        assert learned(checkpoint).enough
