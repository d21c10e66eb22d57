"""Work is killed (-9) at random moments: nothing acknowledged is lost, and the next start gives the same result."""

import os
import random
import shutil
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

from core.temporaries import stale_temporaries
from hard.trials import Trial, caught
from hard.work import Work, works
from hard.workspace import enter, make_data, make_import, make_scores

# Kills of each kind of work.
COUNT = 25
# Work that takes longer when it is not killed has stopped.
SECONDS = 120


def run(folder: Path, seed: int, count: int = COUNT) -> Iterator[Trial]:
    """Make a workspace, and kill each kind of work in copies of it."""
    base = enter(folder / "base")
    os.environ["OMP_NUM_THREADS"] = "1"  # threads of a library do not survive a fork
    child(Work("workspace", lambda home, acknowledge: make(home), lambda home, said: True, lambda home: ""), base, None)
    for work in works():
        yield from kill_work(work, folder, random.Random(f"{seed} {work.name}"), share(work, count))


def share(work: Work, count: int) -> int:
    """How often this work is killed."""
    return -(-count // 4) if work.slow else count


def make(base: Path) -> None:
    """The workspace that is copied. In a process of its own, so that the process that forks has no threads."""
    make_data(base, patients=16)
    make_scores(base)
    make_import(base)


def kill_work(work: Work, folder: Path, draw: random.Random, count: int) -> Iterator[Trial]:
    """Do the work once in peace, then kill it `count` times, each time in a new copy of the workspace."""
    home = copied(folder)
    expected, seconds = None, 0.5
    if not work.endless:
        began = time.monotonic()
        child(work, home, None)
        seconds = time.monotonic() - began
        expected = work.result(home)
    for number in range(count):
        home = copied(folder)
        kills = [draw.uniform(0, 1.05) * seconds for _ in range(draw.choice((1, 1, 3)))]
        with warnings.catch_warnings(), caught("kept") as outcome:
            warnings.simplefilter("ignore")
            for moment in kills:
                if not work.kept(home, child(work, home, moment)):
                    outcome.name, outcome.detail = "lost", "what was acknowledged is not there after the kill"
            if not work.endless and not outcome.name:
                child(work, home, None)
                if work.result(home) != expected:
                    outcome.name, outcome.detail = "lost", "done again, it has another result"
                elif left := stale_temporaries(home):
                    outcome.name, outcome.detail = "left over", f"{left[0].name} stays after the next start"
        # After a kill nothing may have to be refused.
        name = "lost" if outcome.name == "refused" else outcome.name
        moments = ", ".join(f"{moment:.3f}" for moment in kills)
        yield Trial(work.name, name, f"kill {number} after {moments} s: {outcome.detail}" if name != "kept" else "")


def copied(folder: Path) -> Path:
    """A new copy of the workspace, which becomes that of this process."""
    shutil.rmtree(folder / "home", ignore_errors=True)
    shutil.copytree(folder / "base", folder / "home")
    return enter(folder / "home")


def child(work: Work, home: Path, moment: float | None) -> list[str]:
    """Do the work in a process of its own, killed after so many seconds; returns what it acknowledged.

    None: let it end; then RuntimeError if it fails.
    """
    reading, writing = os.pipe()
    sys.stdout.flush()
    process = os.fork()
    if process == 0:
        os.close(reading)
        status = 1
        try:
            work.do(home, lambda what: os.write(writing, f"{what}\n".encode()))
            status = 0
        except BaseException as error:  # noqa: BLE001 - the parent reads it
            os.write(writing, f"failed: {type(error).__name__}: {error}\n".encode())
        os._exit(status)
    os.close(writing)
    stopper = threading.Timer(SECONDS if moment is None else moment, os.kill, (process, signal.SIGKILL))
    stopper.start()
    with os.fdopen(reading, encoding="utf-8") as lines:
        # Its last line may be cut off; then it was not acknowledged.
        said = [line[:-1] for line in lines if line.endswith("\n")]
    status = os.waitpid(process, 0)[1]
    stopper.cancel()
    stopper.join()
    if moment is None and os.WIFSIGNALED(status):
        raise RuntimeError(f"it did not end within {SECONDS} s")
    if failed := [line for line in said if line.startswith("failed: ")]:
        raise RuntimeError(failed[0])
    return said
