"""Maps for many readers of one server: a process for each lane makes them, in the order of `core.explain.schedule`.

Pages repeat which maps they wait for; maps that no page asks for any more are not made. Results are read from the
workspace (`core.workflows.trust.read_maps`), so pages never run a network.
"""

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Hashable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from core.explain.map_record import MapTask
from core.explain.map_store import maps_folder
from core.explain.schedule import LANES, QUICK, SLOW, Schedule, Work
from core.paths import REPOSITORY, home

# Seconds that a reader's request lasts, unless it is repeated.
LEASE = 3.0
# Seconds without work after which a process ends, and its memory is free again.
IDLE = 900.0
# Seconds for which a failed task is not tried again.
ERROR_HOLDS = 60.0
_LOOK_EVERY = 0.05
_MOST_ERRORS = 200
_ENDED = "The process that makes maps ended unexpectedly; {log} says why. Ask for the map again."


@dataclass
class _Lane:
    """One process with its thread, and the networks that it loads ahead."""

    name: str
    loads: list[str] = field(default_factory=list)
    process: "_Process | None" = None
    thread: threading.Thread | None = None


class MapService:
    """Takes the requests of all readers of a server and lets two processes make the maps. Safe to share."""

    def __init__(self):
        self._schedule, self._changed = Schedule(), threading.Condition()
        self._errors: OrderedDict[MapTask, tuple[str, float]] = OrderedDict()
        self._lanes = {name: _Lane(name) for name in LANES}

    def want(self, reader: Hashable, task: MapTask, places: list[int] | None = None, ahead: bool = False) -> None:
        """A reader waits for the records of a task for the next seconds. places: which are checked, by default all."""
        with self._changed:
            if self._error(task):
                return
            self._schedule.want(reader, task, time.monotonic() + LEASE, places, ahead)
            self._start()
            self._changed.notify_all()

    def load(self, folder: str) -> None:
        """Start the processes and load a network, before the first map is asked for."""
        self._load(self._lanes[QUICK], folder)

    def error(self, task: MapTask) -> str:
        """Why a task could not be made in the last minute; '' where nothing went wrong."""
        with self._changed:
            return self._error(task)

    def wait(self, seconds: float) -> None:
        """Wait until something was made, or for so long."""
        with self._changed:
            self._changed.wait(seconds)

    def close(self) -> None:
        """End the processes, and with them what they are making."""
        for lane in self._lanes.values():
            self._end(lane)

    def _error(self, task: MapTask) -> str:
        message, since = self._errors.get(task, ("", 0.0))
        return message if time.monotonic() - since < ERROR_HOLDS else ""

    def _start(self) -> None:
        for lane in self._lanes.values():
            if lane.thread is None or not lane.thread.is_alive():
                lane.thread = threading.Thread(target=self._serve, args=(lane,), name="map service", daemon=True)
                lane.thread.start()

    def _load(self, lane: _Lane, folder: str) -> None:
        with self._changed:
            if lane.process is None and folder not in lane.loads:
                lane.loads.append(folder)
                self._start()
                self._changed.notify_all()

    def _end(self, lane: _Lane) -> None:
        with self._changed:
            process, lane.process = lane.process, None
        if process:
            process.end()

    def _serve(self, lane: _Lane) -> None:
        idle_since, failures = time.monotonic(), 0
        while True:
            with self._changed:
                work = lane.loads.pop(0) if lane.loads else self._schedule.next(time.monotonic(), lane.name)
                if work is None:
                    if time.monotonic() - idle_since > IDLE:
                        lane.thread = None
                        break
                    self._changed.wait(1.0)
                    continue
            answer = self._ask(lane, work)
            if answer is None:
                self._end(lane)
            with self._changed:
                # A process that ended is tried once more, since it may have been killed for its memory.
                failures = failures + 1 if answer is None else 0
                if isinstance(work, Work) and (answer is not None or failures > 1):
                    self._note(work, answer or {"error": _ENDED.format(log=_log(lane))})
                    failures = 0
                idle_since = time.monotonic()
                self._changed.notify_all()
            if isinstance(work, str) and lane.name == QUICK:
                # One after the other, so that the first map is not delayed by the process that checks it.
                self._load(self._lanes[SLOW], work)
        self._end(lane)

    def _note(self, work: Work, answer: dict) -> None:
        if "error" in answer:
            self._schedule.drop(work.task)
            self._errors[work.task] = answer["error"], time.monotonic()
            self._errors.move_to_end(work.task)
            while len(self._errors) > _MOST_ERRORS:
                self._errors.popitem(last=False)
        elif "cancelled" in answer:
            self._schedule.put_back(work)
        else:
            self._schedule.done(work, answer["complete"])

    def _ask(self, lane: _Lane, work: Work | str) -> dict | None:
        """Let the process do a piece of work; None where the process ended instead."""
        with self._changed:
            if lane.process is None or not lane.process.alive:
                lane.process = _Process(_log(lane))
            process = lane.process
        if isinstance(work, str):
            asked = {"load": work, "later": lane.name == SLOW}
        else:
            asked = {"task": work.task.to_dict(), "place": work.place}
        if not process.send({**asked, "home": str(home())}):
            return None
        asked_to_stop = False
        while True:
            with suppress(queue.Empty):
                return process.answers.get(timeout=_LOOK_EVERY)
            if isinstance(work, Work) and not asked_to_stop:
                with self._changed:
                    asked_to_stop = self._schedule.should_end(work, time.monotonic())
                if asked_to_stop:
                    process.send({"stop": True})


def _log(lane: _Lane) -> Path:
    return maps_folder() / f"worker-{lane.name}.log"


class _Process:
    """A process, its input, and a queue of its answers, which ends with None."""

    def __init__(self, log_file: Path):
        log_file.parent.mkdir(parents=True, exist_ok=True)
        with log_file.open("w") as log:
            self._popen = subprocess.Popen(
                [sys.executable, "-m", "core.explain.map_worker"],
                cwd=REPOSITORY,
                env={**os.environ, "OVERREAD_HOME": str(home()), "PYTHONWARNINGS": "ignore"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                # The process shares the cores as one session; it still ends with its input.
                start_new_session=True,
            )
        assert self._popen.stdin and self._popen.stdout
        self._input, self._output = self._popen.stdin, self._popen.stdout
        self.answers: queue.Queue[dict | None] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def alive(self) -> bool:
        """Whether it still answers."""
        return self._popen.poll() is None

    def send(self, asked: dict) -> bool:
        """Ask it for something; False where it has ended."""
        try:
            self._input.write(json.dumps(asked) + "\n")
            self._input.flush()
        except (OSError, ValueError):
            return False
        return True

    def end(self) -> None:
        """End it, and wait for its end."""
        with suppress(OSError):
            self._input.close()
        try:
            self._popen.wait(2)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()

    def _listen(self) -> None:
        for line in self._output:
            self.answers.put(json.loads(line))
        self.answers.put(None)


@cache
def map_service() -> MapService:
    """The one service of this process."""
    return MapService()
