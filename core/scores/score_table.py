"""Score a data set of any size into files: decode, score and write one shard after another.

Memory does not grow with the data set. A run that was killed continues with the shards it finished, and several
processes that a launcher started share the shards. The table is the same, bit for bit, in each case: every shard has
the same rows in the same batches. A data set of up to SINGLE_FILE_ROWS radiographs becomes one file at the end.
"""

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
from filelock import FileLock, Timeout

from core.data.cache import pixel_cache
from core.data.datasets import read_dataset
from core.data.index_stream import index_changed, open_index
from core.data.pixel_stream import PixelParts, cached_parts, is_readable, streamed_parts
from core.errors import OverreadError
from core.paths import home, unwritable
from core.plural import count_clause, share_clause
from core.scores.classifier import Classifier, load_classifier
from core.scores.finished_scores import FinishedScores
from core.scores.predict import arithmetic_of, as_predictions, scores_in_order
from core.scores.scoring_plan import Piece, ScoringPlan, plan_scoring
from core.scores.shards import SHARD_ROWS, SINGLE_FILE_ROWS, Shard, write_shard
from core.scores.source import Source
from core.scores.test_time_augmentation import AugmentedDraws
from core.scores.unfinished import Unfinished, unfinished_for

Progress = Callable[[int, int, str], None]


class Processes(Protocol):
    """The processes that share the work, seen from one of them (`core.training.parallel.Team`)."""

    @property
    def leads(self) -> bool: ...

    def broadcast(self, value): ...


@dataclass(frozen=True)
class ScoringOrder:
    """A source to score, and the place of its scores.

    splits: by default every split but those the checkpoint learned from. device: '' for the fastest. out: by default in
    the workspace. shard_rows: writes shards of so many rows; 0 leaves it to the size of the index.
    """

    source: Source
    splits: list[str] | None = None
    device: str = ""
    out: Path | None = None
    tta: AugmentedDraws | None = None
    shard_rows: int = 0

    @property
    def file(self) -> Path:
        """The file or folder of the result."""
        return self.out or self.source.scores_file


@dataclass(frozen=True)
class ScoredTable:
    """The place of new scores. rows: of the scored splits. left_out: {path, reason} of what could not be decoded.

    notes: what was continued or made again, in sentences.
    """

    file: Path
    rows: int
    splits: list[str]
    left_out: list[dict] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def score_table(
    order: ScoringOrder,
    progress: Progress | None = None,
    team: Processes | None = None,
    classifier: Classifier | None = None,
) -> ScoredTable:
    """Score and store. Finished shards are kept where the work is stopped or fails; the same call continues.

    team: the processes that share the work; the leading one begins and ends it. OverreadError where the index changes
    meanwhile, the disk is full, or the radiographs are no longer in their place.
    """
    stream = open_index(order.source.indexed)
    classifier = classifier or load_classifier(order.source.checkpoint, order.device)
    finished = FinishedScores(order.source, order.file, order.out is None)
    shard_rows = order.shard_rows or finished.shard_rows() or SHARD_ROWS
    sharded = order.file.suffix != ".csv" and bool(
        order.shard_rows or finished.shard_rows() or stream.rows > SINGLE_FILE_ROWS
    )
    plan = plan_scoring(stream, order.source.checkpoint, order.splits, shard_rows, arithmetic_of(classifier), order.tta)
    run = _Run(order, plan, classifier, unfinished_for(order.file), sharded, progress)
    if team is not None and not team.leads:
        digest, names = team.broadcast(None)
        run.score(digest, names, leads=False)
        team.broadcast(None)
        return ScoredTable(order.file, plan.rows, plan.splits)
    with _alone(order.file, plan.rows, progress):
        finished.check(plan, sharded, run.unfinished)
        names, notes = _begin(run, finished)
        if team is not None:
            team.broadcast((plan.digest, names))
        run.score(plan.digest, names)
        if team is not None:
            team.broadcast(None)  # the others have left the folder
        run.check_index()
        rows, left_out = finished.end(plan, run.unfinished, sharded)
    return ScoredTable(order.file, rows, plan.splits, left_out, notes)


def _begin(run: "_Run", finished: FinishedScores) -> tuple[list[str], list[str]]:
    """The names of the shards to make, and notes on the others."""
    plan, unfinished, notes = run.plan, run.unfinished, []
    if changed := unfinished.begin(plan):
        verb = "has" if len(changed) == 1 else "have"
        notes.append(
            f"Unfinished scores were dropped and scoring began again, since {' and '.join(changed)} {verb} changed."
        )
    unfinished.keep_whole(plan.pieces, run.order.file)
    _forget_readable(run)
    before = [piece for piece in plan.pieces if unfinished.shard(piece.name)]
    whole, damaged = finished.whole_shards(plan) if run.sharded else ({}, [])
    kept = {name for name, left_out in whole.items() if not any(map(run.is_readable, left_out))}
    names = [piece.name for piece in plan.pieces if piece not in before and piece.name not in kept]
    if before and names:
        notes.append(f"{share_clause(len(before), len(plan.pieces), 'shard', 'were')} finished before, and are kept.")
    for name in sorted(set(damaged) & set(names)):
        notes.append(f"{finished.file / name} did not match its hash and was made again.")
    if kept and not names:
        notes.append(f"{count_clause(len(kept), 'shard', 'are')} whole; nothing was scored again.")
    return names, notes


def _forget_readable(run: "_Run") -> None:
    """Have a shard made again where a radiograph that could not be decoded now can be."""
    for piece in run.plan.pieces:
        shard = run.unfinished.shard(piece.name)
        if shard and shard.left_out and any(map(run.is_readable, run.unfinished.left_out(piece.name))):
            run.unfinished.forget(piece.name)


@dataclass
class _Run:
    """One process at work on a plan. counted: shards that were recorded before the work began."""

    order: ScoringOrder
    plan: ScoringPlan
    classifier: Classifier
    unfinished: Unfinished
    sharded: bool
    progress: Progress | None
    counted: int = 0

    def score(self, digest: str, names: list[str], leads: bool = True) -> None:
        """Make these shards, except those that another process makes. The leading process waits for all of them.

        digest: of the leading process's plan. OverreadError where the processes would not give the same scores.
        """
        if digest != self.plan.digest:
            raise OverreadError(
                "The processes would not give the same scores: they differ in the index, the checkpoint or the "
                "precision. Start all with the same files and on the same kind of device.",
                code="processes-differ",
            )
        missing = [piece for piece in self.plan.pieces if piece.name in set(names)]
        total, parts, self.counted = sum(piece.rows for piece in missing), None, self.unfinished.count()
        while missing:
            made = 0
            for piece, rows in self.plan.rows_of(missing):
                with self.unfinished.claimed(piece) as mine:
                    if mine:
                        parts = parts or self._pixels(missing)
                        self._make(piece, rows, parts, total)
                        made += 1
            missing = [piece for piece in missing if self.unfinished.shard(piece.name) is None]
            if not leads:
                return
            if missing and not made:
                self._report(0, total, "scoring in the other processes")
                time.sleep(0.5)

    def check_index(self) -> None:
        """OverreadError where the data set was indexed again since the work began."""
        if read_dataset(self.order.source.indexed.name).index_hash != self.plan.facts["index"]:
            raise index_changed(self.order.source.indexed)

    def is_readable(self, row: dict) -> bool:
        """Whether a radiograph that was left out can be decoded now."""
        return is_readable(self.order.source.indexed, self.order.source.checkpoint.input_spec, row["path"], row["sha1"])

    def _pixels(self, pieces: list[Piece]) -> PixelParts:
        """An archive is decoded as it is scored; the radiographs of a smaller set are kept for pages and training."""
        spec = self.order.source.checkpoint.input_spec
        if self.sharded:
            return streamed_parts(self.order.source.indexed, spec)
        rows = pd.concat([rows for _, rows in self.plan.rows_of(pieces)])
        return cached_parts(pixel_cache(self.order.source.indexed, rows, spec, self.progress))

    def _make(self, piece: Piece, rows: pd.DataFrame, parts: PixelParts, total: int) -> None:
        """Score the rows of one shard and write them."""
        self.check_index()
        found, scores, left_out, done = [rows.iloc[:0]], [np.zeros((0, len(self.classifier.columns)))], [], 0

        def decoded() -> Iterator[tuple[np.ndarray, pd.DataFrame]]:
            nonlocal done
            for part in parts(rows, self.plan.facts["batch"]):
                found.append(part.rows)
                left_out.extend(part.left_out)
                done += len(part.rows) + len(part.left_out)
                if len(part.rows):
                    yield part.pixels, part.rows
                self._report(done, total)

        scores += scores_in_order(self.classifier, decoded(), self.order.tta)
        if left_out and not Path(self.order.source.indexed.root).is_dir():
            raise OverreadError(
                f"{self.order.source.indexed.root}, the folder of the radiographs, is no longer there. Put it back and "
                "run the same command: it continues.",
                code="radiographs-gone",
            )
        index = pd.concat(found).reset_index(drop=True)
        order = self.order
        frame = as_predictions(index, np.concatenate(scores), self.classifier, order.source, order.tta)
        try:
            digest = write_shard(self.unfinished.folder / piece.name, frame)
            self.unfinished.add(Shard(piece.name, piece.split, len(frame), digest, len(left_out)), left_out)
        except OverreadError as error:
            if error.code != "file-unwritable":
                raise
            kept = count_clause(self.unfinished.count(), "finished shard", "are")
            raise OverreadError(f"{error} {kept} kept; the same command continues.", error.code) from error

    def _report(self, done: int, total: int, what: str = "") -> None:
        """Report the rows of the finished shards of all processes, and those of the present one."""
        if self.progress:
            shards = self.unfinished.count() - self.counted
            now = min(shards * self.plan.facts["shard_rows"] + done, total)
            self.progress(now, total, what or f"scoring with {self.order.source.checkpoint.name}")


@contextmanager
def _alone(file: Path, total: int, progress: Progress | None) -> Iterator[None]:
    """Wait for another process that writes the same scores. The system releases the lock of a killed process."""
    # In the workspace, since a lock's file stays, and `file` may be in a folder of somebody's own.
    place = home() / "jobs" / f"scores-{hashlib.sha256(str(file.resolve()).encode()).hexdigest()[:12]}.lock"
    lock = FileLock(place, timeout=1)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        while True:
            try:
                lock.acquire()
                break
            except Timeout:
                if progress:
                    progress(0, total, "waiting for another process that makes the same scores")
    except OSError as error:
        raise unwritable(file, error) from error
    try:
        yield
    finally:
        lock.release()
