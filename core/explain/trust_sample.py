"""Checks of maps on a sample of a data set."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from core.among import among
from core.data.abnormality_masks import AbnormalityMasks
from core.data.index import read_index
from core.errors import OverreadError
from core.explain.cohort import Cohort, check_cohort, sample_rows
from core.explain.map_record import map_task
from core.explain.network_auroc import network_auroc
from core.explain.pointing_table import PointedMaps
from core.explain.sample_choice import FINDING, TrustSample, rows_with_truth
from core.scores.classifier import load_classifier
from core.scores.loading import split_scores
from core.scores.source import Source


def check_sample(
    source: Source,
    sample: TrustSample,
    device: str = "",
    progress: Callable[[int, int, str], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> pd.DataFrame:
    """Return the rows of `check_cohort` over the sample, with the network's AUROC."""
    checkpoint, dataset = source.checkpoint, source.indexed
    index = read_index(dataset.name).set_index("image_id")
    rows = _sampled(source, sample, progress)
    spec, findings = checkpoint.input_spec, AbnormalityMasks.of(dataset)
    cohort = Cohort(
        rows.assign(sha1=rows["image_id"].map(index["sha1"])),
        lambda row, method: map_task(checkpoint, [(str(Path(dataset.root) / row["path"]), row["sha1"])], method),
        lambda row: findings.mask(row["image_id"], spec),
    )
    classifier = load_classifier(checkpoint, device)
    return check_cohort(checkpoint, classifier, cohort, sample.methods, network_auroc(source), progress, cancelled)


def pointed_maps(source: Source, sample: TrustSample, rows: pd.DataFrame) -> PointedMaps:
    """The maps of a sample with a truth, and whether each points right. rows: from `check_sample`."""
    made = rows[rows["verdict"].notna()]
    if sample.truth == FINDING:
        made = made[made["pointing"].notna()]
        made = made.assign(right=made["pointing"].astype(float))
    else:
        views = _sampled(source, sample).set_index("image_id")
        made = made.drop(columns="chance").join(views[["right", "chance"]], on="image_id")
    kept = made[["method", "verdict", "right", "chance"]].reset_index(drop=True)
    return PointedMaps(source.name, source.indexed.name, sample.truth, kept)


def _sampled(source: Source, sample: TrustSample, progress: Callable[[int, int, str], None] | None = None):
    """The rows of PREDICTIONS that are sampled. OverreadError where there are none."""
    dataset = source.indexed
    scores, _ = split_scores(source, split=sample.split, progress=progress)
    scores = scores[among(scores["image_id"], read_index(dataset.name)["image_id"])]
    rows = sample_rows(rows_with_truth(scores.reset_index(drop=True), dataset, sample.truth), sample.count)
    if rows.empty:
        lacking = f"{sample.truth} that is known" if sample.truth else "labelled radiograph"
        raise OverreadError(
            f"The split {sample.split} of {dataset.name} has no {lacking}; choose another split.",
            code="split-without-labels",
        )
    return rows
