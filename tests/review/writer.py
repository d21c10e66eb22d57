"""Adds verdicts as fast as possible and prints each id after it is stored: `writer.py URL NAME N`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from core.review.store import Verdict, add_verdict, open_store


def main(url: str, name: str, count: str) -> None:
    store = open_store(url, timeout=60)
    print("ready", flush=True)
    for number in range(int(count)):
        stored = add_verdict(store, Verdict("demo", f"{name}-{number}", name, "cannot_tell", note="n" * 500))
        print(stored.id, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
