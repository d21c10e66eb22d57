"""Time two implementations of the same figures, alternating. Each case is one row in bench/results/."""

import csv
import datetime
import importlib.metadata
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

RESULTS = Path(__file__).parent / "results"
ROUNDS = 9


@dataclass(frozen=True)
class Case:
    """A comparison with a peer. `same(ours(), theirs())` raises where the figures differ."""

    what: str
    n: int
    peer: str
    ours: Callable
    theirs: Callable
    repeat: int = 1
    same: Callable | None = None


def agree(ours, theirs) -> None:
    """Raise AssertionError where two arrays differ by more than rounding."""
    np.testing.assert_allclose(ours, theirs, rtol=1e-9)


def timed(call: Callable, repeat: int = 1) -> float:
    """Seconds per call, averaged over `repeat` calls."""
    start = time.perf_counter()
    for _ in range(repeat):
        call()
    return (time.perf_counter() - start) / repeat


def measure(case: Case, command: str, packages: tuple[str, ...] = ("numpy",), rounds: int = ROUNDS) -> dict:
    """Return one row: the median of paired ratios (peer's time over ours), after checking that both agree."""
    (case.same or agree)(case.ours(), case.theirs())
    ours, theirs = [], []
    for number in range(rounds):
        # The order alternates, so that neither side always finds the caches warmed by the other.
        for mine in (True, False) if number % 2 else (False, True):
            (ours if mine else theirs).append(timed(case.ours if mine else case.theirs, case.repeat))
    ratios = np.array(theirs) / np.array(ours)
    versions = [f"{name} {importlib.metadata.version(name)}" for name in packages]
    return {
        "date": datetime.date.today().isoformat(),
        "what": case.what,
        "n": case.n,
        "peer": case.peer,
        "ratio_median": f"{np.median(ratios):.3g}",
        "ratio_min": f"{ratios.min():.3g}",
        "ratio_max": f"{ratios.max():.3g}",
        "rounds": rounds,
        "ours_ms": f"{1000 * np.median(ours):.4g}",
        "peer_ms": f"{1000 * np.median(theirs):.4g}",
        "hardware": hardware(),
        "versions": ", ".join([f"Python {platform.python_version()}", *versions]),
        "command": command,
    }


def keep(rows: list[dict], file: str) -> None:
    """Append the rows to bench/results/<file> and print them."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    new = not (RESULTS / file).exists()
    with (RESULTS / file).open("a", newline="") as opened:
        writer = csv.DictWriter(opened, fieldnames=list(rows[0]))
        if new:
            writer.writeheader()
        writer.writerows(rows)
    for row in rows:
        print(
            f"{row['ratio_median']:>6} x ({row['ratio_min']}-{row['ratio_max']})  {row['what']}, n = {row['n']}: "
            f"{row['ours_ms']} ms against {row['peer_ms']} ms of {row['peer']}"
        )


def hardware() -> str:
    """The processor's name and the number of cores this run may use."""
    name = platform.processor() or platform.machine()
    about = Path("/proc/cpuinfo")
    if about.exists():
        lines = about.read_text().splitlines()
        names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
        name = names[0] if names else name
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{cores} cores of {name}"
