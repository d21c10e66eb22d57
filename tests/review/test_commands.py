"""The commands for verdicts and labels, run as processes."""

import json

import pytest

from core.data.index import build_index, read_index, write_dataset
from core.review.store import add_verdict, open_store
from core.review.vocabulary import Verdict
from core.schema import PREDICTIONS
from core.scores.predictions import store_predictions
from core.scores.source import source_of
from tests.dashboard.conftest import write_checkpoint
from tests.test_command_line import core


@pytest.fixture
def indexed(workspace, mura):
    write_dataset("demo", build_index(mura, folds=4))
    return read_index("demo")


def test_verdicts_are_exported_and_imported_into_another_workspace(workspace, indexed, tmp_path):
    study = indexed["study_id"].iloc[0]
    add_verdict(open_store(), Verdict("demo", study, "Ana", "cannot_tell", note='<b>x</b>\r\n, "y"'))
    add_verdict(open_store(), Verdict("demo", "gone", "Ben", "cannot_tell"))
    file = tmp_path / "verdicts.csv"
    result = json.loads(core(workspace, "verdicts", "export", "--out", file, "--json"))
    assert result["entries"] == 2
    other = tmp_path / "other"
    output = core(other, "verdicts", "import", file, status=1)
    assert all(part in output for part in ("[study-unknown]", "line", "not indexed here", "Nothing was imported"))
    write_dataset_in(other, workspace)
    output = core(other, "verdicts", "import", file, status=1)
    assert "[study-unknown]" in output and "'gone'" in output and "'demo'" in output
    result = json.loads(core(other, "verdicts", "import", file, "--skip", "--json"))
    assert (result["imported"], len(result["skipped"]), result["new_reviewers"]) == (1, 1, ["Ana"])
    result = json.loads(core(other, "verdicts", "import", file, "--keep-unknown", "--json"))
    assert (result["imported"], result["already"]) == (1, 1)
    core(other, "verdicts", "export", "--out", tmp_path / "again.csv")
    assert (tmp_path / "again.csv").read_bytes() == file.read_bytes()


def write_dataset_in(other, workspace):
    """The same index in another workspace."""
    import shutil

    shutil.copytree(workspace / "datasets", other / "datasets")


def test_the_label_audit_ranks_and_writes_a_file(workspace, indexed, tmp_path):
    from core.data.index import read_dataset

    checkpoint, dataset = (
        write_checkpoint(tmp_path / "checkpoints" / "net", read_dataset("demo"), seed=1),
        read_dataset("demo"),
    )
    rows = indexed.assign(logit=4 * indexed["label"] - 2, checkpoint=checkpoint.reference, dataset=dataset.reference)
    wrong = indexed["study_id"].iloc[0]
    rows.loc[rows["study_id"] == wrong, "logit"] *= -1
    rows["split"] = "valid"
    store_predictions(rows[list(PREDICTIONS)])
    out = tmp_path / "ranked.csv"
    result = json.loads(core(workspace, "label-audit", checkpoint.folder, "--data", "demo", "--out", out, "--json"))
    first = result["ranked"][0]
    assert (first["study_id"], first["suspect"], result["suspects"]) == (wrong, True, 1)
    assert out.read_text().startswith("study_id,bone,group_id,label,score,self_confidence,suspect,rank")
    stored = source_of(checkpoint, dataset).scores_file
    again = json.loads(core(workspace, "label-audit", stored, "--data", "demo", "--json"))
    assert again["ranked"] == result["ranked"] and str(stored) in again["scores"]
    output = core(workspace, "label-audit", checkpoint.folder, "--data", "demo", "--order", "luck", status=1)
    assert "[order-unknown]" in output and "luck" in output
    output = core(workspace, "label-audit", checkpoint.folder, "--data", "nowhere", status=1)
    assert "nowhere" in output
