"""Score 10,000 and 100,000 radiographs: radiographs a second and peak memory, beside the usual loops.

Run: `python -m bench.score_archive FOLDER [ROWS ...]`. An index of ROWS radiographs that refers to 2,000 made-up
pictures (bench.archive, 80 to 112 px) is scored by an untrained small_cnn of width 4 at 64 px. Each measurement is a
process of its own, so peak memory is that of the whole process, torch included; seconds do not count imports. One row
each is appended to bench/results/archive.csv:

- `score_table`: what `python -m core predict` runs, into shards, with the hash of each file checked;
- `DataLoader`: two workers with Pillow, batches of 256, all scores kept in a list;
- `loop`: Pillow and the network in turn, batches of 256;
- `network alone`: the same network on batches that are decoded already.
"""

import csv
import datetime
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from bench.archive import write_archive
from bench.pairs import RESULTS, hardware

FILES, SIDES, SIZE, BATCH = 2_000, (80, 112), 64, 256
NETWORK = {"width": 4, "hidden": 8}
PACKAGES = ("torch", "pandas", "pyarrow", "pillow")


def main(folder: str, *rows: str) -> None:
    root = write_archive(Path(folder), FILES, SIDES)
    os.environ["OVERREAD_HOME"] = str(Path(folder) / "home")
    for count in map(int, rows or ("10000", "100000")):
        prepare(root, count)
        for what in ("score_table", "DataLoader", "loop", "network alone"):
            if what == "score_table" or count <= 10_000:
                keep(measured(what, folder, count))


def prepare(root: Path, rows: int) -> None:
    """An index of so many rows, each with ids of its own, and the network."""
    import torch

    from core.data.index import build_index, write_dataset
    from core.models.checkpoint import begin_checkpoint, save_weights
    from core.models.networks import build
    from core.paths import own_checkpoints
    from core.training.recipe import Recipe

    found = build_index(root)
    times = -(-rows // len(found.frame))
    parts = []
    for turn in range(times):
        part = found.frame.copy()
        for name in ("image_id", "study_id", "patient_id", "group_id"):
            part[name] = f"{turn}/" + part[name]
        parts.append(part)
    frame = pd.concat(parts, ignore_index=True).head(rows)
    write_dataset(f"archive-{rows}", replace(found, frame=frame))
    recipe = Recipe("bench", "small_cnn", NETWORK, size=SIZE)
    torch.manual_seed(0)
    learned = pd.DataFrame(columns=["sha1", "part"], dtype="str")
    manifest = begin_checkpoint(own_checkpoints() / "bench", recipe.to_json(), recipe.input_spec(), learned)
    save_weights(own_checkpoints() / "bench", manifest, build("small_cnn", NETWORK).state_dict())


def measured(what: str, folder: str, rows: int) -> dict:
    """Run one way of scoring in a process of its own."""
    child = subprocess.Popen(
        [sys.executable, "-m", "bench.score_archive", "--one", what, str(rows)], stdout=subprocess.PIPE, text=True
    )
    printed = child.stdout.read()
    _, status, used = os.wait4(child.pid, 0)
    if status:
        raise SystemExit(f"{what} ended with status {status}")
    facts = json.loads(printed.splitlines()[-1])
    versions = [f"{name} {importlib.metadata.version(name)}" for name in PACKAGES]
    return {
        "date": datetime.date.today().isoformat(),
        "what": what,
        "rows": rows,
        "radiographs_per_second": round(facts["scored"] / facts["seconds"], 1),
        "seconds": round(facts["seconds"], 1),
        "cpu_seconds": round(facts["cpu_seconds"], 1),
        "peak_mb": round(used.ru_maxrss / 1024),
        "before_mb": facts["before_mb"],
        "load": f"{os.getloadavg()[0]:.1f}",
        "hardware": hardware(),
        "versions": ", ".join([f"Python {platform.python_version()}", *versions]),
        "command": "python -m bench.score_archive FOLDER",
    }


def one(what: str, rows: str) -> None:
    """Score, and print how many radiographs, seconds, and the memory after imports."""
    import resource
    import shutil

    import torch  # noqa: F401

    from core.data.datasets import read_dataset
    from core.models.checkpoint import read_checkpoint
    from core.scores.classifier import load_classifier
    from core.scores.score_table import ScoringOrder, score_table
    from core.scores.source import source_of

    dataset, checkpoint = read_dataset(f"archive-{rows}"), read_checkpoint("bench")
    classifier = load_classifier(checkpoint, "cpu")
    shutil.rmtree(source_of(checkpoint, dataset).scores_file, ignore_errors=True)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    started, used = time.perf_counter(), time.process_time()
    if what == "score_table":
        scored = score_table(
            ScoringOrder(source_of(checkpoint, dataset), device="cpu", shard_rows=2_048), classifier=classifier
        ).rows
    else:
        scored = {"DataLoader": by_loader, "loop": by_loop, "network alone": alone}[what](dataset, classifier)
    seconds, children = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = time.process_time() - used + children.ru_utime + children.ru_stime
    print(json.dumps({"scored": scored, "seconds": seconds, "cpu_seconds": cpu, "before_mb": before}))


def square(file: str) -> np.ndarray:
    """A picture as the usual code reads it: grey, letterboxed."""
    from PIL import Image, ImageOps

    with Image.open(file) as image:
        return np.array(ImageOps.pad(image.convert("L"), (SIZE, SIZE)))


class Files:
    """The pictures of an index for a DataLoader; a file that cannot be read is black."""

    def __init__(self, files: list[str]):
        self.files = files

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, place: int) -> np.ndarray:
        try:
            return square(self.files[place])
        except OSError:
            return np.zeros((SIZE, SIZE), np.uint8)


def files_of(dataset) -> Files:
    from core.data.datasets import read_index

    return Files([str(Path(dataset.root) / path) for path in read_index(dataset.name)["path"]])


def by_loader(dataset, classifier) -> int:
    from torch.utils.data import DataLoader

    loader = DataLoader(files_of(dataset), BATCH, num_workers=2)
    return sum(len(classifier.logits(batch.numpy(), BATCH)) for batch in loader)


def by_loop(dataset, classifier) -> int:
    files, done = files_of(dataset), 0
    for start in range(0, len(files), BATCH):
        batch = np.stack([files[place] for place in range(start, min(start + BATCH, len(files)))])
        done += len(classifier.logits(batch, BATCH))
    return done


def alone(dataset, classifier) -> int:
    files, done = files_of(dataset), 0
    batch = np.stack([files[place] for place in range(BATCH)])
    for _ in range(0, len(files), BATCH):
        done += len(classifier.logits(batch, BATCH))
    return done


def keep(row: dict) -> None:
    """Append the row to bench/results/archive.csv and print it."""
    file = RESULTS / "archive.csv"
    new = not file.exists()
    with file.open("a", newline="") as opened:
        writer = csv.DictWriter(opened, fieldnames=list(row))
        if new:
            writer.writeheader()
        writer.writerow(row)
    print(
        f"{row['what']}, {row['rows']:,} rows: {row['radiographs_per_second']} radiographs/s, "
        f"{row['seconds']} s, peak {row['peak_mb']} MB ({row['before_mb']} MB before)",
        flush=True,
    )


if __name__ == "__main__":
    if sys.argv[1] == "--one":
        one(*sys.argv[2:])
    else:
        main(*sys.argv[1:])
