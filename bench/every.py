"""Run every benchmark against its peer and print one table of what it measured.

Run: `make bench`, or `python -m bench.every [NAME ...] [--report FILE]` for some of them. Each benchmark is a process
with a limit of time and settings that fit it, and appends its rows to bench/results/ as always. The table has the rows
that this run added: ours against the peer, the ratio's median and its range over the rounds. A ratio below 1 is marked:
there the peer is faster. A benchmark that fails or takes too long is listed, and the exit status is 1.
"""

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

RESULTS = Path(__file__).with_name("results")
# {}: a folder that lasts as long as the run. Seconds: on two quiet cores, with room to spare.
BENCHES = {
    "thresholds": (["bench.thresholds"], 150),
    "augment": (["bench.augment"], 120),
    "data": (["bench.data", "{}", "2000"], 240),
    "training": (["bench.training", "{}", "small_cnn", "64", "320", "3"], 180),
    "saliency": (["bench.saliency", "resnet18", "128"], 150),
    "panel": (["bench.panel"], 120),
    "review": (["bench.review"], 180),
}


@dataclass(frozen=True)
class Outcome:
    """What a benchmark left. failure: why there are no rows of it, '' if it ended well."""

    name: str
    rows: list[dict[str, str]]
    seconds: float
    failure: str


def run(name: str, folder: str) -> Outcome:
    """Run one benchmark and collect the rows that it appended."""
    arguments, limit = BENCHES[name]
    command = [sys.executable, "-m", *(part.format(folder) for part in arguments)]
    before, began = lengths(), time.monotonic()
    with tempfile.TemporaryFile("w+") as log:
        try:
            done = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, timeout=limit)
            failure = "" if done.returncode == 0 else f"ended with status {done.returncode}"
        except subprocess.TimeoutExpired:
            failure = f"stopped after {limit} s"
        log.seek(0)
        last = next((line.strip() for line in reversed(log.readlines()) if line.strip()), "")
    seconds = time.monotonic() - began
    return Outcome(name, new_rows(before), seconds, f"{failure}: {last[:200]}" if failure else "")


def lengths() -> dict[str, int]:
    """How many rows each file of results has."""
    return {file.name: len(read(file)) for file in RESULTS.glob("*.csv")}


def new_rows(before: dict[str, int]) -> list[dict[str, str]]:
    """The rows that the files of results have more than before."""
    return [row for file in sorted(RESULTS.glob("*.csv")) for row in read(file)[before.get(file.name, 0) :]]


def read(file: Path) -> list[dict[str, str]]:
    """The rows of a file of results."""
    with file.open(newline="", encoding="utf-8") as text:
        return list(csv.DictReader(text))


def table(outcomes: list[Outcome]) -> str:
    """The rows as Markdown: what, peer and its version, ratio with its range, and a mark where the peer is faster."""
    lines = ["| what | n | peer | times as fast (range) | |", "|---|---|---|---|---|"]
    for outcome in outcomes:
        for row in outcome.rows:
            if ratio := row.get("ratio_median"):
                mark = "the peer is faster" if float(ratio) < 1 else ""
                spread = f"{ratio} ({row.get('ratio_min', '')}-{row.get('ratio_max', '')})"
                lines.append(f"| {row['what']} | {row.get('n', '')} | {row.get('peer', '')} | {spread} | {mark} |")
    return "\n".join(lines)


def summary(outcomes: list[Outcome]) -> str:
    """How long each took, what failed, and the hardware and versions that the rows name."""
    lines = [
        f"- {one.name}: {len(one.rows)} rows in {one.seconds:.0f} s{f'; {one.failure}' if one.failure else ''}"
        for one in outcomes
    ]
    named = {row.get(key, "") for one in outcomes for row in one.rows for key in ("hardware", "versions")} - {""}
    load = f"load average at the end {os.getloadavg()[0]:.1f}"
    return "\n".join([*lines, "", "; ".join([*sorted(named), load])])


def main() -> int:
    """Run the named benchmarks, or all. Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", help="benchmarks to run; all by default")
    parser.add_argument("--report", type=Path, help="a file for the table, in Markdown")
    chosen = parser.parse_args()
    if unknown := set(chosen.names) - set(BENCHES):
        parser.error(f"no benchmark is named {', '.join(sorted(unknown))}; there are {', '.join(BENCHES)}")
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="overread-bench-") as folder:
        for name in chosen.names or BENCHES:
            print(f"{name} ...", flush=True)
            outcomes.append(run(name, folder))
    report = f"{table(outcomes)}\n\n{summary(outcomes)}\n"
    print(report)
    if chosen.report:
        chosen.report.write_text(report, encoding="utf-8")
    return int(any(one.failure for one in outcomes))


if __name__ == "__main__":
    sys.exit(main())
