"""Time reading as a team: the next case at 15,000 studies, similar studies over 40,000 radiographs, twenty writers.

Run: `python -m bench.review` (needs Chromium; `--store URL` adds PostgreSQL). Times are measured in the page from the
key's event. A case counts as drawn one animation frame after its radiographs are named and decoded. The page counts as
answered when score, keys and address belong to that case as well. The radiographs are phantoms; several rows share a
file. Rows are appended to bench/results/review.csv: median, 95th percentile and worst of the turns, and the machine's
load average; for similar studies the ratio to scikit-learn's brute-force search, alternating.
"""

import argparse
import csv
import datetime
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.neighbors import NearestNeighbors

from bench.thresholds import hardware
from core.data.index import build_index, write_dataset
from core.models.checkpoint import list_checkpoints
from core.phantom import write_phantoms
from core.schema import MURA_BONES, PREDICTIONS
from core.scores.embeddings import ROWS, Embeddings, embeddings_files, neighbours
from core.scores.predictions import store_predictions
from core.scores.source import source_of
from tests.browser.server import chromium, serve, settle

RESULTS = Path(__file__).parent / "results" / "review.csv"
FIELDS = (
    "date", "what", "n", "turns", "median", "p95", "worst", "unit", "peer", "ratio_median", "ratio_min", "ratio_max",
    "lost", "load", "hardware", "versions",
)  # fmt: skip
STUDIES, WRITERS, ENTRIES = 15_000, 20, 50
FIND = "[...document.querySelectorAll('div')].map((e) => e.shadowRoot).find((root) => root?.querySelector('.viewer'))"
# First to the frame after the one in which the radiographs of another case are named and decoded, then until the page
# agrees with them.
NEXT = f"""(key) => new Promise((done) => {{
    const room = () => {FIND}?.querySelector('.viewer'), before = room().dataset.case;
    const start = performance.now();
    document.body.dispatchEvent(new KeyboardEvent('keydown', {{key, code: key.length > 1 ? key : 'Digit' + key,
        keyCode: {{ArrowRight: 39}}[key] ?? key.charCodeAt(0), bubbles: true, composed: true}}));
    const look = async () => {{
        const now = room();
        if (!now || now.dataset.case === before) return requestAnimationFrame(look);
        await Promise.all([...now.querySelectorAll('.films img')].map((image) => image.decode()));
        requestAnimationFrame(() => {{
            const drawn = performance.now() - start;
            const answered = () => {{
                const keys = [...document.querySelectorAll('[class*="st-key-enter_"]')];
                const all = keys.length && keys.every((e) => e.className.includes(now.dataset.case));
                if (all && !document.body.dataset.waiting) done([drawn, performance.now() - start]);
                else requestAnimationFrame(answered);
            }};
            answered();
        }});
    }};
    look();
}})"""


def row(what: str, n: int, values, unit: str, peer: str = "", ratios=None, lost: str = "") -> dict:
    """One row of results. A ratio above 1 means that ours is faster."""
    values = np.asarray(values)
    told = [f"{pick(ratios):.3g}" if ratios is not None else "" for pick in (np.median, np.min, np.max)]
    return {
        "date": datetime.date.today().isoformat(), "what": what, "n": n, "turns": len(values),
        "median": f"{np.median(values):.4g}", "p95": f"{np.percentile(values, 95):.4g}",
        "worst": f"{values.max():.4g}", "unit": unit, "peer": peer, "ratio_median": told[0], "ratio_min": told[1],
        "ratio_max": told[2], "lost": lost, "load": f"{os.getloadavg()[0]:.1f}", "hardware": hardware(),
        "versions": ", ".join(f"{name} {version(name)}" for name in ("streamlit", "sqlalchemy", "numpy", "pandas"))
        + f", Python {platform.python_version()}",
    }  # fmt: skip


def prepare(home: Path) -> int:
    """Make a set of 15,000 scored studies with feature vectors. Returns its number of radiographs."""
    write_phantoms(home / "phantoms", 250, 7)
    indexed = build_index(home / "phantoms" / "MURA-v1.1")
    frame, parts, studies = indexed.frame, [], 0
    while studies < STUDIES:
        turn = len(parts)
        part = frame.assign(
            **{name: frame[name] + f"/{turn:03}" for name in ("image_id", "study_id", "patient_id", "group_id")}
        )
        studies += part["study_id"].nunique()
        parts.append(part)
    whole = pd.concat(parts, ignore_index=True)
    whole = whole[whole["study_id"].isin(whole["study_id"].unique()[:STUDIES])].reset_index(drop=True)
    whole.attrs = frame.attrs
    dataset, checkpoint = write_dataset("archive", replace(indexed, frame=whole)), list_checkpoints()[0][0]
    random = np.random.default_rng(0)
    names, place = np.unique(whole["study_id"], return_inverse=True)
    logit = 2 * whole["label"] - 1 + 1.5 * random.normal(size=len(names))[place] + 0.2 * random.normal(size=len(whole))
    # All studies are in one split, so that the list is as long as the set.
    scores = whole.assign(logit=logit, split="valid", checkpoint=checkpoint.reference, dataset=dataset.reference)
    store_predictions(scores[list(PREDICTIONS)])
    vectors, rows = embeddings_files(source_of(checkpoint, dataset))
    vectors.parent.mkdir(parents=True)
    np.save(vectors, unit(random, len(whole), 512))
    whole.assign(split="train")[list(ROWS)].to_parquet(rows)
    return len(whole)


def unit(random, n: int, width: int) -> np.ndarray:
    """Draw n random directions, float32 [n, width]."""
    vectors = random.normal(size=(n, width)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def next_cases(browser, address: str, turns: int) -> dict[str, list[list[float]]]:
    """Milliseconds to the next case drawn and to the page answered, by the arrow and by a verdict."""
    page = open_case(browser, address, "Ana")
    for _ in range(3):
        page.evaluate(NEXT, "ArrowRight")
        settle(page)
    found = {}
    for key in ("ArrowRight", "1"):
        found[key] = []
        for _ in range(turns):
            found[key].append(page.evaluate(NEXT, key))
            # A reader reads before continuing; the case after this one is sent and decoded meanwhile.
            settle(page)
    page.context.close()
    return found


def open_case(browser, address: str, name: str):
    """Open the first of all missed cases in a separate browser context."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme="dark")
    page = context.new_page()
    page.add_init_script(f"localStorage.setItem('overread.reviewer', '{name}')")
    page.goto(f"{address}/errors?data=archive&split=valid&threshold=0.9")
    page.wait_for_function("() => document.querySelector('.st-key-reader')?.innerText")
    settle(page)
    page.locator(".gallery a.card").first.click()
    page.wait_for_selector(".viewer .films img")
    settle(page)
    return page


def together(browser, address: str, people: int, turns: int) -> list[list[float]]:
    """The same while `people` readers enter verdicts at once, each in a separate session."""
    pages = [open_case(browser, address, f"Reader {place}") for place in range(people)]
    starts = f"(key) => {{ window.next = ({NEXT})(key); }}"
    found = []
    for _ in range(turns):
        # All keys are pressed at once; then each session waits for its case.
        for page in pages:
            page.evaluate(starts, "1")
        found += [page.evaluate("() => window.next") for page in pages]
        for page in pages:
            settle(page)
    for page in pages:
        page.context.close()
    return found


def similar(width: int, bones: tuple[str, ...], n: int = 40_000, turns: int = 15) -> dict:
    """Time ours and scikit-learn's brute force, alternating, for one study of three radiographs each.

    Rows are stored by bone. The peer searches the same rows: the radiographs of the study's bone.
    """
    random = np.random.default_rng(width)
    study = np.arange(n) // 3
    place_of_bone = np.sort(study * len(bones) // (n // 3 + 1))
    rows = pd.DataFrame(
        {
            "image_id": [f"train/XR_HAND/patient{place}/image.png" for place in range(n)],
            "study_id": [f"train/hand/patient{place}/study1" for place in study],
            "group_id": [f"patient{place}" for place in study],
            "bone": np.array(bones)[place_of_bone],
            "label": (study % 3 == 0).astype(float),
            "split": "train",
        }
    )
    found = Embeddings(rows, unit(random, n, width))
    peers = {
        bone: NearestNeighbors(n_neighbors=40, metric="cosine", algorithm="brute").fit(
            found.vectors[rows["bone"] == bone]
        )
        for bone in bones
    }
    ours, theirs = [], []
    for turn in range(turns + 1):
        own = 3 * int(random.integers(0, n // 3 - 1))
        start = time.perf_counter()
        neighbours(found, rows["study_id"].iloc[own])
        middle = time.perf_counter()
        peers[rows["bone"].iloc[own]].kneighbors(found.vectors[own : own + 3])
        if turn:
            ours.append(1e3 * (middle - start))
            theirs.append(1e3 * (time.perf_counter() - middle))
    what = f"ten similar studies, features of width {width}, {len(bones)} {'bones' if len(bones) > 1 else 'bone'}"
    return row(what, n, ours, "ms", "scikit-learn, brute-force cosine", np.array(theirs) / np.array(ours))


def writers(url: str, name: str) -> list[dict]:
    """Latencies of twenty processes that each enter verdicts as fast as they can, from the call to the return."""
    code = (
        "import sys,time\nfrom core.review.store import Verdict, add_verdict, open_store\n"
        "url, who, n = sys.argv[1:]\nstore = open_store(url, timeout=60)\nprint('ready', flush=True)\n"
        "sys.stdin.readline()\n"
        "for i in range(int(n)):\n"
        "    start = time.perf_counter()\n"
        "    kept = add_verdict(store, Verdict('archive', f's{i}', who, 'cannot_tell'))\n"
        "    print(kept.id, time.perf_counter() - start, flush=True)\n"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, url, f"writer {place}", str(ENTRIES)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for place in range(WRITERS)
    ]  # fmt: skip
    for process in started:
        process.stdout.readline()
    start = time.perf_counter()
    for process in started:
        process.stdin.write("go\n")
        process.stdin.flush()
    lines = [line.split() for process in started for line in process.communicate()[0].splitlines()]
    seconds = time.perf_counter() - start
    from core.review.store import open_store, verdicts_table

    there = set(verdicts_table(open_store(url), "archive", history=True)["id"])
    lost = sum(line[0] not in there for line in lines)
    told = f"{lost} of {len(lines)}"
    return [
        row(
            f"a verdict kept, 20 writers at once, {name}",
            WRITERS,
            [1e3 * float(line[1]) for line in lines],
            "ms",
            lost=told,
        ),
        row(f"verdicts kept a second, 20 writers at once, {name}", WRITERS, [len(lines) / seconds], "1/s", lost=told),
    ]


def measure(home: Path, store: str, people: list[int], turns: int, only_pages: bool = False) -> Iterator[dict]:
    """Yield each row as soon as it is measured."""
    for width in () if only_pages else (192, 512, 1280, 2048):
        for bones in (MURA_BONES, ("hand",)):
            yield similar(width, bones)
    if not only_pages:
        yield from writers(f"sqlite:///{home / 'writers.sqlite'}", "SQLite")
    if store:
        yield from writers(store, "PostgreSQL")
    images = prepare(home)
    with serve(home) as address, chromium() as browser:
        found = next_cases(browser, address, turns)
        what = f"{STUDIES:,} studies, {images:,} radiographs"
        for key, by in (("ArrowRight", "the arrow"), ("1", "a verdict kept")):
            yield from stages(f"by {by}; {what}", found[key])
        for count in people:
            times = together(browser, address, count, max(4, turns // 5))
            yield from stages(f"by a verdict kept; {count} browsers press at once", times)


def stages(what: str, times: list[list[float]]) -> Iterator[dict]:
    """Return both rows of the next case."""
    drawn, answered = np.array(times).T
    yield row(f"next case drawn, {what}", STUDIES, drawn, "ms")
    yield row(f"page answered, {what}", STUDIES, answered, "ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--store", default="", help="postgresql://... of an empty database, for the writers")
    parser.add_argument("--people", type=int, nargs="*", default=[4, 20])
    parser.add_argument("--turns", type=int, default=40)
    parser.add_argument("--only-pages", action="store_true", help="only what is timed in the browser")
    asked = parser.parse_args()
    new = not RESULTS.exists()
    with tempfile.TemporaryDirectory() as folder, RESULTS.open("a", newline="") as file:
        os.environ["OVERREAD_HOME"] = folder
        writer = csv.DictWriter(file, FIELDS)
        if new:
            writer.writeheader()
        for found in measure(Path(folder), asked.store, asked.people, asked.turns, asked.only_pages):
            writer.writerow(found)
            file.flush()
            ratio = f", {found['ratio_median']} x {found['peer']}" if found["ratio_median"] else ""
            print(f"{found['what']}: {found['median']} {found['unit']} (p95 {found['p95']}){ratio} {found['lost']}")


if __name__ == "__main__":
    main()
