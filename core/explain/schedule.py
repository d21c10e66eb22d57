"""The order in which maps and checks are made: maps before checks, and readers in turn. No torch.

Two processes work at the same time, each in a lane of its own. Quick maps never wait for a check or for a map that
takes many passes, and a check is not thrown away for a quick map.
"""

from collections.abc import Hashable
from dataclasses import dataclass, field

from core.explain.map_record import MapTask
from core.explain.method_list import METHOD_LIST

# Quick maps, and all the rest.
QUICK, SLOW = "quick", "slow"
LANES = (QUICK, SLOW)
# About how many passes a quick map takes at most.
_QUICK_COST = 2
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
    """The unfinished part of one task, and how long each reader waits for it.

    begun: whether a check has been begun. ahead: no reader has opened it yet.
    """

    places: list[int]
    number: int
    until: dict[Hashable, float] = field(default_factory=dict)
    has_maps: bool = False
    begun: bool = False
    ahead: bool = False
    put_back: int = 0


class Schedule:
    """The requests of all readers. Times are seconds of any clock that the caller reads."""

    def __init__(self):
        self._requests: dict[MapTask, _Request] = {}
        self._served: dict[tuple[str, Hashable], int] = {}
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

    def next(self, now: float, lane: str) -> Work | None:
        """The next thing to make in a lane; None where no reader waits for anything."""
        self._forget(now)
        inside = [(task, request) for task, request in self._requests.items() if _lane(task, request) == lane]
        best = min(inside, key=lambda one: self._order(one[1], lane), default=None)
        if best is None:
            return None
        task, request = best
        for reader in request.until:
            self._count += 1
            self._served[lane, reader] = self._count
        request.begun = request.has_maps
        return Work(task, self._rank(request), -1 if not request.has_maps else request.places[0])

    def done(self, work: Work, complete: bool) -> None:
        """A piece of work has ended. complete: of a check, whether it was the last part."""
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
        """A piece of work was ended before it was finished, for something more urgent."""
        if request := self._requests.get(work.task):
            request.put_back += 1

    def should_end(self, work: Work, now: float) -> bool:
        """Whether a running work should end: nobody waits for it, or something more urgent waits in its lane."""
        self._forget(now)
        request = self._requests.get(work.task)
        if request is None:
            return True
        if work.rank == MAPS or request.put_back >= MOST_PUT_BACK:
            return False
        lane = _lane(work.task, request)
        others = [
            other for task, other in self._requests.items() if other is not request and _lane(task, other) == lane
        ]
        return any(self._rank(other) < work.rank for other in others)

    def waits(self, task: MapTask) -> bool:
        """Whether anything of a task is left to make."""
        return task in self._requests

    def _rank(self, request: _Request) -> int:
        return AHEAD if request.ahead else CHECKS if request.has_maps else MAPS

    def _order(self, request: _Request, lane: str) -> tuple:
        """Rank, then what is begun, then the reader who was served longest ago, then that reader's newest request.

        A part for each reader in turn would let everybody wait for the last part of all.
        """
        turn = min(self._served.get((lane, reader), 0) for reader in request.until)
        return self._rank(request), not request.begun, turn, -request.number

    def _forget(self, now: float) -> None:
        for task, request in list(self._requests.items()):
            request.until = {reader: until for reader, until in request.until.items() if until > now}
            if not request.until:
                del self._requests[task]
        if len(self._served) > 1000:
            waiting = {reader for request in self._requests.values() for reader in request.until}
            self._served = {one: turn for one, turn in self._served.items() if one[1] in waiting}


def _lane(task: MapTask, request: _Request) -> str:
    known = METHOD_LIST.get(task.method)
    return QUICK if not request.has_maps and known and known.cost <= _QUICK_COST else SLOW
