"""What a cached value of a file is keyed by, and how often files are looked at."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path

from core.paths import home

_run = threading.local()


def stamp(file: Path) -> tuple:
    """The file, and when and how large it was last written; a missing file has zeros."""
    # The home is part of it: two workspaces may hold data sets of one name.
    facts = file.stat() if file.exists() else None
    return (str(home()), str(file), facts.st_mtime_ns, facts.st_size) if facts else (str(home()), str(file), 0, 0)


@contextmanager
def one_look() -> Iterator[None]:
    """Inside, what is `looked_up_once` is looked up once: a page asks for the same folders a dozen times a run."""
    _run.found = {}
    try:
        yield
    finally:
        _run.found = None


def looked_up_once(look: Callable) -> Callable:
    """A function without arguments whose answer holds for one run; outside of `one_look` it looks every time."""

    @wraps(look)
    def found():
        kept = getattr(_run, "found", None)
        if kept is None:
            return look()
        if look not in kept:
            kept[look] = look()
        return kept[look]

    return found
