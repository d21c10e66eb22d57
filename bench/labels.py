"""Measure how well each order finds labels flipped on purpose: precision at k, compared with a random order.

`python -m bench.labels PREDICTIONS.parquet` flips labels of the valid studies of any scores in four ways, 20 times
each, and prints how many of them each order puts first. `python -m bench.labels` draws phantoms with known flipped
labels, with a seed that no checkpoint learned from. The shipped checkpoints score them, by their own scores and by
logistic regression on their frozen features with folds by patient. Orders: noise rate, self-confidence, self-confidence
minus its mean for the label, and cleanlab's normalized margin. A random order's precision is the share of flipped
labels. Rows are appended to bench/results/labels.csv.
"""

import csv
import datetime
import os
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

from bench.thresholds import hardware
from core.data.index import build_index, read_index, write_dataset
from core.models.checkpoint import list_checkpoints
from core.phantom import write_phantoms
from core.review.label_issues import ORDERS, frame_from_features, out_of_fold_frame, precision_at, rank_suspects
from core.scores.embeddings import compute_embeddings
from core.scores.predict import predict
from core.scores.predictions import read_file
from core.scores.source import source_of

RESULTS = Path(__file__).parent / "results" / "labels.csv"
FIELDS = (
    "date",
    "scores",
    "order",
    "studies",
    "flipped",
    "k",
    "found",
    "precision",
    "random",
    "ratio",
    "hardware",
    "versions",
)
PATIENTS, SEED, KS = 700, 4321, (10, 25, 50, 100)
FLIPPED, DRAWS = 34, 20


def orders(frame: pd.DataFrame) -> dict[str, pd.Series]:
    """Study ids by order, the most suspicious first."""
    found = {name: rank_suspects(frame, name)["study_id"] for name in ORDERS[:3]}
    try:
        from cleanlab.rank import get_normalized_margin_for_each_label
    except ImportError:
        return found
    score = frame["score"].to_numpy()
    key = get_normalized_margin_for_each_label(frame["label"].to_numpy(int), np.stack([1 - score, score], axis=1))
    return found | {"cleanlab, normalized margin": frame["study_id"].iloc[np.argsort(key, kind="stable")]}


def flip_and_find(file: Path) -> None:
    """Flip labels of the valid studies of a file in four ways; print medians over DRAWS of the number found."""
    known = out_of_fold_frame(read_file(file).query("split == 'valid'"))
    truth = known["label"].to_numpy()
    abnormal, normal, everyone = np.flatnonzero(truth == 1), np.flatnonzero(truth == 0), np.arange(len(truth))
    ways = {
        f"{FLIPPED} of all": [(everyone, FLIPPED)],
        f"{FLIPPED // 2} abnormal called normal": [(abnormal, FLIPPED // 2)],
        f"{FLIPPED // 2} normal called abnormal": [(normal, FLIPPED // 2)],
        f"{FLIPPED // 2} of each": [(abnormal, FLIPPED // 2), (normal, FLIPPED // 2)],
    }
    for way, parts in ways.items():
        found = {order: [] for order in ORDERS[:3]}
        for seed in range(DRAWS):
            random = np.random.default_rng(seed)
            wrong = np.concatenate([random.choice(rows, count, replace=False) for rows, count in parts])
            label = truth.copy()
            label[wrong] = 1 - label[wrong]
            names = set(known["study_id"].to_numpy()[wrong])
            for order, hits in found.items():
                first = rank_suspects(known.assign(label=label), order)["study_id"].head(len(wrong))
                hits.append(int(first.isin(names).sum()))
        counts = ", ".join(f"{order} {np.median(hits):g} ({min(hits)}-{max(hits)})" for order, hits in found.items())
        print(f"{way}: of {len(wrong)} in {len(known)} studies, {counts}, by chance {len(wrong) ** 2 / len(known):.1f}")


def main() -> None:
    if len(sys.argv) > 1:
        flip_and_find(Path(sys.argv[1]))
        return
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        os.environ["OVERREAD_HOME"] = folder
        write_phantoms(Path(folder) / "phantoms", PATIENTS, SEED)
        dataset = write_dataset("planted", build_index(Path(folder) / "phantoms" / "MURA-v1.1"))
        index = read_index("planted")
        truth = pd.read_parquet(Path(dataset.root) / "truth.parquet").set_index("image_id")["label_flipped"]
        flipped = set(index.loc[index["image_id"].map(truth).fillna(False).astype(bool), "study_id"])
        for checkpoint in list_checkpoints()[0]:
            # No checkpoint has learned from these, so every split counts as valid.
            scores = predict(source_of(checkpoint, dataset), sorted(set(index["split"]))).assign(split="valid")
            frames = {
                checkpoint.name: out_of_fold_frame(scores),
                f"{checkpoint.name}, frozen features": frame_from_features(
                    compute_embeddings(source_of(checkpoint, dataset))
                ),
            }
            for name, frame in frames.items():
                for order, ids in orders(frame).items():
                    for row in precision_at(ids.isin(flipped).to_numpy(), KS).itertuples():
                        rows.append(
                            {
                                "date": datetime.date.today().isoformat(), "scores": name, "order": order,
                                "studies": len(frame), "flipped": int(frame["study_id"].isin(flipped).sum()),
                                "k": row.k, "found": row.found, "precision": f"{row.precision.value:.3f}",
                                "random": f"{row.random:.3f}", "ratio": f"{row.precision.value / row.random:.2f}",
                                "hardware": hardware(),
                                "versions": f"scikit-learn {version('scikit-learn')}, numpy {version('numpy')}",
                            }
                        )  # fmt: skip
    new = not RESULTS.exists()
    with RESULTS.open("a", newline="") as file:
        writer = csv.DictWriter(file, FIELDS)
        if new:
            writer.writeheader()
        writer.writerows(rows)
    for row in rows:
        print(f"{row['scores']}, {row['order']}, first {row['k']}: {row['found']} flipped, {row['ratio']} x random")


if __name__ == "__main__":
    main()
