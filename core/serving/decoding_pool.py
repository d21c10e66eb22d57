"""Processes that decode radiographs beside the event loop; a fault in a decoder written in C loses one file."""

import asyncio
import hashlib
import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from functools import partial

from core.data.input_spec import InputSpec
from core.serving.decoding import DecodedView, Upload, decode_view, warm_up
from core.serving.limits import Limits
from core.serving.quiet_log import set_up_log

MakePool = Callable[[int], Executor]


def process_pool(count: int) -> Executor:
    """Processes that decode. Not forked: torch's threads do not survive a fork."""
    return ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), initializer=set_up_log)


class DecodingPool:
    """A pool that is replaced when one of its processes dies. count: 0 for one process less than there are cores."""

    def __init__(self, count: int = 0, make_pool: MakePool = process_pool):
        self._count, self._make_pool = count or max(1, (os.cpu_count() or 2) - 1), make_pool
        self._pool: Executor | None = None
        self._alone = asyncio.Lock()

    def start(self) -> list[Future]:
        """Start the processes; the futures end when they are ready."""
        if self._pool:
            self._pool.shutdown(wait=False, cancel_futures=True)
        self._pool = self._make_pool(self._count)
        return [self._pool.submit(warm_up) for _ in range(self._count)]

    def close(self) -> None:
        """Finish the accepted files, then end the processes."""
        if self._pool:
            self._pool.shutdown()

    async def decode(self, upload: Upload, spec: InputSpec, limits: Limits) -> DecodedView:
        """One decoded file; never raises for a bad one."""
        call = partial(decode_view, upload, spec, limits)
        pool = self._pool
        try:
            return await asyncio.get_running_loop().run_in_executor(pool, call)
        except BrokenExecutor:
            # A decoder written in C has ended its process, and with it the files of other requests. Each is tried
            # again alone, so that only the one at fault is lost.
            if pool is self._pool:
                self.start()
        async with self._alone:
            quarantine = self._make_pool(1)
            try:
                return await asyncio.get_running_loop().run_in_executor(quarantine, call)
            except BrokenExecutor:
                digest = hashlib.sha256(upload.data).hexdigest()
                return DecodedView(upload.name, digest).refused(
                    "the decoder stopped while reading it", "decoder-stopped"
                )
            finally:
                quarantine.shutdown(wait=False)
