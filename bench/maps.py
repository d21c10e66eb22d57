"""Time from the key S on Errors to the map and to its verdict, alone and while others read and a training runs.

Run: `python -m bench.maps [cases]`. A dashboard of its own, phantoms, and a MobileNetV2 at 128 px with random weights.
Three other readers turn a page every second and ask for every second map; the training is a queued job. Each case is
new, so nothing is kept. Two rows for each condition in bench/results/maps.csv.
"""

import asyncio
import csv
import datetime
import itertools
import os
import platform
import shutil
import sys
import tempfile
import time
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
LIMIT = 300_000  # milliseconds


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


async def open_case(page, address: str, study: str) -> None:
    query = {"data": "bench", "model": "mobilenet", "split": "valid", "study": study}
    await page.goto(f"{address}/errors?{urlencode(query)}")
    await page.wait_for_function(READY, timeout=LIMIT)
    await page.wait_for_selector(".st-key-saliency_button", timeout=LIMIT)


async def time_case(page, address: str, study: str) -> tuple[float, float]:
    """Seconds from the key to the map, and to the verdict on every view of the study."""
    await open_case(page, address, study)
    started = time.perf_counter()
    await page.keyboard.press("s")
    await page.wait_for_selector(".over", state="attached", timeout=LIMIT)
    first = time.perf_counter() - started
    await page.wait_for_function(
        "() => !document.body.innerText.match(/Checking whether|Making the maps/) && "
        "document.body.innerText.match(/hold up|holds up|evidence for/)",
        timeout=LIMIT,
    )
    return first, time.perf_counter() - started


async def read_on(page, address: str, studies: list[str], stop: asyncio.Event) -> int:
    """Another reader: a page every second, and every second map. How many pages."""
    for turn in itertools.count():
        if stop.is_set():
            return turn
        try:
            await open_case(page, address, studies[turn % len(studies)])
            if turn % 2:
                await page.keyboard.press("s")
        except Exception as error:
            if stop.is_set():
                return turn
            raise error
        await asyncio.sleep(1)


async def run(home: Path, studies: list[str], cases: int) -> list[dict]:
    from playwright.async_api import async_playwright

    rows = []
    with serve(home) as address:
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(QUIET))
            pages = [await (await browser.new_context()).new_page() for _ in range(READERS + 1)]
            parts = np.array_split(studies, READERS + 3)
            await time_case(pages[0], address, parts[0][0])  # starts the process that makes maps
            alone = [await time_case(pages[0], address, study) for study in parts[1][:cases]]
            rows += rows_of("alone", alone)
            stop = asyncio.Event()
            job = enqueue_run("resnet-narrow-128", "bench", "trained", ["epochs=1000"])
            others = [
                asyncio.create_task(read_on(page, address, list(part), stop))
                for page, part in zip(pages[1:], parts[3:])
            ]
            await asyncio.sleep(8)
            with_others = [await time_case(pages[0], address, study) for study in parts[2][:cases]]
            state = next(found.state for found in jobs.list_jobs() if found.id == job.id)
            stop.set()
            turned = sum(await asyncio.gather(*others))
            jobs.stop(job.id)
            while any(found.active for found in jobs.list_jobs()):
                await asyncio.sleep(0.5)
            rows += rows_of(f"while {READERS} others turn {turned} pages and a training is {state}", with_others)
            await browser.close()
    return rows


def rows_of(condition: str, times: list[tuple[float, float]]) -> list[dict]:
    packages = ("streamlit", "torch", "captum", "timm")
    versions = ", ".join([f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in packages)])
    rows = []
    for place, what in enumerate(("first map", "verdict on every view")):
        seconds = np.array([one[place] for one in times])
        rows.append(
            {
                "date": datetime.date.today().isoformat(),
                "what": f"{what} after the key S: mobilenetv2_100, {SIDE} px, {condition}",
                "n": len(seconds),
                "median": f"{np.median(seconds):.3g}",
                "worst": f"{seconds.max():.3g}",
                "unit": "s",
                "load": f"{os.getloadavg()[0]:.1f}",
                "hardware": hardware(),
                "versions": versions,
                "command": "python -m bench.maps",
            }
        )
    return rows


def keep(rows: list[dict]) -> None:
    """Append the rows to bench/results/maps.csv and print them."""
    file = RESULTS / "maps.csv"
    new = not file.exists()
    with file.open("a", newline="") as opened:
        writer = csv.DictWriter(opened, fieldnames=list(rows[0]))
        if new:
            writer.writeheader()
        writer.writerows(rows)
    for row in rows:
        print(f"{row['median']} s (worst {row['worst']} s), n = {row['n']}, load {row['load']}: {row['what']}")


def main(cases: str = "8") -> None:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        os.environ["OVERREAD_HOME"] = str(home)
        keep(asyncio.run(run(home, make_workspace(home), int(cases))))


if __name__ == "__main__":
    main(*sys.argv[1:])
