"""Batches across clients: one thread for each copy of the network takes what waits, and scores it together.

A batch waits for company only while requests arrive faster than they could be scored one at a time, and never longer
than a few milliseconds. Radiographs have one size a model, so no batch is padded.
"""

import queue
import threading
import time
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np

from core.errors import OverreadError
from core.serving.runtime import Scorer


class TooLate(OverreadError):
    """A request whose deadline passed before it was computed."""

    def __init__(self) -> None:
        super().__init__(
            "The deadline passed before the study was scored, so it was not computed. Send it again, or later.",
            code="deadline-passed",
        )


@dataclass(frozen=True)
class _Waiting:
    pixels: np.ndarray
    deadline: float
    future: Future = field(default_factory=Future)


class Batcher:
    """Scores radiographs of many requests together on one device.

    largest: radiographs in one batch. linger: the longest wait for company, in seconds.
    """

    def __init__(self, scorer: Scorer, largest: int = 32, linger: float = 0.004):
        self.scorer, self.largest, self.linger = scorer, largest, linger
        self.batches: deque[int] = deque(maxlen=1000)  # sizes of the last batches
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._between, self._last = 1.0, 0.0  # seconds between arrivals, a running mean
        self._closed = False
        self._submitted = self._answered = 0
        self._counting = threading.Lock()
        self._thread = threading.Thread(target=self._work, name="overread-batcher", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Requests that wait to be scored."""
        return self._queue.qsize()

    @property
    def unanswered(self) -> int:
        """Requests that wait or are being scored."""
        return self._submitted - self._answered

    def submit(self, pixels: np.ndarray, deadline: float = float("inf")) -> Future:
        """A future of the outputs, float64 [n, columns], for uint8 [n, size, size]. deadline: by `time.monotonic`.

        The future raises TooLate where the deadline passed before its turn. OverreadError once the service stops.
        """
        if self._closed:
            raise OverreadError("The service is stopping and takes no more studies.", code="service-stopping")
        now = time.monotonic()
        self._between += 0.1 * (min(now - self._last, 1.0) - self._between)
        self._last = now
        one = _Waiting(pixels, deadline)
        with self._counting:
            self._submitted += 1
        one.future.add_done_callback(self._count_answer)
        self._queue.put(one)
        return one.future

    def _count_answer(self, _future: Future) -> None:
        with self._counting:
            self._answered += 1

    def close(self) -> None:
        """Finish what was taken, then stop."""
        self._closed = True
        self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (first := self._queue.get()) is not None:
            batch, ended = self._collect(first)
            self._run(batch)
            if ended:
                break
        while not self._queue.empty():  # submitted while the service was closing
            if one := self._queue.get():
                self._run([one])

    def _collect(self, first: _Waiting) -> tuple[list[_Waiting], bool]:
        """The first request with what waits behind it, and whether the end was reached."""
        batch, count = [first], len(first.pixels)
        until = time.monotonic() + self.linger
        while count < self.largest:
            # Further studies are awaited only if they usually arrive within the wait.
            patience = until - time.monotonic() if self._between < self.linger else 0.0
            try:
                one = self._queue.get(timeout=patience) if patience > 0 else self._queue.get_nowait()
            except queue.Empty:
                break
            if one is None:
                return batch, True
            batch.append(one)
            count += len(one.pixels)
        return batch, False

    def _run(self, batch: list[_Waiting]) -> None:
        now = time.monotonic()
        live = []
        for one in batch:
            if not one.future.set_running_or_notify_cancel():
                continue  # its client has left
            if one.deadline < now:
                one.future.set_exception(TooLate())
            else:
                live.append(one)
        if not live:
            return
        try:
            outputs = self.scorer.scores(np.concatenate([one.pixels for one in live]), self.largest)
        except Exception as error:  # noqa: BLE001 - it belongs to the requests that wait, not to this thread
            for one in live:
                one.future.set_exception(error)
            return
        self.batches.append(len(outputs))
        start = 0
        for one in live:
            one.future.set_result(outputs[start : start + len(one.pixels)])
            start += len(one.pixels)
