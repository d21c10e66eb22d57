"""Attack a workbench with other seeds and report what happened.

Run: `make hard`, or `python -m hard PART [--count N] [--seed N]` for one part. Without --seed a seed is drawn; it is
printed and kept in hard/results.csv, so that the same trials can be repeated. The exit status is 1 if anything changed
in silence, ended in an exception, was fetched from another host, or was lost.
"""

import argparse
import csv
import datetime
import importlib
import secrets
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.thresholds import hardware
from core.plural import count_text
from hard.trials import FAULTS, faults, markdown, table

PARTS = {
    "flips": "a bit or byte changed in every kind of file",
    "fuzz": "mutated inputs for every reader of files and texts",
    "addresses": "hostile values for every parameter of every page",
    "names": "markup as names, on every page",
    "kills": "work killed at random moments, and done again",
    "database": "PostgreSQL, its connections and readers killed while they write",
    "restarts": "the dashboard killed while a reader gives verdicts in a browser",
    "readers": "twenty-five readers giving verdicts at once",
    "packets": "everything once, in a network where each packet that leaves is counted",
    "load": "ten visitors at once",
}
# These run last and alone: what they measure depends on what else runs.
ALONE = ("load",)
RESULTS = Path(__file__).with_name("results.csv")
FIELDS = ("date", "part", "seed", "subject", "tried", "outcomes", *FAULTS, "seconds", "hardware")
SHOWN = 20


def main() -> int:
    """Run one part in this process, or several in processes of their own. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m hard", description=__doc__.partition("\n")[0])
    parser.add_argument("parts", nargs="*", help=f"parts to run, all by default: {', '.join(PARTS)}")
    parser.add_argument("--count", type=int, help="trials of each subject; each part has its own default")
    parser.add_argument("--seed", type=int, help="drawn where it is not given")
    parser.add_argument("--report", type=Path, help="a file for the table, in Markdown")
    parser.add_argument("--results", type=Path, default=RESULTS, help="a CSV file that the rows are appended to")
    parser.add_argument("--processes", type=int, default=2, help="parts that run at the same time")
    given = parser.parse_args()
    if unknown := set(given.parts) - set(PARTS):
        parser.error(f"no part is named {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    seed = secrets.randbelow(10**6) if given.seed is None else given.seed
    if len(given.parts) == 1:
        return run_part(given.parts[0], seed, given)
    return run_parts(given.parts or list(PARTS), seed, given)


def run_part(part: str, seed: int, given: argparse.Namespace) -> int:
    """Run a part, print its table and each fault, and keep its rows."""
    module, began = importlib.import_module(f"hard.{part}"), time.monotonic()
    print(f"{part}: {PARTS[part]}; seed {seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="overread-hard-") as folder:
        trials = list(module.run(Path(folder), seed, module.COUNT if given.count is None else given.count))
    found, seconds = faults(trials), time.monotonic() - began
    rows = [{"part": part, **row} for row in table(trials)]
    line = f"{part}: {len(trials):,} trials with seed {seed} in {seconds:.0f} s, {count_text(len(found), 'fault')}"
    text = f"{markdown(rows)}\n\n{line}\n"
    details = "".join(f"- {one.subject}: {one.outcome}: {one.detail}\n" for one in found[:SHOWN])
    notes = "".join(f"- {line}\n" for line in getattr(module, "NOTES", []))
    print(text + details + notes, flush=True)
    if given.report:
        given.report.write_text(text + details + notes, encoding="utf-8")
    keep(rows, seed, seconds, given.results)
    return int(bool(found))


def run_parts(parts: list[str], seed: int, given: argparse.Namespace) -> int:
    """Run parts side by side in processes, then those that need the machine for themselves, and print all reports."""
    with tempfile.TemporaryDirectory(prefix="overread-hard-") as folder:
        files = {part: Path(folder, f"{part}.md") for part in parts}

        def start(part: str) -> int:
            more = ["--results", str(given.results)] + (
                ["--count", str(given.count)] if given.count is not None else []
            )
            command = [sys.executable, "-m", "hard", part, "--seed", str(seed), "--report", str(files[part]), *more]
            with Path(folder, f"{part}.log").open("w") as log:
                status = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT).returncode
            print(f"{part} ended with status {status}", flush=True)
            return status

        print(f"seed {seed}: {', '.join(parts)}", flush=True)
        beside = [part for part in parts if part not in ALONE]
        with ThreadPoolExecutor(given.processes) as pool:
            statuses = dict(zip(beside, pool.map(start, beside)))
        statuses |= {part: start(part) for part in parts if part in ALONE}
        # A part that died left no report: the end of its log says why.
        texts = [
            file.read_text()
            if file.exists()
            else f"{part} left no report:\n{file.with_suffix('.log').read_text()[-1500:]}"
            for part, file in files.items()
        ]
    report = "\n".join([*texts, f"seed {seed}; {hardware()}", ""])
    print(report)
    if given.report:
        given.report.write_text(report, encoding="utf-8")
    return int(any(statuses.values()))


def keep(rows: list[dict], seed: int, seconds: float, results: Path) -> None:
    """Append the rows to the file of results, with their seed."""
    usual = ("part", "subject", "tried", *FAULTS)
    new = not results.exists()
    with results.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, FIELDS)
        if new:
            writer.writeheader()
        for row in rows:
            outcomes = ", ".join(f"{row[name]} {name}" for name in row if name not in usual)
            writer.writerow(
                {
                    "date": datetime.date.today().isoformat(), "part": row["part"], "seed": seed, "tried": row["tried"],
                    "subject": row["subject"], "outcomes": outcomes, **{name: row.get(name, 0) for name in FAULTS},
                    "seconds": f"{seconds:.0f}", "hardware": hardware(),
                }
            )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
