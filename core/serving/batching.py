"""Batches across clients: threads of each copy of the network take what waits, and score it together.

A batch waits for company only while requests arrive faster than they could be scored one at a time, and never longer
than a few milliseconds. Radiographs have one size a model, so no batch is padded.
"""

import threading
import time
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np
import torch

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

    largest: radiographs in one batch. linger: the longest wait for company, in seconds. cores: processor cores that
    torch computes this scorer's batches on; each core after the first has a thread that helps. 0 where batches are
    computed one after the other: on a GPU, and by ONNX Runtime, which divides its own threads.
    """

    def __init__(self, scorer: Scorer, largest: int = 32, linger: float = 0.004, cores: int = 0):
        self.scorer, self.largest, self.linger, self.cores = scorer, largest, linger, cores
        self.batches: deque[int] = deque(maxlen=1000)  # sizes of the last batches
        self._queue: deque[_Waiting] = deque()
        self._changed = threading.Condition()
        self._between, self._last = 1.0, 0.0  # seconds between arrivals, a running mean
        self._running, self._leads, self._closed = 0, False, False
        self._threads = [
            threading.Thread(target=self._work, args=(place == 0,), name=f"overread-batcher-{place}", daemon=True)
            for place in range(max(1, cores))
        ]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """Requests that wait to be scored."""
        return len(self._queue)

    @property
    def _many(self) -> bool:
        """Whether there are as many requests as cores. `_changed` is held."""
        return bool(self.cores) and self._running + len(self._queue) >= self.cores

    def submit(self, pixels: np.ndarray, deadline: float = float("inf")) -> Future:
        """A future of the outputs, float64 [n, columns], for uint8 [n, size, size]. deadline: by `time.monotonic`.

        The future raises TooLate where the deadline passed before its turn. OverreadError once the service stops.
        """
        one = _Waiting(pixels, deadline)
        with self._changed:
            if self._closed:
                raise OverreadError("The service is stopping and takes no more studies.", code="service-stopping")
            now = time.monotonic()
            self._between += 0.1 * (min(now - self._last, 1.0) - self._between)
            self._last = now
            self._queue.append(one)
            self._changed.notify_all()
        return one.future

    def close(self) -> None:
        """Finish what was taken, then stop."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _work(self, lead: bool) -> None:
        while batch := self._take(lead):
            try:
                self._run(batch)
            finally:
                with self._changed:
                    self._running -= 1
                    self._leads = self._leads and not lead
                    self._changed.notify_all()

    def _take(self, lead: bool) -> list[_Waiting]:
        """The next batch, with the threads of torch set for it; empty once all is done and the service stops.

        Where there are as many requests as cores, each batch has one core, and helpers take what waits beside a batch
        of the lead: two batches on one core each take less time than one after the other on two, whose threads wait
        for each other at every layer. Where there are fewer, the lead takes them all, on every core.
        """
        with self._changed:
            while not (self._queue and (lead or (self._leads and self._many))):
                if self._closed and not self._queue:
                    return []
                self._changed.wait()
            self._running += 1
            self._leads = self._leads or lead
            self._changed.notify_all()  # helpers may take the rest from now on
            batch = self._collect()
            if self.cores:
                # The setting belongs to the thread that makes it. Helpers never compute on several cores, so that
                # there are never more threads than cores, where OpenMP would put them to sleep between two layers.
                torch.set_num_threads(self.cores if lead and self._running == 1 and not self._many else 1)
            return batch

    def _collect(self) -> list[_Waiting]:
        """The first request with its share of what waits behind it. `_changed` is held, and free while it waits."""
        first = self._queue.popleft()
        batch, count = [first], len(first.pixels)
        most = self.largest
        if self._many:
            waiting = count + sum(len(one.pixels) for one in self._queue)
            most = min(most, -(-waiting // self.cores))
        until = time.monotonic() + self.linger
        while count < most:
            if not self._queue:
                # Further studies are awaited only if they usually arrive within the wait.
                patience = until - time.monotonic() if self._between < self.linger and not self._closed else 0.0
                if patience <= 0:
                    break
                self._changed.wait(patience)
                continue
            one = self._queue.popleft()
            batch.append(one)
            count += len(one.pixels)
        return batch

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
