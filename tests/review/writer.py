"""Adds verdicts as fast as possible, in a process per reader: `writer.py URL N READER...`.

Each process prints its reader and the id of an entry after it is stored. What they import is imported once, before.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from core.review.store import Verdict, add_verdict, open_store


def write(url: str, name: str, count: int) -> None:
    store = open_store(url, timeout=60)
    for number in range(count):
        stored = add_verdict(store, Verdict("demo", f"{name}-{number}", name, "cannot_tell", note="n" * 500))
        # One write of one line, which no line of another process can divide.
        os.write(1, f"{name}\t{stored.id}\n".encode())


def main(url: str, count: str, *names: str) -> int:
    started = []
    for name in names:
        if not (child := os.fork()):
            write(url, name, int(count))
            os._exit(0)
        started.append(child)
    return max(os.waitpid(child, 0)[1] for child in started)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]) != 0)
