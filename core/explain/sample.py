"""A sample of a data set's radiographs with what is known of them: scores and files' hashes."""

from collections.abc import Callable

import pandas as pd

from core.data.findings import Findings
from core.data.index import Dataset, read_index
from core.errors import OverreadError
from core.explain.cohort import judge_cohort, sample_rows
from core.inference.classifier import load_classifier
from core.inference.scores import scores_for
from core.metrics.ranking import auroc
from core.metrics.studies import labelled, study_table
from core.models.checkpoint import Checkpoint


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
    """`judge_cohort` over up to `count` radiographs of a split, beside the network's AUROC on that split."""
    scores, _ = scores_for(str(checkpoint.folder), dataset.name, split, progress)
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
        study_auroc(scores),
        lambda row: findings.mask(row["image_id"], checkpoint.input_spec),
        progress,
        cancelled,
    )


def study_auroc(scores: pd.DataFrame) -> tuple[float, float]:
    """AUROC over studies and its lower bound, of PREDICTIONS; NaN where it cannot be estimated."""
    known = labelled(study_table(scores))
    found = auroc(known["score"], known["label"])
    return found.value, found.low
