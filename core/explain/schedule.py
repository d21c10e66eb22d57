"""The order in which maps and checks are made: maps before checks, and readers in turn. No torch."""

from collections.abc import Hashable
from dataclasses import dataclass, field

from core.explain.map_record import MapTask

# Maps on a reader's page, then their checks, then maps made in advance.
MAPS, CHECKS, AHEAD = 0, 1, 2
# A check that was postponed this often is finished before the next map, else it might never be.
MOST_PUT_BACK = 3


@dataclass(frozen=True)
class Work:
    """The next thing to make: the maps of a task, or the next part of the checks of one of its radiographs.

    rank: MAPS, CHECKS or AHEAD. place: of the radiograph; -1 for the maps.
    """

    task: MapTask
    rank: int
    place: int = -1


@dataclass
class _Request:
    """The unfinished part of one task, and how long each reader waits for it. ahead: no reader has opened it yet."""

    places: list[int]
    number: int
    until: dict[Hashable, float] = field(default_factory=dict)
    has_maps: bool = False
    ahead: bool = False
    put_back: int = 0


class Schedule:
    """The requests of all readers. Times are seconds of any clock that the caller reads."""

    def __init__(self):
        self._requests: dict[MapTask, _Request] = {}
        self._served: dict[Hashable, int] = {}
        self._count = 0

    def want(
        self, reader: Hashable, task: MapTask, until: float, places: list[int] | None = None, ahead: bool = False
    ) -> None:
        """A reader waits for a task until this time; asked again, the time is prolonged.

        places: of the radiographs whose maps are checked, by default all. ahead: made only where there is nothing else.
        """
        self._count += 1
        request = self._requests.get(task)
        if request is None:
            wanted = list(range(len(task.files))) if places is None else list(places)
            request = self._requests[task] = _Request(wanted, self._count, ahead=ahead)
        elif request.ahead and not ahead:
            request.ahead, request.number = False, self._count
        request.until[reader] = max(until, request.until.get(reader, until))

    def next(self, now: float) -> Work | None:
        """The next thing to make; None where no reader waits."""
        self._forget(now)
        best = min(self._requests.items(), key=lambda one: self._order(one[1]), default=None)
        if best is None:
            return None
        task, request = best
        for reader in request.until:
            self._count += 1
            self._served[reader] = self._count
        return Work(task, self._rank(request), -1 if not request.has_maps else request.places[0])

    def done(self, work: Work, complete: bool) -> None:
        """A work has ended. complete: of a check, whether it was the last part."""
        request = self._requests.get(work.task)
        if request is None:
            return
        if work.place < 0:
            request.has_maps = True
        elif complete and work.place in request.places:
            request.places.remove(work.place)
        request.put_back = 0
        if request.has_maps and not request.places:
            del self._requests[work.task]

    def drop(self, task: MapTask) -> None:
        """Nothing more is made of a task, since it failed."""
        self._requests.pop(task, None)

    def put_back(self, work: Work) -> None:
        """A work was ended before it was finished, for something more urgent."""
        if request := self._requests.get(work.task):
            request.put_back += 1

    def should_end(self, work: Work, now: float) -> bool:
        """Whether a running work should end: nobody waits for it any more, or something more urgent waits."""
        self._forget(now)
        request = self._requests.get(work.task)
        if request is None:
            return True
        if work.rank == MAPS or request.put_back >= MOST_PUT_BACK:
            return False
        return any(self._rank(other) < work.rank for other in self._requests.values() if other is not request)

    def waits(self, task: MapTask) -> bool:
        """Whether anything of a task is left to make."""
        return task in self._requests

    def _rank(self, request: _Request) -> int:
        return AHEAD if request.ahead else CHECKS if request.has_maps else MAPS

    def _order(self, request: _Request) -> tuple:
        """Rank, then the reader who was served longest ago, then that reader's newest request."""
        turn = min(self._served.get(reader, 0) for reader in request.until)
        return self._rank(request), turn, -request.number

    def _forget(self, now: float) -> None:
        for task, request in list(self._requests.items()):
            request.until = {reader: until for reader, until in request.until.items() if until > now}
            if not request.until:
                del self._requests[task]
        if len(self._served) > 1000:
            waiting = {reader for request in self._requests.values() for reader in request.until}
            self._served = {reader: turn for reader, turn in self._served.items() if reader in waiting}
