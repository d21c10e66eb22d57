"""A process that makes maps for the dashboard, one task at a time, apart from the pages.

`python -m core.explain.map_worker` reads one JSON object per line from its standard input and answers each with one on
its standard output. {"load": folder} loads a network ahead; with "later": true it does so at the low priority of
checks. {"task": ..., "place": n} makes the maps of a task (n = -1) or the next part of the checks of one radiograph;
{"stop": true} ends the running work. It ends with its input.
"""

import json
import os
import queue
import signal
import sys
import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from core.errors import OverreadError
from core.explain.map_record import MapTask

NETWORKS, MAKERS = 2, 16
# Niceness of checks, so that pages and maps come first.
CHECK_NICENESS = 3


class MapWorker:
    """Makes the requested maps and checks. Keeps the last networks, and the tasks whose checks are half made."""

    def __init__(self):
        self._networks: OrderedDict[tuple[str, str], object] = OrderedDict()
        self._makers: OrderedDict[MapTask, object] = OrderedDict()
        self.stop = threading.Event()

    def make(self, task: MapTask, place: int) -> bool:
        """Make the maps (place -1) or a part of the checks; whether the maps or all checks of the place are made."""
        from core.explain.make_maps import MapMaker, bounded_threads

        with bounded_threads():
            maker = _kept(self._makers, task, MAKERS, lambda: MapMaker(self._network(task), task, self.stop.is_set))
            if place < 0:
                maker.make_maps()
                return True
            return maker.make_part_of_checks(place)

    def load(self, folder: str) -> None:
        """Import what maps need and load a network, so that the first map need not wait for it."""
        import core.explain.make_maps  # noqa: F401  imports torch and Captum
        from core.models.checkpoint import read_checkpoint

        self._load(folder, read_checkpoint(folder).weights_hash)

    def _network(self, task: MapTask):
        return self._load(task.folder, task.digest)

    def _load(self, folder: str, digest: str):
        from core.models.checkpoint import read_checkpoint
        from core.scores.classifier import load_classifier

        return _kept(self._networks, (folder, digest), NETWORKS, lambda: load_classifier(read_checkpoint(folder)))


def answer(worker: MapWorker, asked: dict) -> dict:
    """Do what was asked for, and say how it ended: complete, cancelled, or an error in words."""
    os.environ["OVERREAD_HOME"] = asked["home"]
    try:
        if "load" in asked:
            worker.load(asked["load"])
            return {"complete": True}
        return {"complete": worker.make(MapTask.from_dict(asked["task"]), asked["place"])}
    except OverreadError as error:
        if error.code == "map-cancelled":
            return {"cancelled": True}
        return {"error": str(error)}


def main() -> None:
    """Answer until the input ends."""
    # Ctrl-C in the terminal of the dashboard ends the dashboard, and this process with its input.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Libraries print to standard output; the answers need it for themselves.
    answers, sys.stdout = os.fdopen(os.dup(1), "w"), sys.stderr
    os.dup2(2, 1)
    worker = MapWorker()
    waiting: queue.Queue[dict | None] = queue.Queue()
    threading.Thread(target=_read, args=(worker, waiting), daemon=True).start()
    with ThreadPoolExecutor(1) as maps, ThreadPoolExecutor(1, initializer=_be_nice) as checks:
        while (asked := waiting.get()) is not None:
            worker.stop.clear()
            gives_way = asked.get("place", -1) >= 0 or asked.get("later", False)
            _share_cores(CHECK_NICENESS if gives_way else 0)
            pool = checks if gives_way else maps
            answers.write(json.dumps(pool.submit(answer, worker, asked).result()) + "\n")
            answers.flush()


def _read(worker: MapWorker, waiting: queue.Queue) -> None:
    for line in sys.stdin:
        asked = json.loads(line)
        if "stop" in asked:
            worker.stop.set()
        else:
            waiting.put(asked)
    worker.stop.set()
    waiting.put(None)


def _share_cores(niceness: int) -> None:
    # Linux shares the cores among sessions first, and niceness counts only within each. The dashboard starts this
    # process in a session of its own, so a map gets as much as all pages together. Linux may refuse a change within a
    # tenth of a second of the last one; the next work asks again.
    if sys.platform == "linux" and os.getsid(0) == os.getpid():
        with suppress(OSError):
            Path("/proc/self/autogroup").write_text(str(niceness))


def _be_nice() -> None:
    # On Linux this is the niceness of the thread, and of the threads that torch starts from it.
    if sys.platform == "linux":
        with suppress(OSError):
            os.nice(CHECK_NICENESS)


def _kept(found: OrderedDict, key, most: int, make):
    """The value of a key, made where it is missing. A full dictionary drops the key that was used longest ago."""
    if key not in found:
        found[key] = make()
    found.move_to_end(key)
    while len(found) > most:
        found.popitem(last=False)
    return found[key]


if __name__ == "__main__":
    main()
