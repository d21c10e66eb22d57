"""Judging a sample as a job: one process a checkpoint, which every page and terminal can watch and stop.

`workspace/trust/<checkpoint>/job.json` says what is judged and how far it is; `job.stop` that somebody wants it to end;
`job.lock` is held by the process at work and freed by its death; `job.log` is what it said.
"""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from filelock import FileLock, Timeout

from core.errors import OverreadError
from core.explain.cohort import trust_folder
from core.models.checkpoint import Checkpoint
from core.paths import REPOSITORY, home, write_atomically

# A process that has said nothing for so many seconds after it was started will not.
PATIENCE = 300.0


@dataclass(frozen=True)
class TrustJob:
    """What is judged, and how far it is.

    state: 'starting', 'running', 'done', 'stopped' (by hand), 'failed' (`said` is why) or 'interrupted' (killed).
    """

    data: str
    split: str
    sample: int
    methods: tuple[str, ...]
    state: str = "starting"
    done: int = 0
    total: int = 0
    what: str = ""
    said: str = ""

    @property
    def active(self) -> bool:
        return self.state in ("starting", "running")


def read_job(checkpoint: Checkpoint) -> TrustJob | None:
    """The job at work on this checkpoint's maps, or the last one; None where there was none."""
    file = _file(checkpoint, "json")
    try:
        kept = json.loads(file.read_text())
        job = TrustJob(**{**kept, "methods": tuple(kept["methods"])})
        if job.state == "running" and not _held(checkpoint):
            return replace(job, state="interrupted", said="its process was killed; start it again, it goes on")
        if job.state == "starting" and time.time() - file.stat().st_mtime > PATIENCE:
            return replace(job, state="interrupted", said="it never began; start it again")
        return job
    except (OSError, ValueError, TypeError, KeyError):
        return None


def start_job(checkpoint: Checkpoint, data: str, split: str, sample: int, methods: tuple[str, ...]) -> TrustJob:
    """Judge in a process of its own, which outlives page and browser. OverreadError where one is at work."""
    if (now := read_job(checkpoint)) and now.active:
        raise OverreadError(_busy(checkpoint, now))
    job = TrustJob(data, split, sample, tuple(methods))
    _file(checkpoint, "stop").unlink(missing_ok=True)
    _write(checkpoint, job)
    command = [sys.executable, "-m", "core", "trust", str(checkpoint.folder), "--data", data, "--split", split]
    command += ["--sample", str(sample), *(part for name in methods for part in ("--method", name))]
    with _file(checkpoint, "log").open("w") as log:
        process = subprocess.Popen(
            command,
            cwd=REPOSITORY,
            env={**os.environ, "OVERREAD_HOME": str(home())},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    threading.Thread(target=_await, args=(process, checkpoint), daemon=True).start()
    return job


def stop_job(checkpoint: Checkpoint) -> None:
    """Ask the job to end after the map it is at. What is judged is kept."""
    write_atomically(_file(checkpoint, "stop"), lambda path: path.write_text(""))


@contextmanager
def at_work(checkpoint: Checkpoint, job: TrustJob) -> Iterator[tuple[Callable, Callable]]:
    """Be the job: yields `tell(done, total, what)` and `stopped()`. OverreadError where another process is it."""
    lock = FileLock(_file(checkpoint, "lock"), timeout=2)
    try:
        lock.acquire()
    except Timeout as error:
        raise OverreadError(_busy(checkpoint, read_job(checkpoint) or job)) from error
    told, last = 0.0, replace(job, state="running")

    def tell(done: int, total: int, what: str) -> None:
        nonlocal told, last
        last = replace(last, done=done, total=total, what=what)
        if time.monotonic() - told > 0.5:
            told = time.monotonic()
            _write(checkpoint, last)

    def stopped() -> bool:
        return _file(checkpoint, "stop").exists()

    try:
        _write(checkpoint, last)
        yield tell, stopped
        last = replace(last, state="stopped" if stopped() else "done")
    except KeyboardInterrupt:
        last = replace(last, state="stopped")
        raise
    except BaseException as error:
        last = replace(last, state="failed", said=str(error)[:500])
        raise
    finally:
        _write(checkpoint, last)
        _file(checkpoint, "stop").unlink(missing_ok=True)
        lock.release()


def _busy(checkpoint: Checkpoint, job: TrustJob) -> str:
    return (
        f"Maps of {checkpoint.name} are being judged already ({job.done} of {job.total} on {job.data}); "
        "wait for it, or stop it on the Saliency page, at Cohort."
    )


def _await(process: subprocess.Popen, checkpoint: Checkpoint) -> None:
    """A process that ended before it could say anything is said to have failed, by what it printed last."""
    code, job = process.wait(), read_job(checkpoint)
    if code and job and job.state == "starting":
        lines = _file(checkpoint, "log").read_text(errors="replace").strip().splitlines()
        said = lines[-1].removeprefix("overread: ") if lines else f"it ended with status {code}"
        _write(checkpoint, replace(job, state="failed", said=said[:500]))


def _held(checkpoint: Checkpoint) -> bool:
    lock = FileLock(_file(checkpoint, "lock"), timeout=0)
    with suppress(Timeout):
        lock.acquire()
        lock.release()
        return False
    return True


def _write(checkpoint: Checkpoint, job: TrustJob) -> None:
    write_atomically(_file(checkpoint, "json"), lambda path: path.write_text(json.dumps(asdict(job))))


def _file(checkpoint: Checkpoint, ending: str) -> Path:
    folder = trust_folder(checkpoint)
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"job.{ending}"
