"""Score a data set with a checkpoint, store the scores and, if asked, call each study by an operating point."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from core import jobs
from core.data.index_stream import open_index
from core.errors import OverreadError
from core.scores.decisions import write_decisions
from core.scores.loading import split_scores
from core.scores.operating_points import OperatingPoint
from core.scores.predictions import read_file
from core.scores.source import Source

if TYPE_CHECKING:
    from core.scores.score_table import ScoredTable, ScoringOrder
    from core.training.parallel import Team


@dataclass(frozen=True)
class ScoringResult:
    """Where new scores were stored.

    file: a file, or a folder of shards for a large data set (`core.scores.shards`). rows: radiographs scored. left_out:
    {path, reason} of those that could not be decoded. notes: what was continued or made again. gain: what test-time
    augmentation changed. decisions: the number of studies with each decision; decisions_file: each of them.
    """

    file: Path
    rows: int
    splits: list[str]
    left_out: list[dict]
    notes: list[str]
    gain: dict | None = None
    decisions: dict[str, int] | None = None
    decisions_file: Path | None = None


def score(
    order: "ScoringOrder", progress: Callable[[int, int, str], None] | None = None, point: OperatingPoint | None = None
) -> ScoringResult:
    """Score a data set and store the scores: a job that every page can see and stop. Needs torch.

    Where a launcher started several processes, each calls this, and they share the shards; only the first returns more
    than the place of the scores. A run that was stopped or killed is continued by the same call. OverreadError where
    another job scores this data set with this checkpoint.
    """
    source = order.source
    if int(os.environ.get("WORLD_SIZE") or 1) == 1:
        with jobs.at_work("score", *_job(source, order.splits)) as reporter:
            return _score(order, jobs.stoppable(reporter, progress), None, point)
    from core.training.parallel import current_team

    team = current_team(order.device)
    order = replace(order, device=str(team.device))
    with team.explain_lost_process("The finished shards are kept; the same command continues."):
        if team.leads:
            with jobs.at_work("score", *_job(source, order.splits)) as reporter:
                result = _score(order, jobs.stoppable(reporter, progress), team, point)
        else:
            result = _score(order, None, team, None)
        team.disband()
    return result


def enqueue_scoring(source: Source, splits: list[str] | None = None) -> jobs.Job:
    """Queue `python -m core predict`. OverreadError where a job scores this data set with this checkpoint already."""
    arguments, about, _ = _job(source, splits)
    return jobs.enqueue("score", arguments, about)


def find_scoring_job(source: Source) -> jobs.Job | None:
    """The newest job that scores this index with these weights, running or ended; None without one."""
    return jobs.find("score", digest=source.digest, index_hash=source.index_hash)


def _job(source: Source, splits: list[str] | None) -> tuple[dict, dict, int]:
    """Arguments, identity and size of the job."""
    if source.kind != "checkpoint" or not source.dataset:
        raise OverreadError(
            f"{source.name or 'No model'} on {source.data or 'no data set'} cannot be scored; expected a checkpoint "
            "and a data set with radiographs. Choose both.",
            code="nothing-to-score",
        )
    arguments = {"checkpoint": str(source.folder), "data": source.data, "splits": list(splits or ())}
    return arguments, source.record(), open_index(source.dataset).rows


def _score(order: "ScoringOrder", progress, team: "Team | None", point: OperatingPoint | None) -> ScoringResult:
    from core.scores.score_table import score_table

    if order.tta and order.out is None:
        file = order.source.tta_file(order.tta.augmentation.hash(), order.tta.draws)
        order = replace(order, out=file)
    done = score_table(order, progress, team)
    result = ScoringResult(done.file, done.rows, done.splits, done.left_out, done.notes)
    if team is not None and not team.leads:
        return result
    if order.tta:
        result = replace(result, gain=_gain(order, done, progress))
    if point:
        file, counts = write_decisions(point, done.file, done.splits)
        result = replace(result, decisions=counts, decisions_file=file)
    return result


def _gain(order: "ScoringOrder", done: "ScoredTable", progress) -> dict:
    """The change in AUROC on valid where it was scored, else on the first split."""
    from core.scores.test_time_augmentation import augmentation_gain

    split = "valid" if "valid" in done.splits else done.splits[0]
    plain, _ = split_scores(order.source, split=split, progress=progress)
    return augmentation_gain(plain, read_file(done.file, split=split), split)
