"""Queued work gives way: it runs where pages, commands and maps leave the cores free."""

import os
import sys
from contextlib import suppress
from pathlib import Path

LOWEST = 19
# The priority of short work that a visitor waits for, so that a long training does not delay it.
AWAITED = 5


def give_way(whole_session: bool = False, niceness: int = LOWEST) -> None:
    """Give this process, and those it starts, a low priority for the processor, by default the lowest there is.

    whole_session: also lower the session of this process. Linux shares the cores among sessions first, and then
    niceness counts only within each; so a worker, which has a session of its own, would get as much as the dashboard.
    """
    with suppress(OSError, AttributeError):
        os.nice(niceness)
    if whole_session and sys.platform == "linux":
        with suppress(OSError):
            Path("/proc/self/autogroup").write_text(str(niceness))
