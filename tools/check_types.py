"""Type errors of `core` against a baseline that may only shrink: `python tools/check_types.py [--write]`.

The baseline counts mypy's errors by file and error code, without line numbers, so that moved lines change nothing.
Exit status 1 where a count is above the baseline, and where it is below: `--write` (`make baseline`) then lowers it.
`--write` refuses a larger total; after a rename the total is the same.
"""

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

BASELINE = Path(__file__).with_name("type_baseline.json")
ERROR = re.compile(r"^(?P<file>[^:]+):\d+: error: .*\[(?P<code>[a-z-]+)\]$")


def main() -> int:
    """Compare, or write the baseline."""
    output = mypy_output()
    counts = count_errors(output)
    baseline = read_baseline()
    if "--write" in sys.argv:
        if baseline is not None and counts.total() > baseline.total():
            print(f"{counts.total()} type errors, {baseline.total()} in the baseline: fix the new ones first.")
            return 1
        write_baseline(counts)
        print(f"{BASELINE.name}: {counts.total()} type errors")
        return 0
    problems = differences(counts, baseline or Counter())
    if any(counts[key] > (baseline or Counter())[key] for key in counts):
        print(output)
    print("\n".join(problems) or f"{counts.total()} type errors, all in the baseline")
    return int(bool(problems))


def mypy_output() -> str:
    """The output of mypy. RuntimeError where mypy itself failed."""
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--hide-error-context", "--no-error-summary", "--no-pretty"],
        cwd=BASELINE.parent.parent,
        capture_output=True,
        text=True,
    )
    # 0: no errors, 1: type errors; anything else is a failure of mypy.
    if done.returncode not in (0, 1) or done.stderr:
        raise RuntimeError(f"mypy failed: {done.stderr or done.stdout}")
    return done.stdout


def count_errors(output: str) -> Counter:
    """Errors by (file, code)."""
    found = (ERROR.match(line) for line in output.splitlines())
    return Counter((error["file"], error["code"]) for error in found if error)


def differences(counts: Counter, baseline: Counter) -> list[str]:
    """A sentence for each file and code whose count is not the baseline's."""
    return [
        f"{file} [{code}]: {counts[file, code]} type errors, {baseline[file, code]} in the baseline. "
        + ("Fix the new ones." if counts[file, code] > baseline[file, code] else "Run `make baseline`.")
        for file, code in sorted({*counts, *baseline})
        if counts[file, code] != baseline[file, code]
    ]


def read_baseline() -> Counter | None:
    """The committed counts by (file, code); None where there is no baseline yet."""
    if not BASELINE.exists():
        return None
    stored = json.loads(BASELINE.read_text())
    return Counter({(file, code): count for file, codes in stored.items() for code, count in codes.items()})


def write_baseline(counts: Counter) -> None:
    """Sorted JSON, a file a key, so that changes of two people merge."""
    files: dict[str, dict[str, int]] = {}
    for (file, code), count in sorted(counts.items()):
        files.setdefault(file, {})[code] = count
    BASELINE.write_text(json.dumps(files, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
