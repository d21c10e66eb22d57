"""Queue a job, or run a block of code as one."""

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from core.errors import OverreadError
from core.jobs.kinds import KINDS
from core.jobs.records import Job, find_active, held, job_file, new_job, write_request, write_state
from core.jobs.worker import start_worker
from core.paths import write_atomically
from core.progress import Progress, Report, Tracker, keep_rates, read_rates
from core.roles import require

# Seconds between two writes of a job's progress.
_REPORT_EVERY = 0.5


def enqueue(kind: str, arguments: dict, about: dict | None = None) -> Job:
    """Queue a job and start a worker. OverreadError where another job works on the same folder or data set."""
    require(KINDS[kind].task)
    job = new_job(kind, arguments, about)
    _refuse_if_busy(job, find_active(job))
    write_request(job)
    start_worker(KINDS[kind].lane)
    return job


class Reporter:
    """The link between running work and the queue, in both directions. size: for example the number of radiographs."""

    def __init__(self, job_id: str, kind: str, size: int = 0):
        self._id, self._last = job_id, 0.0
        self._tracker = Tracker(KINDS[kind].steps, read_rates(_rates_file(), kind), size)

    def report(self, done: int, total: int, what: str) -> Progress:
        """Publish the progress, twice a second at most, and return it."""
        now = self._tracker.report(done, total, what)
        if time.monotonic() - self._last > _REPORT_EVERY:
            self._last = time.monotonic()
            write_atomically(job_file(self._id, "progress.json"), lambda path: path.write_text(now.to_json()))
        return now

    def stop_requested(self) -> bool:
        """Whether somebody asked this job to stop."""
        return job_file(self._id, "stop").exists()

    def keep_rates(self, kind: str) -> None:
        """Keep what each step took, for the estimates of the next job of the kind."""
        keep_rates(_rates_file(), kind, self._tracker.finish())


def stoppable(reporter: Reporter, progress: Report | None) -> Report:
    """A progress callable that also reports to the queue, and ends the work as Ctrl-C does when somebody stops the job.

    A `progress` that can draw a `Progress` gets the queue's own, so that page and command show the same.
    """

    def report(done: int, total: int, what: str) -> None:
        if reporter.stop_requested():
            raise KeyboardInterrupt
        now = reporter.report(done, total, what)
        if draw := getattr(progress, "draw", None):
            draw(now)
        elif progress:
            progress(done, total, what)

    return report


def _rates_file() -> Path:
    return job_file("rates", "json")


@contextmanager
def at_work(kind: str, arguments: dict, about: dict | None = None, size: int = 0) -> Iterator[Reporter]:
    """Run the block as a job of this kind, which every page can see and stop.

    In a command that a worker started, the block is that job; in a command that a person started, it becomes a job of
    its own, outside the lanes. size: of the work, for its estimates. OverreadError where another job works on the same
    folder or data set.
    """
    queued = os.environ.get("OVERREAD_JOB", "")
    job = new_job(kind, arguments, about)
    if not queued:
        _refuse_if_busy(job, find_active(job))
    digest = hashlib.sha256(job.occupies.encode()).hexdigest()[:12]
    # Beyond the check above: two processes may pass it at the same moment.
    busy = FileLock(job_file(f"{kind}-{digest}", "lock"), timeout=2)
    try:
        busy.acquire()
    except Timeout:
        _refuse_if_busy(job, find_active(job, other_than=queued) or job)
    try:
        if queued:
            # The command's progress bar does not report a second time.
            os.environ.pop("OVERREAD_PROGRESS", None)
            reporter = Reporter(queued, kind, size)
            with _recorded(queued):
                yield reporter
            reporter.keep_rates(kind)
            return
        with held(job.id):
            # Written before the request, else a worker would treat the job as waiting.
            write_state(job.id, "running")
            write_request(job)
            reporter = Reporter(job.id, kind, size)
            with _recorded(job.id):
                yield reporter
            reporter.keep_rates(kind)
    finally:
        busy.release()


@contextmanager
def _recorded(job_id: str) -> Iterator[None]:
    """Write the state of a job before and after the block."""
    write_state(job_id, "running")
    try:
        yield
    except KeyboardInterrupt:
        write_state(job_id, "stopped")
        raise
    except BaseException as error:
        write_state(job_id, "failed", str(error) or type(error).__name__)
        raise
    write_state(job_id, "stopped" if job_file(job_id, "stop").exists() else "done")


def _refuse_if_busy(job: Job, other: Job | None) -> None:
    if other is None:
        return
    progress = f" ({other.progress['done']} of {other.progress['total']})" if other.progress else ""
    raise OverreadError(
        f"Another job is already {KINDS[job.kind].activity} {job.occupies}{progress}. Wait until it ends, or stop it.",
        code="job-busy",
    )
