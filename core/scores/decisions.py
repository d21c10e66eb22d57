"""An operating point applied to scores: what it calls each study, as a table and as a CSV file."""

from pathlib import Path

import numpy as np
import pandas as pd

from core.data.spreadsheet import csv_for_spreadsheets
from core.metrics.studies import study_table
from core.models.checkpoint import Checkpoint
from core.paths import write_atomically
from core.scores.index_columns import study_columns, with_index_columns
from core.scores.operating_point_checks import check_applies
from core.scores.operating_points import OperatingPoint, find_point
from core.scores.source import source_of


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


def write_decisions(point: OperatingPoint, frame: pd.DataFrame, scores_file: Path) -> tuple[Path, pd.DataFrame]:
    """Write `<scores>.decisions.csv` beside the scores: one row per study: its score, decision and further columns."""
    studies = study_table(frame, point.aggregation)
    table = studies[["study_id", "patient_id", "bone", "split", "n_views", "score"]]
    table = table.assign(decision=decisions(point, studies), operating_point=point.id, reference=point.reference)
    more = study_columns(with_index_columns(frame))
    table = table.join(more[[name for name in more if name not in table]], on="study_id")
    path = scores_file.with_name(f"{scores_file.stem}.decisions.csv")
    return write_atomically(
        path, lambda new: new.write_text(csv_for_spreadsheets(table), encoding="utf-8", newline="")
    ), table
