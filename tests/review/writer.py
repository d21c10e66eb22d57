"""A process that enters verdicts as fast as it can and says each one only after it is kept: `writer.py URL NAME N`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from core.review.store import Verdict, add_verdict, open_store


def main(url: str, name: str, count: str) -> None:
    store = open_store(url, timeout=60)
    print("ready", flush=True)
    for number in range(int(count)):
        kept = add_verdict(store, Verdict("demo", f"{name}-{number}", name, "cannot_tell", note="n" * 500))
        print(kept.id, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
