"""Checks of maps on a sample of a data set."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from core.data.abnormality_masks import AbnormalityMasks
from core.data.index import read_index
from core.errors import OverreadError
from core.explain.cohort import Cohort, check_cohort, sample_rows
from core.explain.map_record import map_task
from core.explain.network_auroc import network_auroc
from core.scores.classifier import load_classifier
from core.scores.loading import split_scores
from core.scores.source import Source


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
    checkpoint, dataset = source.checkpoint, source.indexed
    scores, _ = split_scores(source, split=split, progress=progress)
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
        lambda row, method: map_task(checkpoint, [(str(Path(dataset.root) / row["path"]), row["sha1"])], method),
        lambda row: findings.mask(row["image_id"], spec),
    )
    classifier = load_classifier(checkpoint, device)
    return check_cohort(checkpoint, classifier, cohort, methods, network_auroc(source), progress, cancelled)
