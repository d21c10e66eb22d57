"""Checks of maps on a sample of a data set, the network's own AUROC, and the data set's mean radiograph."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from core.data.abnormality_masks import AbnormalityMasks
from core.data.cache import pixel_cache
from core.data.index import Dataset, read_index
from core.data.input_spec import InputSpec
from core.errors import OverreadError
from core.explain.cohort import Cohort, check_cohort, sample_rows
from core.metrics.ranking import auroc
from core.metrics.studies import labelled, study_table
from core.models.checkpoint import Checkpoint
from core.scores.classifier import load_classifier
from core.scores.loading import split_scores
from core.scores.source import Source

# The number of radiographs in a mean radiograph; more of them no longer move it by a grey level.
MEAN_OF = 500


def check_sample(
    source: Source,
    split: str,
    count: int,
    methods: tuple[str, ...],
    device: str = "",
    progress: Callable[[int, int, str], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> pd.DataFrame:
    """Return the rows of `check_cohort` over up to `count` radiographs of a split, with the network's AUROC."""
    checkpoint, dataset = source.model, source.dataset
    if not isinstance(checkpoint, Checkpoint) or dataset is None:
        raise OverreadError(
            f"{source.name} has no network or no data set, which checks of maps need; choose a checkpoint and pass "
            "--data NAME.",
            code="network-missing",
        )
    scores, _ = split_scores(str(checkpoint.folder), dataset.name, split, progress)
    index = read_index(dataset.name).set_index("image_id")
    rows = sample_rows(scores[scores["image_id"].isin(index.index)], count)
    if rows.empty:
        raise OverreadError(
            f"The split {split} of {dataset.name} has no labelled radiograph; choose another split.",
            code="split-without-labels",
        )
    spec, findings = checkpoint.input_spec, AbnormalityMasks.of(dataset)
    cohort = Cohort(
        rows.assign(sha1=rows["image_id"].map(index["sha1"])),
        lambda row: spec.pixels(f"{dataset.root}/{row['path']}"),
        lambda row: findings.mask(row["image_id"], spec),
    )
    auroc = known_auroc(checkpoint, dataset, split, progress) if split == "train" else study_auroc(scores)
    classifier = load_classifier(checkpoint, device)
    return check_cohort(checkpoint, classifier, cohort, methods, auroc, progress, cancelled)


def known_auroc(
    checkpoint: Checkpoint, dataset: Dataset | None = None, split: str = "", progress=None
) -> tuple[float, float] | None:
    """Return the network's study AUROC and its lower bound on studies it was not trained on; None where unknown.

    With a data set, they are those of `split`, or of valid where `split` is train; the split is scored if necessary.
    Without one, they are the training's own figures on the studies that chose the epoch.
    """
    if dataset:
        split = "" if split == "train" else split
        return study_auroc(split_scores(str(checkpoint.folder), dataset.name, split, progress)[0])
    history, epoch = checkpoint.history(), checkpoint.manifest.get("epoch")
    if not {"epoch", "tune_auroc", "tune_auroc_low"} <= set(history) or epoch not in set(history["epoch"]):
        return None
    chosen = history[history["epoch"] == epoch].iloc[-1]
    return float(chosen["tune_auroc"]), float(chosen["tune_auroc_low"])


def study_auroc(scores: pd.DataFrame) -> tuple[float, float]:
    """AUROC over studies and its lower bound, of PREDICTIONS; NaN where it cannot be estimated."""
    known = labelled(study_table(scores))
    estimate = auroc(known["score"], known["label"])
    return estimate.value, estimate.low


def mean_radiograph(dataset: Dataset, spec: InputSpec, progress=None) -> np.ndarray:
    """Return the mean of up to 500 radiographs of a data set, always the same ones, uint8 [size, size]: a baseline."""
    index = read_index(dataset.name).drop_duplicates("sha1").sort_values("sha1").head(MEAN_OF)
    cache = pixel_cache(dataset, index, spec, progress)
    rows = cache.rows_of(index["image_id"])
    if not (rows >= 0).any():
        raise OverreadError(
            f"No radiograph of {dataset.name} can be decoded for the mean; choose the baseline black or blur.",
            code="mean-undecodable",
        )
    return cache.pixels[rows[rows >= 0]].mean(0).round().astype(np.uint8)
