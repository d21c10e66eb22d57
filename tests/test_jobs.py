"""The job queue: lanes, progress, stopping, killed processes, files of version 0.1, and what is refused."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core import jobs
from core.data.index import build_index, write_dataset
from core.errors import OverreadError
from core.jobs import find, list_jobs, log_of, queue, records, start_worker, stop
from core.jobs.kinds import Kind
from core.models.checkpoint import read_checkpoint
from core.progress import progress_from
from core.workflows.runs import enqueue_run, resume_run
from tests.refusals import refused

SHORT = ["size=16", "epochs=2", 'model_kwargs={"width": 4}']
LONG = ["size=16", "epochs=5000", 'model_kwargs={"width": 4}']


def wait(what, seconds: float = 300):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := what():
            return found
        time.sleep(0.1)
    raise AssertionError([(job, log_of(job.id)) for job in list_jobs()])


def now(job) -> jobs.Job:
    return next(found for found in list_jobs() if found.id == job.id)


def state(job) -> str:
    return now(job).state


@pytest.fixture
def quick(workspace, monkeypatch):
    """A queue whose jobs of the kinds 'training' and 'audit' are a line of Python, and no worker unless one is run."""
    for kind in ("training", "audit"):
        monkeypatch.setitem(
            jobs.KINDS,
            kind,
            Kind(jobs.KINDS[kind].lane, lambda asked: [asked["code"]], lambda asked: asked["place"], "train", kind),
        )
    monkeypatch.setattr(records.Job, "command", lambda job: [sys.executable, "-c", job.arguments["code"]])
    monkeypatch.setattr(queue, "start_worker", lambda lane: None)


def ask(code: str, place: str = "a", kind: str = "audit") -> jobs.Job:
    return jobs.enqueue(kind, {"code": code, "place": place})


def test_a_lane_runs_its_jobs_in_order_and_leaves_the_other_lane_alone(quick, tmp_path):
    line = f"open({str(tmp_path / 'order')!r}, 'a').write"
    first, second = ask(f"{line}('1')", "a"), ask(f"{line}('2')", "b")
    training = ask("print('never')", "c", kind="training")
    jobs.work("light")
    assert (tmp_path / "order").read_text() == "12"
    assert [state(job) for job in (first, second, training)] == ["done", "done", "waiting"]
    assert [job.id for job in list_jobs()] == [training.id, second.id, first.id]
    assert [job.id for job in list_jobs("training")] == [training.id]


def test_a_job_that_fails_reports_its_last_line_or_its_signal(quick):
    failed = ask("import sys; print('overread: no space left'); sys.exit(1)", "a")
    killed = ask("import os; os.kill(os.getpid(), 9)", "b")
    jobs.work("light")
    assert (now(failed).state, now(failed).message) == ("failed", "no space left")
    assert now(killed).state == "failed" and "signal 9" in now(killed).message


def test_two_active_jobs_of_a_kind_cannot_share_a_folder(quick):
    first = ask("pass")
    with refused("job-busy", "audit a"):
        ask("pass")
    ask("pass", kind="training")
    stop(first.id)
    assert state(first) == "stopped" and ask("pass").active


def test_a_job_that_does_not_end_when_asked_is_killed(quick, monkeypatch):
    from core.jobs import worker

    monkeypatch.setattr(worker, "PATIENCE", 0.3)
    deaf = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); print('on', flush=True); time.sleep(60)"
    job = ask(deaf)
    monkeypatch.setattr(worker.time, "sleep", lambda seconds: stop(job.id) if "on" in log_of(job.id) else None)
    began = time.monotonic()
    jobs.work("light")
    assert state(job) == "stopped" and time.monotonic() - began < 30


def test_a_job_is_found_by_what_it_is_about(quick):
    job = jobs.enqueue("audit", {"code": "pass", "place": "a"}, {"data": "set", "index_hash": "ab"})
    assert find("audit", data="set", index_hash="ab") == job == find("audit", place="a")
    assert find("audit", data="set", index_hash="cd") is None and find("training", data="set") is None


def test_work_in_a_command_is_a_job_that_others_see_and_stop(quick):
    asked = {"code": "pass", "place": "a"}
    with jobs.at_work("audit", asked, {"data": "set"}) as reporter:
        reporter.report(3, 40, "Grad-CAM on a.png")
        seen = find("audit", data="set")
        assert seen.state == "running" and progress_from(seen.progress).sentence() == "Grad-CAM on a.png: 3 of 40"
        with refused("job-busy", "3 of 40"):
            ask("pass")
        with refused("job-busy", "3 of 40"), jobs.at_work("audit", asked):
            pass
        jobs.work("light")  # is no waiting job
        assert not reporter.stop_requested()
        stop(seen.id)
        assert reporter.stop_requested()
    assert state(seen) == "stopped"
    with jobs.at_work("audit", asked) as reporter:
        assert not reporter.stop_requested()
    assert find("audit", place="a").state == "done"


def test_work_that_fails_says_why(quick):
    with pytest.raises(OverreadError), jobs.at_work("audit", {"code": "", "place": "a"}):
        raise OverreadError("the split valid is empty")
    assert (list_jobs()[0].state, list_jobs()[0].message) == ("failed", "the split valid is empty")
    with pytest.raises(KeyboardInterrupt), jobs.at_work("audit", {"code": "", "place": "a"}):
        raise KeyboardInterrupt
    assert list_jobs()[0].state == "stopped"


def test_killed_work_is_interrupted_and_can_begin_again(workspace):
    code = (
        "import os, signal; from core import jobs\n"
        "with jobs.at_work('audit', {'data': 'set'}): os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == -9
    assert find("audit", data="set").state == "interrupted"
    with jobs.at_work("audit", {"data": "set"}):
        assert find("audit", data="set").state == "running"


def test_a_queued_command_records_its_own_end_whatever_its_exit_status(quick):
    """`audit` exits with 1 where it finds a patient in two splits, and yet it was done."""
    code = "from core import jobs, errors; import sys\nwith jobs.at_work('audit', {'data': 'x'}): pass\nsys.exit(1)"
    done = ask(code, "a")
    failed = ask("from core import jobs\nwith jobs.at_work('audit', {'data': 'x'}): raise ValueError('no')", "b")
    jobs.work("light")
    assert state(done) == "done"
    assert (now(failed).state, now(failed).message) == ("failed", "no")
    assert len(list_jobs()) == 2


def test_jobs_of_version_01_are_listed(workspace):
    folder = workspace / "jobs"
    folder.mkdir(parents=True)
    asked = {"recipe": "fast-cpu", "data": "demo", "out": "mine", "settings": ["epochs=2"], "folds": 3, "resume": True}
    (folder / "1-a.json").write_text(json.dumps({"id": "1-a", **asked, "created": "2026-11-01T10:00:00+00:00"}))
    (folder / "1-a.state.json").write_text(json.dumps({"state": "failed", "said": "no space left"}))
    (folder / "2-b.json").write_text(json.dumps({"id": "2-b", **asked, "created": "2026-11-01T10:00:00+00:00"}))
    (folder / "2-b.state.json").write_text(json.dumps({"state": "running", "said": ""}))
    (folder / "3-c.json").write_text(json.dumps({"id": 3}))
    running, failed = list_jobs()
    assert (failed.kind, failed.arguments, failed.state, failed.message) == (
        "training",
        asked,
        "failed",
        "no space left",
    )
    assert running.state == "interrupted"
    assert failed.command()[3:] == [
        *("train", "fast-cpu", "--data", "demo", "--out", "mine", "--set", "epochs=2", "--folds", "3", "--resume")
    ]


def test_commands_have_every_argument():
    trust = {"checkpoint": "/c/a", "data": "demo", "split": "valid", "sample": 20, "methods": ["grad_cam", "occlusion"]}
    assert jobs.KINDS["trust"].command(trust) == [
        *("trust", "/c/a", "--data", "demo", "--split", "valid", "--sample", "20"),
        *("--method", "grad_cam", "--method", "occlusion"),
    ]
    assert jobs.KINDS["audit"].command({"data": "demo"}) == ["audit", "demo"]


@pytest.fixture
def tree(mura, workspace):
    write_dataset("tree", build_index(mura, folds=4))
    yield
    for job in list_jobs():
        if job.active:
            stop(job.id)
    wait(lambda: not any(job.active for job in list_jobs()))


def test_training_runs_wait_for_each_other(tree, tmp_path):
    first = enqueue_run("original-cnn-64", "tree", str(tmp_path / "first"), SHORT)
    second = enqueue_run("original-cnn-64", "tree", str(tmp_path / "second"), SHORT)
    wait(lambda: state(first) == "running")
    assert state(second) == "waiting"
    wait(lambda: state(second) == "done")
    assert state(first) == "done" and "best epoch" in log_of(first.id)
    assert all(read_checkpoint(tmp_path / name).manifest["complete"] for name in ("first", "second"))
    assert first.about["index_hash"]


def test_a_run_is_stopped_and_resumed(tree, tmp_path):
    out = tmp_path / "out"
    job = enqueue_run("original-cnn-64", "tree", str(out), LONG)
    wait(lambda: (out / "history.csv").exists() and (out / "resume.safetensors").exists())
    assert wait(lambda: now(job).progress)["total"] > 0
    with pytest.raises(OverreadError) as error:
        enqueue_run("original-cnn-64", "tree", str(out), LONG)
    assert error.value.code in ("job-busy", "checkpoint-exists")
    stop(job.id)
    wait(lambda: state(job) == "stopped")
    done = len(read_checkpoint(out).history())
    with refused("checkpoint-exists", out):
        enqueue_run("original-cnn-64", "tree", str(out), LONG)
    again = resume_run(job)
    assert again.arguments["resume"]
    wait(lambda: len(read_checkpoint(out).history()) > done + 1)
    stop(again.id)
    wait(lambda: state(again) == "stopped")


@pytest.mark.slow
def test_a_run_whose_worker_was_killed_is_interrupted(tree, tmp_path):
    out = tmp_path / "out"
    job = enqueue_run("original-cnn-64", "tree", str(out), LONG)
    waiting = enqueue_run("original-cnn-64", "tree", str(tmp_path / "other"), SHORT)
    wait(lambda: (out / "history.csv").exists())
    for process in processes_of("core.jobs", job.id, str(out)):
        os.kill(process, signal.SIGKILL)
    wait(lambda: state(job) == "interrupted")
    assert state(waiting) == "waiting"
    start_worker("training")
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


def test_a_request_that_cannot_be_run_is_not_queued(tree, tmp_path):
    for arguments in (("no-recipe", "tree", "x"), ("original-cnn-64", "no-set", "x")):
        with pytest.raises(OverreadError) as error:
            enqueue_run(*arguments)
        assert arguments[0] in str(error.value) or arguments[1] in str(error.value)
    with refused("setting-unknown", "sise"):
        enqueue_run("original-cnn-64", "tree", "x", ["sise=3"])
    assert not list_jobs()


def test_a_run_that_fails_says_why(tree, tmp_path):
    job = enqueue_run("original-cnn-64", "tree", str(tmp_path / "out"), [*SHORT, "holdout_fold=9"])
    wait(lambda: state(job) == "failed")
    assert "old 9" in now(job).message


@pytest.mark.parametrize(("lane", "niceness"), [("light", 19), ("data", 5)])
def test_queued_work_has_the_lowest_priority_unless_a_visitor_waits_for_it(workspace, monkeypatch, lane, niceness):
    """The worker's process gives way, with all that it starts, also against other sessions of the machine."""
    from core.jobs import worker

    started = []
    monkeypatch.setattr(worker.subprocess, "Popen", lambda command, **options: started.append((command, options)))
    start_worker(lane)
    ((command, options),) = started
    assert f"run_worker({lane!r})" in command[-1] and options["start_new_session"]
    child = "import os, pathlib; print(os.nice(0), *pathlib.Path('/proc/self').glob('autogroup'))"
    code = (
        "import pathlib, subprocess, sys; from core.jobs import worker; worker.work = lambda lane: "
        f"subprocess.run([sys.executable, '-c', {child!r}]); worker.run_worker({lane!r})\n"
        "print(*(file.read_text() for file in pathlib.Path('/proc/self').glob('autogroup')))"
    )
    monkeypatch.undo()
    done = _run_alone(code)
    assert done.split()[0] == str(niceness)
    if "autogroup" in done:
        assert done.rstrip().endswith(f"nice {niceness}")


def _run_alone(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, start_new_session=True
    )
    return done.stdout
