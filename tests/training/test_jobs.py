"""Runs that outlive who started them: queued, watched, stopped, taken up; a killed worker is told from a live one."""

import json
import os
import signal
import time
from pathlib import Path

import pytest

from core import jobs as room
from core.data.index import build_index, write_dataset
from core.errors import OverreadError
from core.jobs import enqueue, list_jobs, log_of, start_worker, stop
from core.models.checkpoint import read_checkpoint

SHORT = ["size=16", "epochs=2", 'model_kwargs={"width": 4}']
LONG = ["size=16", "epochs=5000", 'model_kwargs={"width": 4}']


@pytest.fixture
def tree(mura, workspace):
    write_dataset("tree", build_index(mura, folds=4))
    yield
    for job in list_jobs():
        if job.active:
            stop(job.id)
    wait(lambda: not any(job.active for job in list_jobs()))


def wait(what, seconds: float = 90):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := what():
            return found
        time.sleep(0.1)
    raise AssertionError([(job, log_of(job.id)) for job in list_jobs()])


def state(job) -> str:
    return next(found for found in list_jobs() if found.id == job.id).state


def test_runs_wait_for_each_other_and_are_done(tree, tmp_path):
    first = enqueue("original-cnn-64", "tree", str(tmp_path / "first"), SHORT)
    second = enqueue("original-cnn-64", "tree", str(tmp_path / "second"), SHORT)
    wait(lambda: state(first) == "running")
    assert state(second) == "waiting"
    wait(lambda: state(second) == "done")
    assert state(first) == "done" and "best epoch" in log_of(first.id)
    assert all(read_checkpoint(tmp_path / name).manifest["complete"] for name in ("first", "second"))
    assert [job.id for job in list_jobs()] == [second.id, first.id]


def test_a_run_is_stopped_and_taken_up(tree, tmp_path):
    out = tmp_path / "out"
    job = enqueue("original-cnn-64", "tree", str(out), LONG)
    wait(lambda: (out / "history.csv").exists() and (out / "resume.safetensors").exists())
    assert wait(lambda: next(found for found in list_jobs() if found.id == job.id).progress)["total"] > 0
    with pytest.raises(OverreadError, match="is waiting or running already|already holds"):
        enqueue("original-cnn-64", "tree", str(out), LONG)
    stop(job.id)
    wait(lambda: state(job) == "stopped")
    done = len(read_checkpoint(out).history())
    with pytest.raises(OverreadError, match="already holds a checkpoint; resume it"):
        enqueue("original-cnn-64", "tree", str(out), LONG)
    again = enqueue("original-cnn-64", "tree", str(out), LONG, resume=True)
    wait(lambda: len(read_checkpoint(out).history()) > done + 1)
    stop(again.id)
    wait(lambda: state(again) == "stopped")


def test_a_killed_worker_is_told_from_one_that_works(tree, tmp_path):
    out = tmp_path / "out"
    job = enqueue("original-cnn-64", "tree", str(out), LONG)
    waiting = enqueue("original-cnn-64", "tree", str(tmp_path / "other"), SHORT)
    wait(lambda: (out / "history.csv").exists())
    for worker in processes_of("core.jobs", job.id, str(out)):
        os.kill(worker, signal.SIGKILL)
    wait(lambda: state(job) == "interrupted")
    assert state(waiting) == "waiting"
    start_worker()
    wait(lambda: state(waiting) == "running")
    assert state(job) == "interrupted"
    wait(lambda: state(waiting) == "done")
    assert state(job) == "interrupted" and read_checkpoint(out).weights_hash


def processes_of(*words: str) -> list[int]:
    found = []
    for place in Path("/proc").iterdir():
        if place.name.isdigit() and int(place.name) != os.getpid():
            try:
                line = (place / "cmdline").read_text().replace("\0", " ")
                home = f"OVERREAD_HOME={os.environ['OVERREAD_HOME']}" in (place / "environ").read_text()
            except OSError:
                continue
            if home and any(word in line for word in words):
                found.append(int(place.name))
    return found


def test_what_cannot_be_run_is_not_queued(tree, tmp_path):
    for arguments, said in (
        (("no-recipe", "tree", "x"), "There is no recipe"),
        (("original-cnn-64", "no-set", "x"), "no data set"),
        (("original-cnn-64", "tree", "x", ["sise=3"]), "there is no such setting"),
    ):
        with pytest.raises(OverreadError, match=said):
            enqueue(*arguments)
    assert not list_jobs()


def test_a_run_that_fails_says_why(tree, tmp_path):
    job = enqueue("original-cnn-64", "tree", str(tmp_path / "out"), [*SHORT, "holdout_fold=9"])
    wait(lambda: state(job) == "failed")
    assert "Fold 9 holds 0 of" in next(found for found in list_jobs()).said


def test_a_waiting_run_is_taken_off_the_queue(tree, tmp_path, monkeypatch):
    monkeypatch.setattr(room, "start_worker", lambda: None)
    job = enqueue("original-cnn-64", "tree", str(tmp_path / "out"), SHORT)
    stop(job.id)
    assert state(job) == "stopped"
    (Path(os.environ["OVERREAD_HOME"]) / "jobs" / "broken.json").write_text(json.dumps({"id": 3}))
    assert len(list_jobs()) == 1
