"""The job that judges a sample: alone, watched, stopped, and what a kill leaves."""

import json
import subprocess
import sys

import pytest

from core.errors import OverreadError
from core.explain.trust_job import TrustJob, at_work, read_job, start_job, stop_job


class Seen:
    reference, name = "model@0123abcd", "model"
    folder = "/nowhere/model"


JOB = TrustJob("demo", "valid", 20, ("grad_cam", "occlusion"))


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("OVERREAD_HOME", str(tmp_path))
    return tmp_path


def test_one_process_a_checkpoint_is_the_job_and_everybody_sees_it():
    assert read_job(Seen()) is None
    with at_work(Seen(), JOB) as (tell, stopped):
        tell(3, 40, "Grad-CAM on a.png")
        seen = read_job(Seen())
        assert (seen.state, seen.done, seen.total) == ("running", 3, 40) and seen.methods == JOB.methods
        with pytest.raises(OverreadError, match="judged already .3 of 40 on demo."):
            start_job(Seen(), "demo", "valid", 20, JOB.methods)
        assert not stopped()
    assert read_job(Seen()).state == "done"


def test_a_stop_is_heard_and_the_next_job_begins_unstopped():
    with at_work(Seen(), JOB) as (_, stopped):
        stop_job(Seen())
        assert stopped()
    assert read_job(Seen()).state == "stopped"
    with at_work(Seen(), JOB) as (_, stopped):
        assert not stopped()


def test_a_failure_says_why():
    with pytest.raises(OverreadError), at_work(Seen(), JOB):
        raise OverreadError("the split valid holds nothing")
    assert (read_job(Seen()).state, read_job(Seen()).said) == ("failed", "the split valid holds nothing")


def test_a_killed_job_is_said_to_be_interrupted_and_another_can_begin(home):
    code = (
        "import os, signal, sys; sys.path.insert(0, '.')\n"
        "from tests.explain.test_trust_job import JOB, Seen, at_work\n"
        "with at_work(Seen(), JOB): os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == -9
    assert json.loads((home / "trust" / "model-0123abcd" / "job.json").read_text())["state"] == "running"
    assert read_job(Seen()).state == "interrupted"
    with at_work(Seen(), JOB):
        assert read_job(Seen()).state == "running"


def test_a_process_that_cannot_begin_is_said_to_have_failed(home):
    start_job(Seen(), "demo", "valid", 20, JOB.methods)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("core.explain.trust_job.PATIENCE", float("inf"))
        while (job := read_job(Seen())).state == "starting":
            pass
    assert job.state == "failed" and job.said
