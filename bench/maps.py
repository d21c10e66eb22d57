"""Time from the key S on Errors to the map and to its verdict, alone and while others read and a training runs.

Run: `python -m bench.maps [cases] [limit]`. A dashboard of its own, phantoms, and a MobileNetV2 at 128 px with random
weights. Three other readers turn a page every second and ask for every second map; the training is a queued job. Each
case is new, so nothing is kept. A case that is not done within the limit (seconds) counts as the limit, and its row
says so. Two rows for each condition in bench/results/maps.csv, written as soon as the condition is measured. However
the benchmark ends, the training ends first.
"""

import asyncio
import contextlib
import csv
import datetime
import itertools
import os
import platform
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import torch

from bench.pairs import RESULTS
from bench.thresholds import hardware
from core import jobs
from core.data.index import build_index, read_index, write_dataset
from core.models.checkpoint import begin_checkpoint, read_checkpoint, save_weights, write_manifest
from core.models.networks import build
from core.phantom import write_phantoms
from core.scores.predict import predict
from core.scores.predictions import store_predictions
from core.scores.source import source_of
from core.training.recipe import Recipe
from core.workflows.runs import enqueue_run
from tests.browser.server import QUIET, READY, serve

SIDE, READERS, PATIENTS = 128, 3, 90
# Seconds for which a stopped training may go on; its worker kills it before.
TO_STOP = 40
UNCHECKED = '.verdict:has-text("Checking this map")'
# Whose processor time it is, by a part of the command line.
PROGRAMS = {
    "browsers": "chromium",
    "maps": "core.explain.map_worker",
    "dashboard": "streamlit run",
    "training": "-m core train",
}


@dataclass(frozen=True)
class Time:
    """Seconds of one case until its first map and until every verdict; the limit where that came first."""

    first: float
    verdicts: float
    ended: str = ""

    @property
    def text(self) -> str:
        """One line of progress."""
        return f"first map {self.first:.2f} s, verdicts {self.verdicts:.2f} s" + (f" ({self.ended})" * bool(self.ended))


def say(words: str) -> None:
    """A line of progress, at once."""
    print(f"{datetime.datetime.now():%H:%M:%S} {words}", flush=True)


def make_workspace(home: Path) -> list[str]:
    """A phantom set scored by a MobileNetV2; the studies of valid."""
    import pandas as pd

    write_phantoms(home / "phantoms", PATIENTS, 7, valid_fraction=0.7)
    dataset = write_dataset("bench", build_index(home / "phantoms" / "MURA-v1.1"))
    recipe = Recipe("mobilenet", "mobilenetv2_100", {}, size=SIDE)
    folder = home / "checkpoints" / "mobilenet"
    torch.manual_seed(0)
    learned = pd.DataFrame(columns=["sha1", "part"], dtype="str")
    manifest = begin_checkpoint(folder, recipe.to_json(), recipe.input_spec(), learned)
    manifest |= {"dataset": "other", "index_hash": "", "phantom": True, "parameters": 1}
    write_manifest(folder, save_weights(folder, manifest, build(recipe.architecture).state_dict()))
    checkpoint = read_checkpoint(folder)
    store_predictions(predict(source_of(checkpoint, dataset), ["valid"]))
    index = read_index("bench")
    return sorted(index.loc[index["split"] == "valid", "study_id"].unique())


async def open_case(page, address: str, study: str, limit: float) -> None:
    query = {"data": "bench", "model": "mobilenet", "split": "valid", "study": study}
    milliseconds = 1000 * limit
    await page.goto(f"{address}/errors?{urlencode(query)}", timeout=milliseconds)
    await page.wait_for_function(READY, timeout=milliseconds)
    await page.wait_for_selector(".st-key-saliency_button", timeout=milliseconds)


async def time_case(page, address: str, study: str, limit: float) -> Time:
    """Seconds from the key to the map, and to the verdict on every view of the study, each at most the limit."""
    from playwright.async_api import TimeoutError as RanOut

    try:
        await open_case(page, address, study, limit)
    except RanOut:
        return Time(limit, limit, f"the case was not open after {limit:.0f} s")
    started = time.perf_counter()
    await page.keyboard.press("s")
    try:
        await page.wait_for_selector(".over", state="attached", timeout=1000 * limit)
    except RanOut:
        return Time(limit, limit, f"no map after {limit:.0f} s")
    first = time.perf_counter() - started
    try:
        await page.wait_for_selector(UNCHECKED, state="detached", timeout=1000 * max(0.1, limit - first))
    except RanOut:
        return Time(first, limit, f"no verdict after {limit:.0f} s")
    return Time(first, time.perf_counter() - started)


async def time_cases(page, address: str, studies: list[str], limit: float, condition: str) -> list[Time]:
    """The time of each case, printed as it is known."""
    times = []
    for number, study in enumerate(studies, 1):
        times.append(await time_case(page, address, study, limit))
        say(f"{condition}, case {number} of {len(studies)}: {times[-1].text}")
    return times


async def read_on(page, address: str, studies: list[str], turned: Counter, limit: float) -> None:
    """Another reader, until it is cancelled: a page every second, and every second map."""
    from playwright.async_api import TimeoutError as RanOut

    for turn in itertools.count():
        try:
            await open_case(page, address, studies[turn % len(studies)], limit)
            turned["pages"] += 1
            if turn % 2:
                await page.keyboard.press("s")
        except RanOut:
            turned["pages that were not open in time"] += 1
        await asyncio.sleep(1)


@contextlib.asynccontextmanager
async def company(pages: list, address: str, parts: list, limit: float):
    """The other readers and a training, which end with the block. Yields what they did so far."""
    turned = Counter()
    enqueue_run("resnet-narrow-128", "bench", "trained", ["epochs=1000"])
    others = [
        asyncio.create_task(read_on(page, address, list(part), turned, limit)) for page, part in zip(pages, parts)
    ]
    try:
        await wait_for_state("running")
        await asyncio.sleep(8)
        yield turned
    finally:
        for other in others:
            other.cancel()
        await asyncio.gather(*others, return_exceptions=True)


async def wait_for_state(state: str) -> None:
    while not any(job.state == state for job in jobs.list_jobs("training")):
        await asyncio.sleep(0.2)


def end_trainings() -> None:
    """Stop every job of the workspace, and wait for the end of its processes."""
    for job in jobs.list_jobs():
        if job.active:
            jobs.stop(job.id)
            say(f"the {job.kind} is stopped")
    until = time.monotonic() + TO_STOP
    while any(job.active for job in jobs.list_jobs()):
        if time.monotonic() > until:
            raise RuntimeError("A job did not end; end its process by hand: " + jobs.log_of(jobs.list_jobs()[0].id))
        time.sleep(0.2)


async def run(home: Path, studies: list[str], cases: int, limit: float) -> None:
    from playwright.async_api import async_playwright

    with serve(home) as address:
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(QUIET))
            pages = [await (await browser.new_context()).new_page() for _ in range(READERS + 1)]
            parts = np.array_split(studies, READERS + 3)
            first = await time_case(pages[0], address, parts[0][0], limit)
            say(f"the process that makes maps has started: {first.text}")
            before = processor_seconds()
            keep("alone", await time_cases(pages[0], address, parts[1][:cases], limit, "alone"), before)
            async with company(pages[1:], address, parts[3:], limit) as turned:
                before = processor_seconds()
                times = await time_cases(pages[0], address, parts[2][:cases], limit, "with others")
                state = next(job.state for job in jobs.list_jobs("training"))
                did = ", ".join(f"{count} {what}" for what, count in turned.items())
                keep(f"while {READERS} others turn {did} and a training is {state}", times, before)
            await browser.close()


def processor_seconds() -> Counter:
    """Processor seconds so far of the running processes of each program, where the system has them in /proc."""
    used, ticks = Counter(at=time.perf_counter()), os.sysconf("SC_CLK_TCK")
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError):
            words = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            fields = (folder / "stat").read_text().rpartition(") ")[2].split()
            for program, part in PROGRAMS.items():
                used[program] += (int(fields[11]) + int(fields[12])) / ticks * (part in words)
    return used


def keep(condition: str, times: list[Time], before: Counter) -> None:
    """Append the rows of a condition to bench/results/maps.csv, and print them and who used the processor."""
    after = processor_seconds()
    seconds = after["at"] - before["at"]
    shares = ", ".join(f"{name} {(after[name] - before[name]) / seconds:.2f}" for name in PROGRAMS)
    say(f"processors in use, {condition}: {shares}")
    packages = ("streamlit", "torch", "captum", "timm")
    versions = ", ".join([f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in packages)])
    late = Counter(one.ended for one in times if one.ended)
    limits = "".join(f"; {count} of {len(times)}: {what}" for what, count in late.items())
    file = RESULTS / "maps.csv"
    new = not file.exists()
    with file.open("a", newline="") as opened:
        for what, values in (
            ("first map", [one.first for one in times]),
            ("verdict on every view", [one.verdicts for one in times]),
        ):
            row = {
                "date": datetime.date.today().isoformat(),
                "what": f"{what} after the key S: mobilenetv2_100, {SIDE} px, {condition}{limits}",
                "n": len(values),
                "median": f"{np.median(values):.3g}",
                "worst": f"{max(values):.3g}",
                "unit": "s",
                "load": f"{os.getloadavg()[0]:.1f}",
                "hardware": hardware(),
                "versions": versions,
                "command": "python -m bench.maps",
            }
            writer = csv.DictWriter(opened, fieldnames=list(row))
            if new:
                writer.writeheader()
                new = False
            writer.writerow(row)
            say(f"{row['median']} s (worst {row['worst']} s), n = {row['n']}, load {row['load']}: {row['what']}")


def main(cases: str = "8", limit: str = "60") -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        os.environ["OVERREAD_HOME"] = str(home)
        say("making a phantom set and its scores")
        studies = make_workspace(home)
        try:
            asyncio.run(run(home, studies, int(cases), float(limit)))
        finally:
            end_trainings()


if __name__ == "__main__":
    main(*sys.argv[1:])
