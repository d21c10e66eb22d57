"""What the page reads: the log of decisions, its check, and the references of the served models."""

from pathlib import Path

import numpy as np
import pandas as pd

from core.data.index import list_datasets, read_index
from core.errors import OverreadError
from core.metrics.studies import study_table
from core.models.checkpoint import list_checkpoints
from core.scores.loading import split_scores
from core.scores.operating_points import read_points
from core.scores.source import source_of
from core.serving.decision_log import LINES, LogReport, default_folder, log_table, verify_log
from core.serving.monitor import Reference
from dashboard.shared.cache import FileStamp, cached_resource, stamp

UNKNOWN = Reference(float("nan"))


def log_stamp() -> FileStamp:
    """The file of the log, as it is now."""
    return stamp(default_folder() / LINES)


@cached_resource(max_entries=2, show_spinner="Reading the log of decisions")
def log_of(file: FileStamp) -> tuple[pd.DataFrame, LogReport]:
    """The log and its verification. Shared: nobody may change it."""
    folder = Path(file.path).parent
    report = verify_log(folder)
    try:
        return log_table(folder), report
    except OverreadError:
        return pd.DataFrame(), report


def reference_of(rows: pd.DataFrame) -> Reference:
    """The split that the newest applied operating point was chosen on; UNKNOWN where it is not stored here."""
    points = [point for point in rows["point"] if point]
    model = next((one for one in list_checkpoints()[0] if one.weights_hash == rows["digest"].iloc[-1]), None)
    if model is None or not points:
        return UNKNOWN
    source = source_of(model)
    point = next((one for one in read_points(source) if one.id == points[-1].split("+")[0]), None)
    if point is None:
        return UNKNOWN
    alerts = point.figures.get("alerts_per_100")
    return Reference(float("nan") if alerts is None else alerts / 100, _scores(source, point))


def _scores(source, point) -> np.ndarray | None:
    """The scores of the studies that a point was chosen on; None where they are not stored."""
    try:
        frame, _ = split_scores(source, point.dataset.split("@")[0], point.split)
        return study_table(frame, point.aggregation)["score"].to_numpy()
    except OverreadError:
        return None


def indexed_studies(rows: pd.DataFrame) -> pd.DataFrame:
    """The studies of these decisions that are indexed here: number, data, study_id, bone."""
    hashes = pd.DataFrame(
        [(number, view[1]) for number, views in zip(rows["number"], rows["views"]) for view in views],
        columns=["number", "sha1"],
    )
    found = [pd.DataFrame(columns=["number", "data", "study_id", "bone"])]
    for dataset in list_datasets():
        if dataset.kind == "scores":
            continue
        index = read_index(dataset.name)[["sha1", "study_id", "bone"]].drop_duplicates("sha1")
        joined = hashes.merge(index, on="sha1")
        found.append(joined.assign(data=dataset.name).drop_duplicates("number")[["number", "data", "study_id", "bone"]])
    return pd.concat(found, ignore_index=True)
