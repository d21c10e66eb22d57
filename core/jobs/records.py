"""A job and its files: what was asked for, the state it is in, whether its process is alive."""

import json
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from core.checksums import read_json, write_json
from core.errors import reason_of
from core.jobs.kinds import KINDS
from core.paths import home, write_atomically
from core.roles import require

ACTIVE = ("waiting", "running")
_INTERRUPTED = "its process was killed; start it again to continue"


@dataclass(frozen=True)
class Job:
    """A request for long work, and its state.

    arguments: JSON values that `KINDS[kind].command` turns into a command line. about: the hashes of what the job works
    on (`Source.record()`, or the data set's name and index hash). state: 'waiting', 'running', 'done', 'stopped' (by a
    person), 'failed' (`message` says why) or 'interrupted' (its process was killed). progress: {done, total, what}.
    """

    id: str
    kind: str
    arguments: dict
    about: dict = field(default_factory=dict)
    created: str = ""
    state: str = "waiting"
    message: str = ""
    progress: dict | None = None

    @property
    def active(self) -> bool:
        """Whether the job waits or runs."""
        return self.state in ACTIVE

    @property
    def occupies(self) -> str:
        """The part of the arguments that no other active job of its kind may have."""
        return KINDS[self.kind].occupies(self.arguments)

    def command(self) -> list[str]:
        """The command line, as a list of arguments."""
        return [sys.executable, "-m", "core", *KINDS[self.kind].command(self.arguments)]


def new_job(kind: str, arguments: dict, about: dict | None) -> Job:
    """A job with an id of its own, not written yet."""
    # Sorts by time; the rest distinguishes two jobs of one moment.
    number = f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{uuid.uuid4().hex[:6]}"
    # As JSON gives them back, so that a job compares equal to itself once read.
    values = json.loads(json.dumps({"arguments": arguments, "about": about or {}}))
    return Job(number, kind, **values, created=datetime.now(UTC).isoformat(timespec="seconds"))


def list_jobs(kind: str = "") -> list[Job]:
    """Every job, or every job of one kind, the newest first. Files that cannot be read are in `broken_jobs`."""
    jobs = []
    for file in sorted(_folder().glob("*.json"), reverse=True):
        if file.name.endswith((".state.json", ".progress.json")) or file.name == "rates.json":
            continue
        with suppress(OSError, ValueError, TypeError, KeyError):
            job = _read_request(read_json(file))
            if kind in ("", job.kind):
                jobs.append(_with_state(job))
    return jobs


def broken_jobs() -> dict[str, str]:
    """Jobs whose files cannot be read, each with the reason."""
    found = {}
    for file in sorted(_folder().glob("*.json")):
        if file.name.endswith((".state.json", ".progress.json")) or file.name == "rates.json":
            continue
        try:
            _read_request(read_json(file))
        except (OSError, ValueError, TypeError, KeyError) as error:
            found[file.stem] = f"{file} cannot be used ({reason_of(error)}). Delete it, and start the work again."
    return found


def find(kind: str, **facts: object) -> Job | None:
    """The newest job of a kind whose arguments or `about` have these values, such as digest=...; None without one."""
    return next((job for job in list_jobs(kind) if facts.items() <= _facts(job).items()), None)


def find_active(job: Job, other_than: str = "") -> Job | None:
    """The waiting or running job of the same kind on the same folder or data set, but for the id `other_than`."""
    found = [other for other in list_jobs(job.kind) if other.active and other.id != other_than]
    return next((other for other in found if other.occupies == job.occupies), None)


def stop(job_id: str) -> None:
    """Ask a running job to stop, or take a waiting one off the queue. Finished work is kept."""
    if asked := next((job for job in list_jobs() if job.id == job_id), None):
        require(KINDS[asked.kind].task)
    write_atomically(job_file(job_id, "stop"), lambda path: path.write_text(""))


def log_of(job_id: str, most: int = 4000) -> str:
    """The last `most` characters of a job's output."""
    try:
        return job_file(job_id, "log").read_text(errors="replace")[-most:]
    except OSError:
        return ""


@contextmanager
def held(job_id: str) -> Iterator[None]:
    """Hold a job's lock, which shows that a process works on it."""
    file = job_file(job_id, "lock")
    # Not at once: a process that checks whether the job is alive holds the lock for a moment.
    with FileLock(file, timeout=5):
        try:
            yield
        finally:
            with suppress(OSError):
                file.unlink()


def write_request(job: Job) -> None:
    """Write what was asked for; from then on the job is listed."""
    request = {name: getattr(job, name) for name in ("id", "kind", "arguments", "about", "created")}
    write_json(job_file(job.id, "json"), request)


def _read_request(stored: dict) -> Job:
    """A job from its file. Training runs of version 0.1 have their arguments at the top level and no kind."""
    if "kind" not in stored:
        names = ("recipe", "data", "out", "settings", "folds", "resume")
        arguments = {name: stored[name] for name in names}
        return Job(stored["id"], "training", arguments, {}, stored["created"])
    job = Job(**{name: stored[name] for name in ("id", "kind", "arguments", "about", "created")})
    KINDS[job.kind].command(job.arguments)  # a KeyError here means that the file lacks an argument
    return job


def _with_state(job: Job) -> Job:
    state, message = stored_state(job.id)
    progress = None
    if state == "running":
        with suppress(OSError, ValueError):
            progress = json.loads(job_file(job.id, "progress.json").read_text())
        if not is_alive(job.id):
            # Read again: the job may have ended since.
            state, message = stored_state(job.id)
            if state == "running":
                state, message, progress = "interrupted", _INTERRUPTED, None
    if state == "waiting" and job_file(job.id, "stop").exists():
        state = "stopped"
    return replace(job, state=state, message=message, progress=progress)


def is_alive(job_id: str) -> bool:
    """Whether a process holds the job's lock."""
    file = job_file(job_id, "lock")
    if not file.exists():
        return False
    lock = FileLock(file, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        return True
    lock.release()
    return False


def stored_state(job_id: str) -> tuple[str, str]:
    """State and message as last written; a state of 'running' may be that of a killed process."""
    with suppress(OSError, ValueError, KeyError):
        stored = read_json(job_file(job_id, "state.json"))
        return stored["state"], stored.get("message", stored.get("said", ""))  # 'said' in version 0.1
    return "waiting", ""


def write_state(job_id: str, state: str, message: str = "") -> None:
    """Write the state of a job, with the end of a long message."""
    write_json(job_file(job_id, "state.json"), {"state": state, "message": message[-500:]})


def _facts(job: Job) -> dict:
    # Lists and dicts cannot be compared as items of a set.
    both = {**job.arguments, **job.about}
    return {name: value for name, value in both.items() if not isinstance(value, (list, dict))}


def _folder() -> Path:
    return home() / "jobs"


def job_file(job_id: str, ending: str) -> Path:
    """A file of a job, of a worker or of the lock on what a job works on."""
    _folder().mkdir(parents=True, exist_ok=True)
    return _folder() / f"{job_id}.{ending}"
