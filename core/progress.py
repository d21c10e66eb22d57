"""Progress of long work, and the time left: one value for pages, commands and the queue.

Work reports (done, total, what). A `Tracker` turns that into a `Progress`: which step of how many, the share of the
whole, and the seconds left where they can be estimated. A step's seconds are estimated by the slower of its rate so
far and its recent rate. For steps that have not begun they come from earlier work of the same kind on this machine;
without any, only the time left in the present step is named. Nothing is estimated from the first moments.
"""

import json
import math
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from core.checksums import read_json, write_json
from core.errors import OverreadError

Report = Callable[[int, int, str], None]
_EARLIEST = 2.0  # seconds in a step before it is estimated
_LEAST = 0.02  # share of a step before it is estimated, unless it already takes long
_LONG = 15.0
_LATELY = 20.0  # seconds over which the recent rate is measured
_BEFORE = 0.1  # share at the first report of a step from which the work was begun earlier, and is resumed
_SILENT = 8.0  # seconds without a report after which an estimate is dropped


@dataclass(frozen=True)
class Progress:
    """A moment of long work. step, steps: the present one, from 1, and how many there are. fraction: of the whole.

    left: seconds until all is done, step_left: until this step is; None where they cannot be estimated.
    """

    what: str
    done: int
    total: int
    step: int = 1
    steps: int = 1
    fraction: float = 0.0
    left: float | None = None
    step_left: float | None = None

    def sentence(self) -> str:
        """`comparing pairs: 1,200 of 4,000, step 2 of 4, about 40 s left in this step`."""
        counts = f"{self.what}: {self.done:,} of {self.total:,}" if self.total > 1 else self.what
        steps = [f"step {self.step} of {self.steps}"] if self.steps > 1 else []
        return ", ".join([counts, *steps, *filter(None, [self.left_text()])])

    def left_text(self) -> str:
        """`about 3 min left`; '' where it cannot be estimated."""
        if self.left is not None:
            return f"about {duration_text(self.left)} left"
        if self.step_left is not None and self.step < self.steps:
            return f"about {duration_text(self.step_left)} left in this step"
        return ""

    def without_news(self, seconds: float) -> "Progress":
        """This progress after `seconds` without a report: an estimate that has run out or grown old is dropped."""
        if seconds < _SILENT:
            return self
        return replace(self, left=None, step_left=None)

    def to_json(self) -> str:
        """The text that a job writes, with the time."""
        return json.dumps({**asdict(self), "at": time.time()})


def progress_from(stored: Mapping) -> Progress:
    """A progress from JSON values; those of earlier versions have only done, total and what."""
    names = Progress.__dataclass_fields__
    found = Progress(**{name: value for name, value in stored.items() if name in names})
    if "fraction" not in stored:
        return replace(found, fraction=min(found.done / max(found.total, 1), 1.0))
    return found.without_news(time.time() - float(stored.get("at", time.time())))


class Tracker:
    """Turns reports into `Progress`. steps: how the messages of each step begin, in order; one may be left out.

    rates: seconds of each step for one unit of `size`, from earlier work. measured: the same of this work, as it goes.
    """

    def __init__(
        self,
        steps: tuple[str, ...] = (),
        rates: Mapping[str, float] | None = None,
        size: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._steps, self._rates, self._size, self._clock = list(steps), dict(rates or {}), size, clock
        self._began = self._last = clock()
        self._base = (self._began, 0)
        self._step, self._fraction = -1, 0.0
        self._lately: deque[tuple[float, int]] = deque()
        self.measured: dict[str, float] = {}

    def report(self, done: int, total: int, what: str) -> Progress:
        """Take a report, and return where the work is now."""
        now = self._clock()
        step = self._step_of(what)
        if step != self._step:
            # The time before the first report of a step belongs to it.
            self._end_step(self._last)
            self._step, self._began = step, self._last
            # The work of an earlier process does not show the pace of this one.
            self._base = (now, done) if done > _BEFORE * total else (self._began, 0)
            self._lately = deque([self._base])
        self._last = now
        # An unknown size is that of the first step, whose units are mostly radiographs.
        self._size = self._size or total
        self._lately.append((now, done))
        while len(self._lately) > 2 and now - self._lately[1][0] > _LATELY:
            self._lately.popleft()
        step_left = self._step_left(done, total, now)
        share = min(done / total, 1.0) if total else 0.0
        self._fraction = max(self._fraction, min(self._whole(share), 1.0))
        later = [self._expected(name) for name in self._steps[step + 1 :]]
        known = [seconds for seconds in later if seconds is not None]
        left = step_left + sum(known) if step_left is not None and len(known) == len(later) else None
        if done >= total and not any(later):
            left = None  # all units are done; the time of remaining work, such as writing a file, is not known
        return Progress(what, done, total, step + 1, len(self._steps), self._fraction, left, step_left)

    def finish(self) -> dict[str, float]:
        """The end of the work. Returns the seconds of each step for one unit of size."""
        self._end_step(self._clock())
        return self.measured

    def _step_of(self, what: str) -> int:
        places = [place for place, name in enumerate(self._steps) if what.startswith(name)]
        if places:
            return max(places[-1], self._step)
        if not self._steps:
            self._steps.append("")
        elif self._step < 0:
            return 0  # a message before the first step, such as loading the network
        return max(self._step, 0)

    def _end_step(self, now: float) -> None:
        if self._step >= 0 and self._size and self._steps[self._step]:
            self.measured[self._steps[self._step]] = (now - self._began) / self._size

    def _step_left(self, done: int, total: int, now: float) -> float | None:
        began, at_first = self._base
        spent = now - began
        if done <= at_first or total <= 0 or spent < _EARLIEST or (done / total < _LEAST and spent < _LONG):
            return None
        whole = (done - at_first) / spent
        since, at = self._lately[0]
        lately = (done - at) / (now - since) if now - since >= _EARLIEST else whole
        slower = min(whole, lately)
        return max(total - done, 0) / slower if slower > 0 else None

    def _expected(self, name: str) -> float | None:
        return self._rates[name] * self._size if name in self._rates and self._size else None

    def _whole(self, share: float) -> float:
        """The share of the whole at a share of the present step: by expected seconds where all are known."""
        weights = [self._expected(name) for name in self._steps]
        even = [1.0] * len(weights)
        known = even if None in weights or not sum(filter(None, weights)) else [float(one or 0) for one in weights]
        return (sum(known[: self._step]) + share * known[self._step]) / sum(known)


def duration_text(seconds: float) -> str:
    """`5 s`, `40 s`, `3 min`, `2 h 10 min`; rounded up, so that it never promises too early an end."""
    if seconds <= 10:
        return f"{max(math.ceil(seconds), 1)} s"
    if seconds < 55:
        return f"{5 * math.ceil(seconds / 5)} s"
    minutes = math.ceil(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    tens = math.ceil(minutes / 10)
    return f"{tens // 6} h" + (f" {10 * (tens % 6)} min" if tens % 6 else "")


def read_rates(file: Path, kind: str) -> dict[str, float]:
    """Seconds of each step for one unit of size, of the last work of this kind; empty where there is none."""
    with suppress(OSError, ValueError, TypeError, AttributeError, OverflowError):
        return {str(name): float(value) for name, value in read_json(file).get(kind, {}).items()}
    return {}


def keep_rates(file: Path, kind: str, measured: Mapping[str, float]) -> None:
    """Keep what was measured for the next work of this kind."""
    try:
        stored = read_json(file)
    except (OSError, ValueError):
        stored = {}
    both = {**read_rates(file, kind), **measured}
    with suppress(OverreadError):  # a missing estimate must not stop the work
        write_json(file, {**stored, kind: both})
