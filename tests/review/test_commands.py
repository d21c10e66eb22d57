"""The commands over verdicts and labels, as a person runs them."""

import json

import pytest

from core.data.index import build_index, read_index, write_dataset
from core.review.store import add_verdict, open_store
from core.review.vocabulary import Verdict
from core.schema import PREDICTIONS
from core.scores.predictions import dataset_reference, store_predictions
from tests.dashboard.conftest import write_checkpoint
from tests.test_command_line import core


@pytest.fixture
def indexed(workspace, mura):
    write_dataset("demo", build_index(mura, folds=4))
    return read_index("demo")


def test_verdicts_go_out_and_come_into_another_workspace(workspace, indexed, tmp_path):
    study = indexed["study_id"].iloc[0]
    add_verdict(open_store(), Verdict("demo", study, "Ana", "cannot_tell", note='<b>x</b>\r\n, "y"'))
    add_verdict(open_store(), Verdict("demo", "gone", "Ben", "cannot_tell"))
    file = tmp_path / "verdicts.csv"
    said = json.loads(core(workspace, "verdicts", "export", "--out", file, "--json"))
    assert said["entries"] == 2
    other = tmp_path / "other"
    told = core(other, "verdicts", "import", file, status=1)
    assert "line 3" in told and "not indexed here" in told and "Nothing was imported" in told
    write_dataset_in(other, workspace)
    told = core(other, "verdicts", "import", file, status=1)
    assert "'gone' is not in the data set 'demo'" in told
    said = json.loads(core(other, "verdicts", "import", file, "--skip", "--json"))
    assert (said["imported"], len(said["skipped"]), said["new_reviewers"]) == (1, 1, ["Ana"])
    said = json.loads(core(other, "verdicts", "import", file, "--keep-unknown", "--json"))
    assert (said["imported"], said["already"]) == (1, 1)
    core(other, "verdicts", "export", "--out", tmp_path / "again.csv")
    assert (tmp_path / "again.csv").read_bytes() == file.read_bytes()


def write_dataset_in(other, workspace):
    """The same index in another workspace."""
    import shutil

    shutil.copytree(workspace / "datasets", other / "datasets")


def test_the_label_audit_ranks_and_writes(workspace, indexed, tmp_path):
    from core.data.index import read_dataset

    checkpoint, dataset = (
        write_checkpoint(tmp_path / "checkpoints" / "net", read_dataset("demo"), seed=1),
        read_dataset("demo"),
    )
    rows = indexed.assign(
        logit=4 * indexed["label"] - 2, checkpoint=checkpoint.reference, dataset=dataset_reference(dataset)
    )
    wrong = indexed["study_id"].iloc[0]
    rows.loc[rows["study_id"] == wrong, "logit"] *= -1
    rows["split"] = "valid"
    store_predictions(rows[list(PREDICTIONS)], checkpoint, dataset)
    out = tmp_path / "ranked.csv"
    said = json.loads(core(workspace, "label-audit", checkpoint.folder, "--data", "demo", "--out", out, "--json"))
    assert said["ranked"][0]["study_id"] == wrong and said["ranked"][0]["suspect"] is True and said["suspects"] == 1
    assert out.read_text().startswith("study_id,bone,group_id,label,score,self_confidence,suspect,rank")
    told = core(workspace, "label-audit", checkpoint.folder, "--data", "demo", "--order", "luck", status=1)
    assert "expected one of noise_rate, self_confidence, margin" in told
    told = core(workspace, "label-audit", checkpoint.folder, "--data", "nowhere", status=1)
    assert "nowhere" in told
