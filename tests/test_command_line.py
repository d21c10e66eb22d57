"""The contract of the commands: exit status, one JSON object with --json, one sentence for an error."""

import errno
import io
import json
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, confusion_matrix, roc_auc_score

from core.__main__ import _run as run_command
from core.version import VERSION
from tests.conftest import REPOSITORY


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


def core(home, *arguments, status=0):
    """Run a command as `python -m core` does, in this process, which spares the imports; its standard output.

    Returns standard error where `status` is not 0. An exception other than OverreadError fails the test.
    """
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setenv("OVERREAD_HOME", str(home))
        patch.chdir(REPOSITORY)
        patch.setattr(sys, "argv", ["core", *map(str, arguments)])
        found = run_command()
    assert found == status, err.getvalue()
    return out.getvalue() if status == 0 else err.getvalue()


def core_process(home, *arguments, status=0):
    """`core` as a process of its own, for what only a real process shows."""
    done = subprocess.run(
        [sys.executable, "-m", "core", *map(str, arguments)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        env={**os.environ, "OVERREAD_HOME": str(home)},
        timeout=300,
    )
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout if status == 0 else done.stderr


def test_a_process_of_its_own_gives_the_same_output_and_status(home, indexed):
    assert core_process(home, "--version") == f"overread {VERSION}\n"
    for arguments, status in (
        (("recipes",), 0),
        (("audit", "nowhere"), 1),
        (("labels", "list", "--data", "tree", "--json"), 0),
    ):
        assert core_process(home, *arguments, status=status) == core(home, *arguments, status=status)


@pytest.fixture(scope="module")
def indexed(home, mura):
    return json.loads(core(home, "index", mura, "--name", "tree", "--folds", 4, "--json"))


@pytest.fixture(scope="module")
def trained(home, indexed):
    facts = core(
        home,
        "train",
        "original-cnn-64",
        "--data",
        "tree",
        "--out",
        home / "model",
        "--set",
        "epochs=2",
        "--set",
        "size=16",
        "--json",
    )
    return json.loads(facts)


def test_index_says_what_it_found(indexed):
    assert {key: indexed[key] for key in ("radiographs", "studies", "patients", "bones", "unreadable")} == {
        "radiographs": 60,
        "studies": 30,
        "patients": 30,
        "bones": {"wrist": 30, "elbow": 30},
        "unreadable": [],
    }


def test_cache_decodes_a_data_set_that_was_never_decoded_and_then_nothing(home, indexed):
    for altered in (0, 0):
        facts = json.loads(core(home, "cache", "tree", "--size", 24, "--json"))
        assert facts["radiographs"] == 60 and not facts["failed"] and facts["altered"] == altered


@pytest.mark.parametrize(
    ("number", "code"),
    [(errno.ENOSPC, "disk-full"), (errno.EACCES, "folder-no-rights"), (errno.EROFS, "folder-no-rights")],
)
def test_a_full_disk_and_missing_rights_are_one_sentence_wherever_they_are_met(home, monkeypatch, number, code):
    def fails() -> None:
        raise OSError(number, os.strerror(number), "/data/x")

    monkeypatch.setattr("core.__main__.app", fails)
    said = core(home, "recipes", status=1)
    assert f"[{code}]" in said.replace("\n", "") and "Traceback" not in said
    # Any other failure of the system is a fault of the program and is not hidden.
    monkeypatch.setattr("core.__main__.app", (home / "missing").read_bytes)
    with pytest.raises(FileNotFoundError):
        core(home, "recipes")


def test_evaluate_agrees_with_scikit_learn_on_the_same_predictions(home, trained):
    file = home / "scores.parquet"
    core(home, "predict", home / "model", "--data", "tree", "--out", file)
    facts = json.loads(core(home, "evaluate", file, "--split", "valid", "--by", "bone", "--threshold", 0.45, "--json"))
    frame = pd.read_parquet(file).query("split == 'valid'")
    studies = (
        frame.assign(score=1 / (1 + np.exp(-frame["logit"])))
        .groupby(["bone", "study_id"])
        .agg(label=("label", "first"), score=("score", "mean"))
    )
    tn, fp, fn, tp = confusion_matrix(studies["label"], studies["score"] >= 0.45).ravel()
    assert [facts[key] for key in ("tp", "fp", "tn", "fn", "n", "n_abnormal", "level", "threshold")] == [
        tp,
        fp,
        tn,
        fn,
        len(studies),
        studies["label"].sum(),
        "study",
        0.45,
    ]
    assert facts["auroc"] == pytest.approx(roc_auc_score(studies["label"], studies["score"]))
    assert facts["average_precision"] == pytest.approx(average_precision_score(studies["label"], studies["score"]))
    assert {f"{key}{end}" for key in ("auroc", "sensitivity", "specificity") for end in ("", "_low", "_high")} <= set(
        facts
    )
    elbow = next(group for group in facts["groups"] if group["bone"] == "elbow")
    assert elbow["n"] == len(studies.loc["elbow"])


def test_evaluating_a_checkpoint_by_its_own_scores_or_on_a_data_set_is_the_same(home, trained):
    own = json.loads(core(home, "evaluate", home / "model", "--json"))
    there = json.loads(core(home, "evaluate", home / "model", "--data", "tree", "--json"))
    assert own == there
    assert "studies" in core(home, "evaluate", home / "model", "--by", "bone")


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (["index", "/nowhere", "--name", "x"], 1, "/nowhere does not exist"),
        (["index", "tests", "--name", "x"], 1, "neither MURA's folders"),
        (["index", "tests", "--name", "x", "--column", "patient"], 2, "expected ours=theirs"),
        (["index"], 2, "Missing argument"),
        (["frobnicate"], 2, "No such command"),
        (["train", "none", "--data", "tree", "--out", "x"], 1, "no recipe 'none'"),
        (["train", "original-cnn-64", "--data", "none", "--out", "x"], 1, "[dataset-missing]"),
        (["train", "original-cnn-64", "--data", "tree", "--out", "x", "--set", "epoch=1"], 1, "no such setting"),
        (["predict", "none", "--data", "tree"], 1, "no checkpoint 'none'"),
        (["evaluate", "none.parquet"], 1, "no predictions file"),
        (["evaluate", "none", "--threshold", "2"], 2, "less than or equal to 1"),
    ],
)
def test_bad_input_is_one_sentence_and_its_status(home, indexed, arguments, status, text):
    assert text in core(home, *arguments, status=status)


def test_the_same_index_twice_gives_the_same_splits(home, indexed, mura):
    again = json.loads(core(home, "index", mura, "--name", "again", "--folds", 4, "--json"))
    assert {**again, "name": "tree"} == indexed


def test_help_lists_the_commands(home):
    text = core(home, "--help")
    assert all(command in text for command in ("phantom", "index", "train", "predict", "evaluate", "demo"))
