"""The plan of a scoring: the rows of each split of an index, cut into shards that every run cuts alike. No torch."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from core.data.index_stream import IndexStream
from core.data.pixel_store import VERSION as DECODING
from core.models.checkpoint import Checkpoint
from core.schema import INDEX
from core.scores.learned_groups import LearnedGroups, learned_groups, splits_to_score

if TYPE_CHECKING:
    from core.scores.test_time_augmentation import AugmentedDraws

# Radiographs given to the network between two reports of progress, or more on a GPU. The scores of equal plans have
# equal bits.
BATCH = 256
_NEEDED = [name for name in INDEX if name not in ("fold", "width", "height", "bytes")]


@dataclass(frozen=True)
class Piece:
    """The rows of one shard. number: counts the shards of a split, from 0."""

    name: str
    split: str
    number: int
    rows: int


@dataclass(frozen=True)
class ScoringPlan:
    """The pieces to score, and what decides their scores.

    facts: names and hashes of checkpoint and index, precision, test-time augmentation, size of a shard. digest: of the
    facts without names; the name of each shard has it, so shards of two plans are never mixed.
    """

    facts: dict
    digest: str
    pieces: tuple[Piece, ...]
    stream: IndexStream
    learned: LearnedGroups

    @property
    def rows(self) -> int:
        """The number of radiographs."""
        return sum(piece.rows for piece in self.pieces)

    @property
    def splits(self) -> list[str]:
        """The splits that are scored, sorted."""
        return sorted({piece.split for piece in self.pieces})

    def rows_of(self, wanted: Iterable[Piece]) -> Iterator[tuple[Piece, pd.DataFrame]]:
        """The rows of these pieces in one pass over the index, with `split` and `member` as for this checkpoint."""
        names = {(piece.split, piece.number): piece for piece in wanted}
        lengths = {piece.split: piece.rows for piece in self.pieces if piece.number == 0}
        waiting: dict[str, list[pd.DataFrame]] = {split: [] for split in lengths}
        numbers: Counter[str] = Counter()
        for part in self.stream.parts(_NEEDED):
            part["split"], part["member"] = self.learned.splits(part), self.learned.unlearned_by(part)
            for split, rows in part.groupby("split", sort=True):
                if split not in waiting:
                    continue
                waiting[split].append(rows)
                yield from self._full(split, waiting, numbers, names)
        for split, parts in waiting.items():
            if parts and (piece := names.get((split, numbers[split]))):
                yield piece, pd.concat(parts)

    def _full(
        self, split: str, waiting: dict, numbers: Counter[str], names: dict
    ) -> Iterator[tuple[Piece, pd.DataFrame]]:
        """The pieces of a split that are complete now."""
        size = self.facts["shard_rows"]
        while sum(map(len, waiting[split])) >= size:
            rows = pd.concat(waiting[split])
            waiting[split] = [rows.iloc[size:]] if len(rows) > size else []
            if piece := names.get((split, numbers[split])):
                yield piece, rows.iloc[:size]
            numbers[split] += 1


@dataclass(frozen=True)
class Arithmetic:
    """The settings that decide the bits of scores besides weights and pixels: precision, and radiographs in one
    part."""

    precision: str
    batch: int = BATCH


def plan_scoring(
    stream: IndexStream,
    checkpoint: Checkpoint,
    splits: list[str] | None,
    shard_rows: int,
    arithmetic: Arithmetic,
    tta: "AugmentedDraws | None" = None,
) -> ScoringPlan:
    """Count the rows of the splits and cut them into shards. Reads the index twice, in parts."""
    learned = learned_groups(stream.parts(["sha1", "group_id"]), checkpoint)
    counts: Counter[str] = Counter()
    for part in stream.parts(["group_id", "split"]):
        counts.update(learned.splits(part).value_counts().to_dict())
    dataset = stream.dataset
    wanted = splits_to_score(set(counts), splits, bool(learned.parts), (dataset.name, checkpoint.name))
    facts = {
        "weights": checkpoint.weights_hash,
        # Scores and splits also depend on the input specification and on the radiographs of training.
        "files": dict(sorted(checkpoint.manifest["files"].items())),
        "index": dataset.index_hash,
        "precision": arithmetic.precision,
        "tta": tta.augmentation.to_text() if tta else "",
        "draws": tta.draws if tta else 0,
        "shard_rows": shard_rows,
        "batch": arithmetic.batch,
        "decoding": DECODING,
    }
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:8]
    pieces = []
    for split in wanted:
        for number, first in enumerate(np.arange(0, counts[split], shard_rows)):
            name, rows = f"{split}-{number:05}-{digest}.parquet", min(shard_rows, counts[split] - int(first))
            pieces.append(Piece(name, split, number, rows))
    facts |= {"checkpoint": checkpoint.reference, "dataset": dataset.reference}
    return ScoringPlan(facts, digest, tuple(pieces), stream, learned)


def differences(before: dict, now: dict) -> list[str]:
    """The differences between the facts of two plans, in words; empty where they give the same scores."""
    words = {
        "weights": "the weights",
        "files": "the checkpoint",
        "index": "the index",
        "precision": "the precision",
        "tta": "the test-time augmentation",
        "draws": "the number of draws",
        "shard_rows": "the size of a shard",
        "batch": "the size of a batch",
        "decoding": "the way of decoding",
    }
    return [text for name, text in words.items() if before.get(name) != now.get(name)]
