"""Label revisions from verdicts; the given labels never change."""

import json

import numpy as np
import pandas as pd

from core.data.index import build_index, read_index, write_dataset
from core.data.labels import labels_file, read_labels, relabelled
from core.paths import checkpoint_folder
from core.review.label_revisions import accept_labels, decided_labels, find_revision, list_revisions, revision_table
from core.review.store import add_verdict, open_store, verdicts_table
from core.review.vocabulary import Verdict
from tests.refusals import refused
from tests.test_command_line import core


def say(store, study, reviewer, verdict=None, label=1.0, **more):
    return add_verdict(store, Verdict("demo", study, reviewer, verdict, given_label=label, **more))


def filled(store):
    say(store, "s1", "Ana", "label_wrong")
    say(store, "s1", "Ben", "label_wrong")
    say(store, "s2", "Ana", "true_miss")
    say(store, "s3", "Ana", "label_wrong")
    say(store, "s3", "Ben", "true_miss")
    say(store, "s4", "Ana", "poor_image")
    say(store, "s5", "Ana", label=None, reading="abnormal")


def test_agreed_reads_become_labels_and_other_studies_keep_theirs(store):
    filled(store)
    table = decided_labels(verdicts_table(store, "demo")).set_index("study_id")
    assert table["outcome"].to_dict() == {
        "s1": "corrected", "s2": "confirmed", "s4": "unreadable", "s5": "labelled",
    }  # fmt: skip
    assert table.at["s1", "label"] == 0 and table.at["s2", "label"] == 1 and np.isnan(table.at["s4", "label"])
    assert len(json.loads(table.at["s1", "verdict_ids"])) == 2
    assert decided_labels(verdicts_table(store, "demo"), "two")["study_id"].tolist() == ["s1"]
    say(store, "s3", "Cleo", reading="normal", kind="adjudication")
    table = decided_labels(verdicts_table(store, "demo")).set_index("study_id")
    assert table.at["s3", "outcome"] == "corrected"
    assert decided_labels(verdicts_table(store, "demo"), "adjudicated")["study_id"].tolist() == ["s3"]


def test_revisions_are_numbered_and_never_change(store):
    filled(store)
    first = accept_labels(store, "demo", "Ana")
    assert accept_labels(store, "demo", "Ben") == first
    say(store, "s2", "Ana", "cannot_tell")
    second = accept_labels(store, "demo", "Ben")
    assert [one.number for one in list_revisions(store, "demo")] == [1, 2] and second.author == "Ben"
    assert find_revision(store, "demo", "1") == first and find_revision(store, "demo") == second
    assert revision_table(store, first).set_index("study_id").at["s2", "outcome"] == "confirmed"
    labels_file("demo", first.reference).unlink()
    find_revision(store, "demo", first.reference)
    assert read_labels("demo", first.reference)["study_id"].tolist() == ["s1", "s2", "s4", "s5"]
    with refused("revision-missing", "'7'", "found: 1@"):
        find_revision(store, "demo", "7")


def test_an_altered_file_is_refused(store):
    filled(store)
    revision = accept_labels(store, "demo", "Ana")
    file = labels_file("demo", revision.reference)
    frame = pd.read_parquet(file)
    frame.loc[0, "label"] = 1.0
    frame.to_parquet(file)
    with refused("revision-altered", revision.reference):
        read_labels("demo", revision.reference)
    file.write_bytes(b"nothing")
    with refused("revision-unreadable"):
        read_labels("demo", revision.reference)


def test_without_verdicts_there_is_no_revision(store):
    with refused("no-label-decided", "demo"):
        accept_labels(store, "demo", "Ana")


def test_revised_labels_replace_the_given_ones():
    frame = pd.DataFrame({"study_id": ["s1", "s1", "s2", "s3"], "label": [1.0, 1.0, 0.0, np.nan]})
    labels = pd.DataFrame({"study_id": ["s1", "s3", "gone"], "label": [0.0, 1.0, 1.0]})
    done = relabelled(frame, labels)
    assert done["label"].tolist() == [0, 0, 0, 1]
    assert done["label_given"].tolist()[:3] == [1, 1, 0] and np.isnan(done["label_given"].iloc[3])


def test_training_and_evaluating_with_a_revision(workspace, mura, tmp_path):
    dataset = write_dataset("demo", build_index(mura, folds=4))
    index = read_index("demo")
    train = index[index["split"] == "train"].drop_duplicates("study_id")
    valid = index[index["split"] == "valid"].drop_duplicates("study_id")
    wrong, left_out = train["study_id"].iloc[0], train["study_id"].iloc[1]
    store = open_store()
    for study, verdict in (
        (wrong, "label_wrong"),
        (left_out, "poor_image"),
        (valid["study_id"].iloc[0], "label_wrong"),
    ):
        label = index.loc[index["study_id"] == study, "label"].iloc[0]
        say(store, study, "Ana", verdict, label=label)
    revision = json.loads(core(workspace, "labels", "accept", "--data", "demo", "--author", "Ana", "--json"))
    assert revision["outcomes"] == {"corrected": 2, "unreadable": 1}
    facts = json.loads(
        core(
            workspace, "train", "original-cnn-64", "--data", "demo", "--out", tmp_path / "model",
            "--set", "epochs=1", "--set", "size=16", "--labels", "latest", "--json",
        )
    )  # fmt: skip
    folder = checkpoint_folder(facts["checkpoint"])
    assert json.loads((folder / "recipe.json").read_text())["labels"] == revision["reference"]
    manifest = json.loads((folder / "manifest.json").read_text()) if (folder / "manifest.json").exists() else {}
    assert manifest.get("labels", revision["reference"]) == revision["reference"]
    assert read_index("demo").equals(index) and dataset.index_hash
    judged = json.loads(core(workspace, "evaluate", tmp_path / "model", "--data", "demo", "--labels", "1", "--json"))
    assert judged["labels"] == revision["reference"]
    assert abs(judged["n_abnormal"] - judged["as_labelled"]["n_abnormal"]) == 1
    assert judged["n"] == judged["as_labelled"]["n"] == valid["study_id"].nunique()
    output = core(workspace, "evaluate", tmp_path / "model", "--data", "demo", "--labels", "9", status=1)
    assert "[revision-missing]" in output
