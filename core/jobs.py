"""Runs that outlive the page that started them: a queue of files, and one process that works through it.

`workspace/jobs/<id>.json` is what was asked for; `<id>.state.json` how far it is; `<id>.log` what it said;
`<id>.stop` that somebody wants it to end. The worker is a process of its own, started when something is queued and gone
when nothing is left; a lock keeps it alone, and frees itself should the worker be killed.
"""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from core.data.index import read_dataset
from core.errors import OverreadError
from core.models.checkpoint import MANIFEST, WEIGHTS
from core.paths import REPOSITORY, checkpoint_folder, home, write_atomically
from core.training.recipe import with_settings
from core.training.recipes import named_recipe

ACTIVE = ("waiting", "running")
# How long a run may take to end its batch after it was asked to, before it is ended.
PATIENCE = 20.0
_INTERRUPTED = "its process was killed; resume it"


@dataclass(frozen=True)
class Job:
    """One run: what was asked for, and how far it is.

    state: 'waiting', 'running', 'done', 'stopped' (by hand), 'failed' (`said` is why) or 'interrupted' (its worker was
    killed). progress: {done, total, what} of what it does now.
    """

    id: str
    recipe: str
    data: str
    out: str
    settings: tuple
    folds: int
    resume: bool
    created: str
    state: str = "waiting"
    said: str = ""
    progress: dict | None = None

    @property
    def active(self) -> bool:
        return self.state in ACTIVE

    def command(self) -> list[str]:
        """What is run."""
        parts = [sys.executable, "-m", "core", "train", self.recipe, "--data", self.data, "--out", self.out]
        parts += [part for setting in self.settings for part in ("--set", setting)]
        parts += ["--folds", str(self.folds)] if self.folds else []
        return parts + ["--resume"] * self.resume


def enqueue(recipe: str, data: str, out: str, settings: list[str] = (), folds: int = 0, resume: bool = False) -> Job:
    """Queue a run, and see to it that somebody works on the queue. OverreadError before anything is queued."""
    with_settings(named_recipe(recipe), list(settings))
    read_dataset(data)
    folder = checkpoint_folder(out)
    if not resume and ((folder / MANIFEST).exists() or (folder / WEIGHTS).exists()):
        raise OverreadError(f"{folder} already holds a checkpoint; resume it, or choose another name.")
    if any(job.out == out and job.active for job in list_jobs()):
        raise OverreadError(f"A run into {out} is waiting or running already; choose another name.")
    # Times sort, and two in one moment differ by the rest.
    number = f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{uuid.uuid4().hex[:6]}"
    made = datetime.now(UTC).isoformat(timespec="seconds")
    job = Job(number, recipe, data, out, tuple(settings), folds, resume, made)
    asked = {key: value for key, value in asdict(job).items() if key not in ("state", "said", "progress")}
    write_atomically(_file(job.id, "json"), lambda path: path.write_text(json.dumps(asked)))
    start_worker()
    return job


def list_jobs() -> list[Job]:
    """Every run that was asked for, the newest first; a file that cannot be read is passed over."""
    jobs = []
    for file in sorted(_folder().glob("*.json"), reverse=True):
        if file.name.endswith((".state.json", ".progress.json")):
            continue
        with suppress(OSError, ValueError, TypeError, KeyError):
            asked = json.loads(file.read_text())
            jobs.append(_with_state(Job(**{**asked, "settings": tuple(asked["settings"])})))
    return jobs


def stop(job_id: str) -> None:
    """Ask a run to end after its batch, or take it off the queue. It can be resumed."""
    write_atomically(_file(job_id, "stop"), lambda path: path.write_text(""))


def log_of(job_id: str, most: int = 4000) -> str:
    """The end of what a run said."""
    try:
        return _file(job_id, "log").read_text(errors="replace")[-most:]
    except OSError:
        return ""


def start_worker() -> None:
    """Start the process that works through the queue; it ends at once where another one does so already."""
    with _file("worker", "log").open("a") as log:
        subprocess.Popen(
            [sys.executable, "-c", "from core.jobs import work; work()"],
            cwd=REPOSITORY,
            env={**os.environ, "OVERREAD_HOME": str(home())},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def work() -> None:
    """Run what waits, the oldest first, until nothing does."""
    try:
        # Not at once: whoever asks whether a worker lives holds the lock for a moment.
        with FileLock(_file("worker", "lock"), timeout=5):
            for job in list_jobs():
                if job.state == "running":  # of a worker that was killed, since this is the only one now
                    _write_state(job.id, "interrupted", _INTERRUPTED)
            while waiting := [job for job in reversed(list_jobs()) if job.state == "waiting"]:
                _run(waiting[0])
    except Timeout:
        return
    if any(job.state == "waiting" for job in list_jobs()):
        start_worker()  # queued in the moment between the last look and the lock's release


def _run(job: Job) -> None:
    _write_state(job.id, "running")
    if _file(job.id, "stop").exists():
        _write_state(job.id, "stopped")
        return
    environment = {**os.environ, "OVERREAD_PROGRESS": str(_file(job.id, "progress.json"))}
    with _file(job.id, "log").open("w") as log:
        process = subprocess.Popen(job.command(), cwd=REPOSITORY, env=environment, stdout=log, stderr=log)
        asked = 0.0
        while process.poll() is None:
            time.sleep(0.2)
            if _file(job.id, "stop").exists():
                if not asked:
                    process.send_signal(signal.SIGINT)
                    asked = time.monotonic()
                elif time.monotonic() - asked > PATIENCE:
                    process.kill()
    said = (log_of(job.id).strip().splitlines() or [""])[-1]
    state = "stopped" if asked else "done" if process.returncode == 0 else "failed"
    if state == "failed" and process.returncode < 0:
        said = f"ended by signal {-process.returncode}; resume it"
    _write_state(job.id, state, said.removeprefix("overread: "))


def _with_state(job: Job) -> Job:
    state, said, progress = "waiting", "", None
    with suppress(OSError, ValueError, KeyError):
        kept = json.loads(_file(job.id, "state.json").read_text())
        state, said = kept["state"], kept["said"]
    if state == "running":
        with suppress(OSError, ValueError):
            progress = json.loads(_file(job.id, "progress.json").read_text())
        if not _worker_lives():
            state, said, progress = "interrupted", _INTERRUPTED, None
    if state == "waiting" and _file(job.id, "stop").exists():
        state = "stopped"
    return Job(**{**asdict(job), "state": state, "said": said, "progress": progress})


def _worker_lives() -> bool:
    lock = FileLock(_file("worker", "lock"), timeout=0)
    try:
        lock.acquire()
    except Timeout:
        return True
    lock.release()
    return False


def _write_state(job_id: str, state: str, said: str = "") -> None:
    kept = json.dumps({"state": state, "said": said[-500:]})
    write_atomically(_file(job_id, "state.json"), lambda path: path.write_text(kept))


def _folder() -> Path:
    return home() / "jobs"


def _file(job_id: str, ending: str) -> Path:
    _folder().mkdir(parents=True, exist_ok=True)
    return _folder() / f"{job_id}.{ending}"
