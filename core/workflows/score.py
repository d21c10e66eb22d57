"""Score a data set with a checkpoint, store the scores and, if asked, call each study by an operating point."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from core import jobs
from core.data.index import read_index
from core.errors import OverreadError
from core.scores.decisions import write_decisions
from core.scores.loading import split_scores
from core.scores.operating_points import OperatingPoint
from core.scores.predictions import store_predictions, tta_path
from core.scores.source import Source

if TYPE_CHECKING:
    from core.scores.test_time_augmentation import AugmentedDraws


@dataclass(frozen=True)
class ScoringResult:
    """New scores and the file they were stored in.

    left_out: {path, reason} of radiographs that could not be decoded. gain: what test-time augmentation changed.
    decisions, decisions_file: what the operating point calls each study.
    """

    scores: pd.DataFrame
    file: Path
    left_out: list[dict]
    gain: dict | None = None
    decisions: pd.DataFrame | None = None
    decisions_file: Path | None = None


def score(
    source: Source,
    splits: list[str] | None = None,
    progress: Callable[[int, int, str], None] | None = None,
    device: str = "",
    out: Path | None = None,
    tta: "AugmentedDraws | None" = None,
    point: OperatingPoint | None = None,
) -> ScoringResult:
    """Score the data set of a checkpoint's source and store the scores: a job that every page can see and stop.

    splits: by default every split but those the checkpoint learned from. out: by default in the workspace. Needs torch.
    Nothing is stored if it is stopped. OverreadError where another process scores this data set with this checkpoint.
    """
    with jobs.at_work("score", _arguments(source, splits), source.record(), len(read_index(source.data))) as reporter:
        return _score(source, splits, jobs.stoppable(reporter, progress), device, out, tta, point)


def enqueue_scoring(source: Source, splits: list[str] | None = None) -> jobs.Job:
    """Queue `python -m core predict`. OverreadError where a job scores this data set with this checkpoint already."""
    return jobs.enqueue("score", _arguments(source, splits), source.record())


def find_scoring_job(source: Source) -> jobs.Job | None:
    """The newest job that scores this index with these weights, running or ended; None without one."""
    return jobs.find("score", digest=source.digest, index_hash=source.index_hash)


def _arguments(source: Source, splits: list[str] | None) -> dict:
    if source.kind != "checkpoint" or not source.dataset:
        raise OverreadError(
            f"{source.name or 'No model'} on {source.data or 'no data set'} cannot be scored; expected a checkpoint "
            "and a data set with radiographs. Choose both.",
            code="nothing-to-score",
        )
    return {"checkpoint": str(source.folder), "data": source.data, "splits": list(splits or ())}


def _score(source: Source, splits, progress, device: str, out: Path | None, tta, point) -> ScoringResult:
    from core.scores.predict import predict

    checkpoint, dataset = source.checkpoint, source.indexed
    frame = predict(checkpoint, dataset, splits, progress, device, tta=tta)
    gain = _gain(source, frame, progress) if tta else None
    if tta and out is None:
        out = tta_path(checkpoint, dataset, tta.augmentation.hash(), tta.draws)
    file = store_predictions(frame, checkpoint, dataset, out)
    result = ScoringResult(frame, file, frame.attrs["left_out"], gain)
    if point is None:
        return result
    decisions_file, table = write_decisions(point, frame, file)
    return ScoringResult(frame, file, result.left_out, gain, table, decisions_file)


def _gain(source: Source, augmented: pd.DataFrame, progress) -> dict:
    """The change in AUROC on valid where it was scored, else on the first split."""
    from core.scores.test_time_augmentation import augmentation_gain

    scored = sorted(set(augmented["split"]))
    split = "valid" if "valid" in scored else scored[0]
    plain, _ = split_scores(source, split=split, progress=progress)
    return augmentation_gain(plain, augmented, split)
