"""Cached data of the page: the log of decisions, its check, and the references of the served models."""

from pathlib import Path

import pandas as pd

from core.data.index import Dataset, list_datasets, read_index
from core.errors import OverreadError
from core.models.checkpoint import list_checkpoints
from core.scores.operating_points import read_points
from core.scores.source import Source, source_of
from core.serving.decision_log import LINES, LogReport, default_folder, log_table, verify_log
from core.serving.monitor import Reference
from core.serving.reference import reference_of as core_reference
from core.serving.traffic_scores import shared_radiographs
from dashboard.shared.cache import FileStamp, cached_data, cached_resource, stamp

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
    scored = [stamp(source_of(model, one).scores_file) for one in list_datasets() if one.kind != "scores"]
    return _reference(source, point.id, tuple(scored))


@cached_resource(max_entries=4, show_spinner="Measuring the split that the point was chosen on")
def _reference(source: Source, point_id: str, scored: tuple[FileStamp, ...]) -> Reference:
    """The reference of a point. scored: the files of scores; a change of one reads it again."""
    point = next(one for one in read_points(source) if one.id == point_id)
    return core_reference(source, point, source.model.input_spec)


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


def comparable(model: str, shadow: str) -> dict[str, int]:
    """Studies that both models scored in the service, by the indexed data set that has them; most first."""
    datasets = tuple(dataset for dataset in list_datasets() if dataset.kind != "scores")
    return _comparable(log_stamp(), model, shadow, datasets)


@cached_data(max_entries=16)
def _comparable(file: FileStamp, model: str, shadow: str, datasets: tuple[Dataset, ...]) -> dict[str, int]:
    log, _ = log_of(file)
    counts = {
        dataset.name: int(shared_radiographs(log, model, shadow, dataset)["study_id"].nunique()) for dataset in datasets
    }
    return dict(sorted(((name, n) for name, n in counts.items() if n), key=lambda item: -item[1]))
