"""Maps for many readers of one server: one process makes them, in the order of `core.explain.schedule`.

Pages say what they wait for, again and again; what nobody asks for any more is not made. Results are read from the
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
from functools import cache

from core.explain.map_record import MapTask
from core.explain.map_store import maps_folder
from core.explain.schedule import Schedule, Work
from core.paths import REPOSITORY, home

# Seconds that a reader's request lasts, unless it is repeated.
LEASE = 3.0
# Seconds without work after which the process ends, and its memory is free again.
IDLE = 900.0
# Seconds for which a failed task is not tried again.
ERROR_HOLDS = 60.0
_LOOK_EVERY = 0.05
_MOST_ERRORS = 200
_ENDED = "The process that makes maps ended unexpectedly; {log} says why. Ask for the map again."


class MapService:
    """Takes the requests of all readers of a server and lets one process make the maps. Safe to share."""

    def __init__(self):
        self._schedule, self._changed = Schedule(), threading.Condition()
        self._loads: list[str] = []
        self._errors: OrderedDict[MapTask, tuple[str, float]] = OrderedDict()
        self._process: _Process | None = None
        self._thread: threading.Thread | None = None

    def want(self, reader: Hashable, task: MapTask, places: list[int] | None = None, ahead: bool = False) -> None:
        """A reader waits for the records of a task for the next seconds. places: which are checked, by default all."""
        with self._changed:
            if self._error(task):
                return
            self._schedule.want(reader, task, time.monotonic() + LEASE, places, ahead)
            self._start()
            self._changed.notify_all()

    def load(self, folder: str) -> None:
        """Start the process and load a network, before the first map is asked for."""
        with self._changed:
            if self._process is None and folder not in self._loads:
                self._loads.append(folder)
                self._start()
                self._changed.notify_all()

    def error(self, task: MapTask) -> str:
        """Why a task could not be made in the last minute; '' where nothing went wrong."""
        with self._changed:
            return self._error(task)

    def wait(self, seconds: float) -> None:
        """Wait until something was made, or for so long."""
        with self._changed:
            self._changed.wait(seconds)

    def close(self) -> None:
        """End the process, and with it what it is making."""
        with self._changed:
            process, self._process = self._process, None
        if process:
            process.end()

    def _error(self, task: MapTask) -> str:
        message, since = self._errors.get(task, ("", 0.0))
        return message if time.monotonic() - since < ERROR_HOLDS else ""

    def _start(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._serve, name="map service", daemon=True)
            self._thread.start()

    def _serve(self) -> None:
        idle_since, failures = time.monotonic(), 0
        while True:
            with self._changed:
                work = self._loads.pop(0) if self._loads else self._schedule.next(time.monotonic())
                if work is None:
                    if time.monotonic() - idle_since > IDLE:
                        self._thread = None
                        break
                    self._changed.wait(1.0)
                    continue
            answer = self._ask(work)
            if answer is None:
                self.close()
            with self._changed:
                # A process that ended is tried once more, since it may have been killed for its memory.
                failures = failures + 1 if answer is None else 0
                if isinstance(work, Work) and (answer is not None or failures > 1):
                    self._note(work, answer or {"error": _ENDED.format(log=maps_folder() / "worker.log")})
                    failures = 0
                idle_since = time.monotonic()
                self._changed.notify_all()
        self.close()

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

    def _ask(self, work: Work | str) -> dict | None:
        """Have a work done; None where the process ended instead."""
        with self._changed:
            if self._process is None or not self._process.alive:
                self._process = _Process()
            process = self._process
        asked = {"load": work} if isinstance(work, str) else {"task": work.task.to_dict(), "place": work.place}
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


class _Process:
    """The process, its input, and a queue of its answers, which ends with None."""

    def __init__(self):
        maps_folder().mkdir(parents=True, exist_ok=True)
        with (maps_folder() / "worker.log").open("w") as log:
            self._popen = subprocess.Popen(
                [sys.executable, "-m", "core.explain.map_worker"],
                cwd=REPOSITORY,
                env={**os.environ, "OVERREAD_HOME": str(home()), "PYTHONWARNINGS": "ignore"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self.answers: queue.Queue[dict | None] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def alive(self) -> bool:
        """Whether it still answers."""
        return self._popen.poll() is None

    def send(self, asked: dict) -> bool:
        """Ask it for something; False where it has ended."""
        try:
            self._popen.stdin.write(json.dumps(asked) + "\n")
            self._popen.stdin.flush()
        except (OSError, ValueError):
            return False
        return True

    def end(self) -> None:
        """End it, and wait for its end."""
        with suppress(OSError):
            self._popen.stdin.close()
        try:
            self._popen.wait(2)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()

    def _listen(self) -> None:
        for line in self._popen.stdout:
            self.answers.put(json.loads(line))
        self.answers.put(None)


@cache
def map_service() -> MapService:
    """The one service of this process."""
    return MapService()
