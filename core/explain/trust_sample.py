"""A sample of a data set's radiographs with what is known of them: scores and files' hashes."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from core.data.cache import pixel_cache
from core.data.findings import Findings
from core.data.index import Dataset, read_index
from core.data.input_spec import InputSpec
from core.errors import OverreadError
from core.explain.cohort import judge_cohort, sample_rows
from core.metrics.ranking import auroc
from core.metrics.studies import labelled, study_table
from core.models.checkpoint import Checkpoint
from core.scores.classifier import load_classifier
from core.scores.loading import split_scores

# So many radiographs make a mean radiograph; more of them no longer move it by a grey level.
MEAN_OF = 500


def judge_sample(
    checkpoint: Checkpoint,
    dataset: Dataset,
    split: str,
    count: int,
    methods: tuple[str, ...],
    device: str = "",
    progress: Callable[[int, int, str], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> pd.DataFrame:
    """`judge_cohort` over up to `count` radiographs of a split, beside the network's AUROC."""
    scores, _ = split_scores(str(checkpoint.folder), dataset.name, split, progress)
    index = read_index(dataset.name).set_index("image_id")
    rows = sample_rows(scores[scores["image_id"].isin(index.index)], count)
    if rows.empty:
        raise OverreadError(f"The split {split} of {dataset.name} holds no labelled radiograph; choose another split.")
    rows = rows.assign(sha1=rows["image_id"].map(index["sha1"]))
    findings = Findings.of(dataset)
    return judge_cohort(
        checkpoint,
        load_classifier(checkpoint, device),
        rows,
        lambda row: checkpoint.input_spec.pixels(f"{dataset.root}/{row['path']}"),
        methods,
        study_auroc(scores) if split != "train" else known_auroc(checkpoint, dataset, split, progress),
        lambda row: findings.mask(row["image_id"], checkpoint.input_spec),
        progress,
        cancelled,
    )


def known_auroc(
    checkpoint: Checkpoint, dataset: Dataset | None = None, split: str = "", progress=None
) -> tuple[float, float] | None:
    """The network's study AUROC and its lower bound on studies it has not learned from; None where none is known.

    On a data set, which is scored where it was not, on `split`, or on valid where that is train; else as its training
    found on the studies that chose its epoch.
    """
    if dataset:
        split = "" if split == "train" else split
        return study_auroc(split_scores(str(checkpoint.folder), dataset.name, split, progress)[0])
    history, epoch = checkpoint.history(), checkpoint.manifest.get("epoch")
    if not {"epoch", "tune_auroc", "tune_auroc_low"} <= set(history) or epoch not in set(history["epoch"]):
        return None
    kept = history[history["epoch"] == epoch].iloc[-1]
    return float(kept["tune_auroc"]), float(kept["tune_auroc_low"])


def study_auroc(scores: pd.DataFrame) -> tuple[float, float]:
    """AUROC over studies and its lower bound, of PREDICTIONS; NaN where it cannot be estimated."""
    known = labelled(study_table(scores))
    found = auroc(known["score"], known["label"])
    return found.value, found.low


def mean_radiograph(dataset: Dataset, spec: InputSpec, progress=None) -> np.ndarray:
    """The mean of up to 500 radiographs of a data set, always the same ones, uint8 [size, size]: a baseline."""
    index = read_index(dataset.name).drop_duplicates("sha1").sort_values("sha1").head(MEAN_OF)
    cache = pixel_cache(dataset, index, spec, progress)
    rows = cache.rows_of(index["image_id"])
    if not (rows >= 0).any():
        raise OverreadError(f"No radiograph of {dataset.name} can be decoded for a mean; choose black or blur.")
    return cache.pixels[rows[rows >= 0]].mean(0).round().astype(np.uint8)
