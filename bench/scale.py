"""How time and memory grow with the number of radiographs, ten times and a hundred times as many, and at a million.

Run: `python -m bench.scale [files|rows|pages|verdicts ...] [--sizes N ...]`. files: index, pixel cache and audit of
small PNG files. rows: index, scores, import and metrics of made-up rows without pixels. pages: a server on such rows,
opened over its WebSocket: the first visit and the later ones, each with another threshold. verdicts: entries of a
review database. Each measurement is a process of its own, so that its peak of memory is its own. Processor seconds
are those of the step alone, and of the server for a page: on a busy machine they say more than the clock. Rows are
appended to bench/results/scale.csv with the load of the machine.
"""

import argparse
import csv
import datetime
import multiprocessing
import os
import resource
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from bench.integrity import made_up_index, made_up_scores
from bench.thresholds import hardware
from dashboard import page_list
from hard.session import Session, cpu_seconds, process_of
from hard.workspace import MODEL, SHIPPED, enter
from tests.browser.server import serve

RESULTS = Path(__file__).parent / "results" / "scale.csv"
FIELDS = ("date", "what", "n", "seconds", "cpu_seconds", "peak_mb", "megabytes", "load", "hardware")
SIZES = {
    "files": (300, 3_000, 30_000),
    "rows": (10_000, 100_000, 1_000_000),
    "pages": (10_000, 100_000, 1_000_000),
    "verdicts": (1_000, 10_000, 100_000),
}
PAGES = tuple(page.name for page in page_list.PAGES if page.needs_data)
VISITS, OTHER = 5, "resnet-narrow-128"
Step = tuple[str, Callable[[], object]]


def main() -> None:
    """Measure the named parts, print each row and keep it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("parts", nargs="*", help=f"by default all: {', '.join(SIZES)}")
    parser.add_argument("--sizes", type=int, nargs="*")
    given = parser.parse_args()
    for part in given.parts or SIZES:
        for n in given.sizes or SIZES[part]:
            with tempfile.TemporaryDirectory(prefix="overread-scale-") as folder:
                home = enter(Path(folder))
                for row in pages(home, n) if part == "pages" else steps(part, home, n):
                    keep(row, n)


def keep(row: dict, n: int) -> None:
    """Print a row and append it."""
    row = {"date": datetime.date.today().isoformat(), "n": n, "load": f"{os.getloadavg()[0]:.1f}", **row}
    row["hardware"] = hardware()
    new = not RESULTS.exists()
    with RESULTS.open("a", newline="") as file:
        writer = csv.DictWriter(file, FIELDS)
        if new:
            writer.writeheader()
        writer.writerow(row)
    clock, memory = f"{row['seconds']} s ({row['cpu_seconds']} s of processor)", row.get("peak_mb", "")
    print(f"{row['what']}, {n:,}: {clock}{f', peak {memory} MB' if memory else ''}, load {row['load']}", flush=True)


def steps(part: str, home: Path, n: int) -> Iterator[dict]:
    """Each step of a part in a process of its own, in order."""
    for place, name in enumerate(NAMES[part]):
        context = multiprocessing.get_context("spawn")
        reading, writing = context.Pipe(duplex=False)
        process = context.Process(target=timed_step, args=(part, place, str(home), n, writing))
        process.start()
        writing.close()
        seconds, cpu, peak = reading.recv()
        process.join()
        size = sum(file.stat().st_size for file in home.rglob("*") if file.is_file()) / 1e6
        yield {
            "what": name,
            "seconds": f"{seconds:.3g}",
            "cpu_seconds": f"{cpu:.3g}",
            "peak_mb": f"{peak:.0f}",
            "megabytes": f"{size:.1f}",
        }


def timed_step(part: str, place: int, home: str, n: int, answer) -> None:
    """Run one step and send its seconds and the peak of memory in MB."""
    work = STEPS[part](enter(Path(home)), n)[place][1]
    start, began = time.perf_counter(), time.process_time()
    work()
    seconds, cpu = time.perf_counter() - start, time.process_time() - began
    answer.send((seconds, cpu, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


def of_files(home: Path, n: int) -> list[Step]:
    """Small PNG files, none like another, in MURA's layout."""
    from core.audit.audit import run_audit
    from core.data.cache import pixel_cache
    from core.data.index import build_index, read_dataset, read_index, write_dataset
    from core.data.input_spec import InputSpec

    root = home / "MURA-v1.1"
    return [
        ("write the files", lambda: write_files(root, n)),
        ("index files", lambda: write_dataset("set", build_index(root))),
        ("index them again", lambda: write_dataset("set", build_index(root))),
        ("pixel cache, 64 px", lambda: pixel_cache(read_dataset("set"), read_index("set"), InputSpec(64))),
        ("audit", lambda: run_audit(read_dataset("set"))),
    ]


def write_files(root: Path, n: int) -> None:
    from PIL import Image

    random = np.random.default_rng(n)
    for number in range(n):
        split = "valid" if number % 15 < 3 else "train"
        name = f"patient{number // 3:06}/study1_{'positive' if number // 3 % 3 == 0 else 'negative'}"
        file = root / split / "XR_WRIST" / name / f"image{number % 3 + 1}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        coarse = random.integers(0, 255, (8, 8)).astype(np.uint8)
        Image.fromarray(coarse).resize((64, 80), Image.Resampling.BICUBIC).save(file, compress_level=1)


def of_rows(home: Path, n: int) -> list[Step]:
    """Rows without pixels."""
    from core.data.datasets import read_index
    from core.scores.import_frame import Columns
    from core.scores.stored_scores import read_predictions
    from core.workflows.import_scores import import_scores

    def scores():
        from core.data.datasets import read_dataset
        from core.scores.source import find_source

        return read_predictions(find_source(MODEL, read_dataset("set")))

    def evaluated() -> object:
        from core.metrics.evaluation import evaluate

        return evaluate(scores())

    columns = Columns("label", "p", "study_id", "image_id", "patient_id", "bone", "split")
    return [
        ("write an index and scores", lambda: write_rows(home, n)),
        ("read the index", lambda: read_index("set")),
        ("read the scores", scores),
        ("metrics with intervals", evaluated),
        ("import scores from CSV", lambda: import_scores(home / "scores.csv", "outside", columns)),
    ]


def write_rows(home: Path, n: int) -> None:
    """An index, scores of a model, and the same scores as CSV."""
    from core.data.index import IndexResult, read_dataset, write_dataset
    from core.models.checkpoint import read_checkpoint
    from core.schema import MURA_BONES
    from core.scores.predictions import store_predictions

    index = made_up_index(n)
    index["bone"] = np.array(MURA_BONES)[np.arange(n) // 3 % len(MURA_BONES)]
    write_dataset("set", IndexResult(index, home, home, "manifest"))
    if not (home / "checkpoints" / MODEL).exists():
        shutil.copytree(SHIPPED, home / "checkpoints" / MODEL)
    dataset, checkpoint = read_dataset("set"), read_checkpoint(MODEL)
    scores = made_up_scores(index).assign(checkpoint=checkpoint.reference, dataset=dataset.reference)
    store_predictions(scores)
    # Another model on the same rows, for Compare.
    other = read_checkpoint(OTHER)
    noise = np.random.default_rng(2).normal(scale=0.5, size=n)
    store_predictions(scores.assign(checkpoint=other.reference, logit=scores["logit"] + noise))
    wanted = scores[["image_id", "study_id", "patient_id", "bone", "label", "split"]]
    wanted.assign(p=1 / (1 + np.exp(-scores["logit"]))).to_csv(home / "scores.csv", index=False)


def of_verdicts(home: Path, n: int) -> list[Step]:
    """Entries of seven readers."""
    from core.review.database import transaction
    from core.review.store import Verdict, add_verdict, entries_table, insert_entry, open_store
    from core.review.vocabulary import checked
    from core.workflows.verify_verdicts import verify_verdicts

    def write() -> None:
        store = open_store()
        for start in range(0, n, 10_000):
            with transaction(store, write=True) as connection:
                for number in range(start, min(n, start + 10_000)):
                    entry = checked(Verdict("set", f"s{number % 900}", f"r{number % 7}", reading="abnormal"))
                    insert_entry(connection, {**vars(entry), "action": "verdict"})

    def one() -> None:
        add_verdict(open_store(), Verdict("set", "one more", "r1", reading="normal"))

    return [
        ("write verdicts", write),
        ("open the database and add a verdict", one),
        ("read every verdict", lambda: entries_table(open_store(), "set")),
        ("verify the chain of hashes", lambda: verify_verdicts(open_store())),
    ]


STEPS: dict[str, Callable[[Path, int], list[Step]]] = {"files": of_files, "rows": of_rows, "verdicts": of_verdicts}
NAMES = {part: [name for name, _ in make(Path(), 0)] for part, make in STEPS.items()}


def pages(home: Path, n: int) -> Iterator[dict]:
    """Open each page in a session of its own: the first visit, and the median of later ones at other thresholds."""
    write_rows(home, n)
    draw = np.random.default_rng(n)
    with serve(home) as address:
        server = process_of(address.rpartition(":")[2])
        for page in PAGES:
            with Session(address, limit=900) as session:
                seconds, cpu = [], []
                for _ in range(VISITS + 1):
                    before = cpu_seconds(server)
                    query = {"data": "set", "model": MODEL, "threshold": f"{draw.uniform(0.2, 0.8):.3f}"}
                    turn = session.open("" if page == "overview" else page, query)
                    if turn.exception:
                        raise RuntimeError(f"{page}: {turn.exception}")
                    seconds.append(turn.seconds)
                    cpu.append(cpu_seconds(server) - before)
            for name, part in (("first visit", slice(0, 1)), ("later visits", slice(1, None))):
                found = {"seconds": np.median(seconds[part]), "cpu_seconds": np.median(cpu[part])}
                yield {"what": f"page {page}, {name}", **{key: f"{value:.3g}" for key, value in found.items()}}


if __name__ == "__main__":
    main()
