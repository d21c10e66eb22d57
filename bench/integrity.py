"""What it costs to compare files with their checksums before they are believed.

Run: `python -m bench.integrity [ROWS [ENTRIES]]`. The peer of each row is the same work without the comparison. The
workspace is made in a temporary folder. Rows are appended to bench/results/integrity.csv. Opening counts as in a new
process: what was compared before is forgotten for each round.
"""

import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd

from bench.pairs import Case, keep, measure
from core import checksums, parquet_files
from core.data import pixel_store
from core.data.datasets import read_index
from core.data.index import IndexResult, write_dataset
from core.parquet_files import read_parquet, write_parquet
from core.review import chain
from core.review.database import transaction
from core.review.store import Verdict, entries_table, insert_entry, open_store
from core.review.vocabulary import checked

COMMAND, SIDE, STORED = "python -m bench.integrity", 64, 10_000
_EVALUATE = """
import sys
from core import parquet_files
if {plain}:
    parquet_files.check_file = lambda path: False
from core.__main__ import app
app(["evaluate", {file!r}, "--split", "valid"], standalone_mode=False)
"""


def main(rows: str = "40000", entries: str = "5000") -> None:
    with tempfile.TemporaryDirectory() as home:
        os.environ["OVERREAD_HOME"] = home
        index = made_up_index(int(rows))
        write_dataset("set", IndexResult(index, Path(home), Path(home), "manifest"))
        scores = write_parquet(Path(home) / "predictions" / "set" / "model.parquet", made_up_scores(index))
        folder = Path(home) / "cache" / "set" / f"pad{SIDE}"
        fill_cache(folder, index["sha1"].head(STORED))
        cases = [
            Case("open an index", len(index), "without checksums", opened_index, plain(opened_index), same=same_table),
            Case("open scores", len(index), "without checksums", lambda: opened(scores), plain(lambda: opened(scores)),
                 same=same_table),
            Case("evaluate scores, whole command", len(index), "without checksums", lambda: evaluate(scores, False),
                 lambda: evaluate(scores, True), same=lambda ours, theirs: None),
            Case(f"first use of the pixels of an epoch, {SIDE} px", STORED, "without checksums",
                 lambda: epoch(folder, True), lambda: epoch(folder, False)),
            verdicts_case(int(entries)),
        ]  # fmt: skip
        for case in cases:
            rounds = 3 if "command" in case.what else 9
            keep([measure(case, COMMAND, ("numpy", "pandas", "pyarrow"), rounds)], "integrity.csv")


def made_up_index(count: int) -> pd.DataFrame:
    """INDEX of made-up radiographs, three a study."""
    random, number = np.random.default_rng(0), np.arange(count)
    study = pd.Series(number // 3).map("study{:06}".format)
    names = pd.Series(number).map("train/wrist/image{:06}.png".format)
    return pd.DataFrame({
        "image_id": names, "path": names, "study_id": study, "patient_id": study, "group_id": study, "bone": "wrist",
        "view": pd.Series([None] * count, dtype="str"), "label": (number // 3 % 3 == 0).astype(float),
        "split": np.where(number // 3 % 5 == 0, "valid", "train"), "fold": 0, "width": 300, "height": 400,
        "bytes": random.integers(10_000, 90_000, count),
        "sha1": [f"{one:040x}" for one in range(1 << 150, (1 << 150) + count)],
    })  # fmt: skip


def made_up_scores(index: pd.DataFrame) -> pd.DataFrame:
    """PREDICTIONS with scores that know the label a little."""
    logit = np.random.default_rng(1).normal(size=len(index)) + index["label"]
    names = ["image_id", "path", "study_id", "patient_id", "group_id", "bone", "view", "label", "split"]
    return index[names].assign(logit=logit, checkpoint="model@00000000", dataset="set@00000000")


def fill_cache(folder: Path, hashes: pd.Series) -> None:
    """A pixel cache of noise."""
    writer, random = pixel_store.Writer(folder, SIDE), np.random.default_rng(2)
    for sha1 in hashes:
        writer.add(sha1, random.integers(0, 255, (SIDE, SIDE)).astype(np.uint8))
    writer.commit()
    writer.close()


@contextmanager
def without_checksums():
    """Files are read without being compared."""
    check = parquet_files.check_file
    parquet_files.check_file = lambda path: False
    try:
        yield
    finally:
        parquet_files.check_file = check


def plain(work):
    """The same work without checksums."""

    def done():
        with without_checksums():
            return work()

    return done


def opened_index() -> pd.DataFrame:
    checksums._compared.clear()
    return read_index("set")


def opened(file: Path) -> pd.DataFrame:
    checksums._compared.clear()
    return read_parquet(file)


def same_table(ours: pd.DataFrame, theirs: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(ours, theirs)


def evaluate(file: Path, unchecked: bool) -> None:
    script = _EVALUATE.format(plain=unchecked, file=str(file))
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)


def epoch(folder: Path, compare: bool) -> float:
    """Every row once, in a drawn order, as floats: what a training step asks for, without the step."""
    pixel_store._compared.clear()
    stored = pixel_store.load(folder, SIDE)
    rows, total = np.random.default_rng(3).permutation(len(stored.pixels)), 0.0
    if compare:
        assert not len(stored.damaged(rows))
    for part in np.array_split(rows, len(rows) // 64):
        total += float((stored.pixels[np.sort(part)].astype(np.float32) / 255).mean())
    return total


def verdicts_case(count: int) -> Case:
    """Read every entry of a review database."""
    store = open_store()
    with transaction(store, write=True) as connection:
        for number in range(count):
            entry = checked(Verdict("set", f"study{number % 900:06}", f"reader{number % 7}", reading="abnormal"))
            insert_entry(connection, {**vars(entry), "action": "verdict"})

    def unchecked() -> pd.DataFrame:
        check, chain.check_entries = chain.check_entries, lambda connection, rows: None
        try:
            return entries_table(store, "set")
        finally:
            chain.check_entries = check

    return Case("read every verdict", count, "without the chain", lambda: entries_table(store, "set"), unchecked,
                same=same_table)  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])
