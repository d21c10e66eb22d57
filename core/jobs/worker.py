"""The process that runs the jobs of one lane, one after another."""

import os
import signal
import subprocess
import sys
import time

from filelock import FileLock, Timeout

from core.jobs.kinds import KINDS
from core.jobs.priority import AWAITED, LOWEST, give_way
from core.jobs.records import Job, held, job_file, list_jobs, log_of, stored_state, write_state
from core.paths import REPOSITORY, home

# Lanes of jobs that a visitor waits for: looking at data that are being added, and estimates.
AWAITED_LANES = ("data", "estimates")
# Seconds a job may take to end by itself after it was asked to stop; then it is killed.
PATIENCE = 20.0


def start_worker(lane: str) -> None:
    """Start the process that works through a lane. It ends at once where the lane has a worker already."""
    with job_file(f"worker-{lane}", "log").open("a") as log:
        subprocess.Popen(
            [sys.executable, "-c", f"from core.jobs.worker import run_worker; run_worker({lane!r})"],
            cwd=REPOSITORY,
            env={**os.environ, "OVERREAD_HOME": str(home())},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def run_worker(lane: str) -> None:
    """Work through a lane in a process of its own, which gives way to everything that somebody waits for."""
    give_way(whole_session=True, niceness=AWAITED if lane in AWAITED_LANES else LOWEST)
    work(lane)


def work(lane: str) -> None:
    """Run the waiting jobs of a lane, the oldest first, until none is left."""
    try:
        with FileLock(job_file(f"worker-{lane}", "lock"), timeout=0):
            while waiting := _waiting(lane):
                _run(waiting[-1])
    except Timeout:
        return
    if _waiting(lane):
        start_worker(lane)  # a job was queued after the last check and before the lock was released


def _waiting(lane: str) -> list[Job]:
    return [job for job in list_jobs() if job.state == "waiting" and KINDS[job.kind].lane == lane]


def _run(job: Job) -> None:
    with held(job.id):
        write_state(job.id, "running")
        if job_file(job.id, "stop").exists():
            write_state(job.id, "stopped")
            return
        progress = str(job_file(job.id, "progress.json"))
        environment = {**os.environ, "OVERREAD_PROGRESS": progress, "OVERREAD_JOB": job.id}
        with job_file(job.id, "log").open("w") as log:
            process = subprocess.Popen(job.command(), cwd=REPOSITORY, env=environment, stdout=log, stderr=log)
            asked = 0.0
            while process.poll() is None:
                time.sleep(0.2)
                if job_file(job.id, "stop").exists():
                    if not asked:
                        process.send_signal(signal.SIGINT)
                        asked = time.monotonic()
                    elif time.monotonic() - asked > PATIENCE:
                        process.kill()
        # Work under `at_work` has recorded its end itself: the exit status of `audit` also says what it found.
        if stored_state(job.id)[0] == "running":
            _write_end(job, process.returncode, stopped=bool(asked))


def _write_end(job: Job, status: int, stopped: bool) -> None:
    message = (log_of(job.id).strip().splitlines() or [""])[-1].removeprefix("overread: ")
    state = "stopped" if stopped else "done" if status == 0 else "failed"
    if state == "failed" and status < 0:
        message = f"ended by signal {-status}; start it again to continue"
    write_state(job.id, state, message)
