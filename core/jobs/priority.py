"""Queued work gives way: it runs where pages, commands and maps leave the cores free."""

import os
import sys
from contextlib import suppress
from pathlib import Path

LOWEST = 19


def give_way(whole_session: bool = False) -> None:
    """Give this process, and those it starts, the lowest priority for the processor, where the system has one.

    whole_session: also lower the session of this process. Linux shares the cores among sessions first, and then
    niceness counts only within each; so a worker, which has a session of its own, would get as much as the dashboard.
    """
    with suppress(OSError, AttributeError):
        os.nice(LOWEST)
    if whole_session and sys.platform == "linux":
        with suppress(OSError):
            Path("/proc/self/autogroup").write_text(str(LOWEST))
