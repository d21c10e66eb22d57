"""An operating point applied to scores: what it calls each study, as a table and as a CSV file."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from core.data.spreadsheet import guarded_table
from core.metrics.studies import study_table
from core.models.checkpoint import Checkpoint
from core.paths import write_atomically
from core.scores.index_columns import study_columns, with_index_columns
from core.scores.operating_point_checks import check_applies
from core.scores.operating_points import OperatingPoint, find_point
from core.scores.predictions import read_file
from core.scores.shards import OF_STUDIES, is_sharded, iter_shards, read_table
from core.scores.source import source_of

# Radiographs of scores in shards that are decided at a time; about 100 MB.
_ROWS_AT_ONCE = 200_000


def point_for(checkpoint: Checkpoint, wanted: str, aggregation: str = "", device: str = "") -> OperatingPoint:
    """The operating point to apply, checked against the checkpoint, the aggregation and the device's precision.

    Needs torch.
    """
    from core.device import pick_device, scoring_precision

    source = source_of(checkpoint)
    point = find_point(source, wanted)
    check_applies(point, source, aggregation, scoring_precision(pick_device(device)[0]))
    return point


def decisions(point: OperatingPoint, studies: pd.DataFrame) -> pd.Series:
    """'abnormal' or 'normal' for each study; with two thresholds 'rule in', 'refer' or 'rule out'."""
    score = studies["score"].to_numpy()
    if point.threshold_high is None:
        called = np.where(score >= point.threshold, "abnormal", "normal")
    else:
        called = np.where(
            score >= point.threshold_high, "rule in", np.where(score >= point.threshold, "refer", "rule out")
        )
    return pd.Series(called, index=studies.index, dtype="str")


def write_decisions(point: OperatingPoint, scores_file: Path, splits: list[str]) -> tuple[Path, dict[str, int]]:
    """Write `<scores>.decisions.csv` beside the scores: one row per study: its score, decision and further columns.

    Returns the file, and how many studies have each decision. The studies of scores in shards are decided some at a
    time, so memory does not grow with their number.
    """
    path = scores_file.with_name(f"{scores_file.stem}.decisions.csv")
    counts: Counter[str] = Counter()

    def write(new: Path) -> None:
        with new.open("w", encoding="utf-8", newline="") as opened:
            for number, frame in enumerate(_whole_studies(scores_file, splits)):
                table = _decided(point, frame)
                counts.update(table["decision"].value_counts().to_dict())
                guarded_table(table).to_csv(opened, index=False, header=number == 0)

    return write_atomically(path, write), dict(counts)


def _decided(point: OperatingPoint, frame: pd.DataFrame) -> pd.DataFrame:
    studies = study_table(frame, point.aggregation)
    table = studies[["study_id", "patient_id", "bone", "split", "n_views", "score"]]
    table = table.assign(decision=decisions(point, studies), operating_point=point.id, reference=point.reference)
    more = study_columns(with_index_columns(frame))
    return table.join(more[[name for name in more if name not in table]], on="study_id")


def _whole_studies(scores_file: Path, splits: list[str]) -> Iterator[pd.DataFrame]:
    """The scores of these splits in frames of whole studies. The radiographs of one study may be in several shards."""
    if not is_sharded(scores_file):
        found = read_file(scores_file)
        yield found[found["split"].isin(splits)].reset_index(drop=True)
        return
    table = read_table(scores_file)
    columns = ["image_id", *OF_STUDIES, "precision"]
    groups = -(-table.rows // _ROWS_AT_ONCE)
    for group in range(groups):
        found = []
        for split in splits:
            for part in iter_shards(table, split, columns):
                found.append(part[pd.util.hash_array(part["study_id"].to_numpy(object)) % groups == group])
        if any(map(len, found)):
            yield pd.concat(found, ignore_index=True)
