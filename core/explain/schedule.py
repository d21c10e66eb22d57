"""Which map or check is made next: maps before checks, readers in turn, and nothing that nobody waits for. No torch."""

from collections.abc import Hashable
from dataclasses import dataclass, field

from core.explain.map_record import MapTask

# Maps that a reader looks at, then their checks, then what is made ahead.
MAPS, CHECKS, AHEAD = 0, 1, 2
# A check that was put back so often is finished before the next map, or it would never be.
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
class _Wish:
    """The unfinished part of one task, and how long each reader waits for it. ahead: no reader has opened it yet."""

    places: list[int]
    number: int
    until: dict[Hashable, float] = field(default_factory=dict)
    has_maps: bool = False
    ahead: bool = False
    put_back: int = 0


class Schedule:
    """The wishes of all readers. Times are seconds of any clock that the caller reads."""

    def __init__(self):
        self._wishes: dict[MapTask, _Wish] = {}
        self._served: dict[Hashable, int] = {}
        self._count = 0

    def want(
        self, reader: Hashable, task: MapTask, until: float, places: list[int] | None = None, ahead: bool = False
    ) -> None:
        """A reader waits for a task until this time; asked again, the time is prolonged.

        places: of the radiographs whose maps are checked, by default all. ahead: made only where there is nothing else.
        """
        self._count += 1
        wish = self._wishes.get(task)
        if wish is None:
            wanted = list(range(len(task.files))) if places is None else list(places)
            wish = self._wishes[task] = _Wish(wanted, self._count, ahead=ahead)
        elif wish.ahead and not ahead:
            wish.ahead, wish.number = False, self._count
        wish.until[reader] = max(until, wish.until.get(reader, until))

    def next(self, now: float) -> Work | None:
        """The next thing to make; None where no reader waits."""
        self._forget(now)
        best = min(self._wishes.items(), key=lambda one: self._order(one[1]), default=None)
        if best is None:
            return None
        task, wish = best
        for reader in wish.until:
            self._count += 1
            self._served[reader] = self._count
        return Work(task, self._rank(wish), -1 if not wish.has_maps else wish.places[0])

    def done(self, work: Work, complete: bool) -> None:
        """A work has ended. complete: of a check, whether it was the last part."""
        wish = self._wishes.get(work.task)
        if wish is None:
            return
        if work.place < 0:
            wish.has_maps = True
        elif complete and work.place in wish.places:
            wish.places.remove(work.place)
        wish.put_back = 0
        if wish.has_maps and not wish.places:
            del self._wishes[work.task]

    def drop(self, task: MapTask) -> None:
        """Nothing more is made of a task, since it failed."""
        self._wishes.pop(task, None)

    def put_back(self, work: Work) -> None:
        """A work was ended before it was finished, for something more urgent."""
        if wish := self._wishes.get(work.task):
            wish.put_back += 1

    def should_end(self, work: Work, now: float) -> bool:
        """Whether a running work should end: nobody waits for it any more, or something more urgent waits."""
        self._forget(now)
        wish = self._wishes.get(work.task)
        if wish is None:
            return True
        if work.rank == MAPS or wish.put_back >= MOST_PUT_BACK:
            return False
        return any(self._rank(other) < work.rank for other in self._wishes.values() if other is not wish)

    def waits(self, task: MapTask) -> bool:
        """Whether anything of a task is left to make."""
        return task in self._wishes

    def _rank(self, wish: _Wish) -> int:
        return AHEAD if wish.ahead else CHECKS if wish.has_maps else MAPS

    def _order(self, wish: _Wish) -> tuple:
        """Rank, then the reader who was served longest ago, then that reader's newest wish."""
        turn = min(self._served.get(reader, 0) for reader in wish.until)
        return self._rank(wish), turn, -wish.number

    def _forget(self, now: float) -> None:
        for task, wish in list(self._wishes.items()):
            wish.until = {reader: until for reader, until in wish.until.items() if until > now}
            if not wish.until:
                del self._wishes[task]
        if len(self._served) > 1000:
            waiting = {reader for wish in self._wishes.values() for reader in wish.until}
            self._served = {reader: turn for reader, turn in self._served.items() if reader in waiting}
