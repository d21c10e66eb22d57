"""The place of finished scores: a file, or a folder of shards that is replaced shard by shard. No torch."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from core.checksums import checksum_file, json_text
from core.data.datasets import Dataset
from core.errors import OverreadError
from core.parquet_files import read_parquet
from core.paths import unwritable, write_atomically
from core.plural import count_text
from core.scores.predictions import augmented, belongs, is_finished, older_scores, store_predictions
from core.scores.scoring_plan import ScoringPlan
from core.scores.shards import LEFT_OUT, Shard, ShardedTable, is_sharded, is_whole, read_table, write_shard, write_table
from core.scores.source import Source
from core.scores.stored_scores import made_by
from core.scores.unfinished import Unfinished

_SHARD = re.compile(r"[a-z]+-\d{5,}-[0-9a-z]{7,8}\.parquet")
_SUPERSEDED = "superseded.parquet"


@dataclass(frozen=True)
class FinishedScores:
    """The place where the scores of a source are, or will be. own: whether the workspace chose it."""

    source: Source
    file: Path
    own: bool

    def table(self) -> ShardedTable | None:
        """The finished shards of these weights on this index; None where there are none."""
        if not (is_sharded(self.file) and is_finished(self.file)):
            return None
        table = read_table(self.file)
        return table if made_by(table.facts, self.source) else None

    def shard_rows(self) -> int:
        """The size of the finished shards, so that more of them can be added; 0 without any."""
        table = self.table()
        return table.facts["shard_rows"] if table else 0

    def check(self, plan: ScoringPlan, sharded: bool, unfinished: Unfinished) -> None:
        """OverreadError where the new scores may not go to this place."""
        if not sharded:
            return  # `store_predictions` checks it
        if self.file.suffix not in ("", ".parquet", ".pq"):
            raise OverreadError(
                f"--out is {self.file}; expected the name of a file that ends in .parquet or .csv.",
                code="scores-file-unknown",
            )
        begun, foreign = unfinished.facts() is not None, is_sharded(self.file) and not is_finished(self.file)
        if foreign and not (self.own or begun) and any(self.file.iterdir()):
            raise OverreadError(
                f"{self.file} is a folder of something else; choose another --out.", code="not-predictions"
            )
        table, earlier = self.table(), self._earlier(unfinished)
        before = _augmentation(table.facts) if table else augmented(earlier) if len(earlier) else None
        if before is not None and before != _augmentation(plan.facts):
            raise OverreadError(
                f"{self.file} holds scores with {before or 'no augmentation'}, and the new ones have "
                f"{_augmentation(plan.facts) or 'none'}; choose another --out.",
                code="augmentation-differs",
            )

    def whole_shards(self, plan: ScoringPlan) -> tuple[dict[str, list[dict]], list[str]]:
        """The finished shards of the plan, each with the radiographs it lacks; and the names of damaged ones."""
        table, names = self.table(), {piece.name for piece in plan.pieces}
        if table is None:
            return {}, []
        kept: dict[str, list[dict]] = {}
        damaged = []
        for shard in table.shards:
            if shard.name in names:
                if is_whole(self.file, shard):
                    kept[shard.name] = []
                else:
                    damaged.append(shard.name)
        for row in table.left_out():
            if row["shard"] in kept:
                kept[row["shard"]].append(row)
        return kept, damaged

    def end(self, plan: ScoringPlan, unfinished: Unfinished, sharded: bool) -> tuple[int, list[dict]]:
        """Put all shards of the plan in place. Returns the scored rows, and {path, reason} of what was left out."""
        rows, left_out = self._commit(plan, unfinished) if sharded else self._merge(plan, unfinished)
        unfinished.clear()
        return rows, [{"path": row["image_id"], "reason": row["reason"]} for row in left_out]

    def _merge(self, plan: ScoringPlan, unfinished: Unfinished) -> tuple[int, list[dict]]:
        """Store the shards as one file, in the order of the index."""
        found = [read_parquet(unfinished.folder / piece.name) for piece in plan.pieces]
        _refuse_none([len(frame) for frame in found], plan, unfinished, self.source.indexed)
        frame = pd.concat(found, ignore_index=True)
        ids = pd.Index(pd.concat([part["image_id"] for part in plan.stream.parts(["image_id"])]))
        frame = frame.iloc[ids.get_indexer(frame["image_id"]).argsort()].reset_index(drop=True)
        store_predictions(frame, self.file)
        return len(frame), [row for piece in plan.pieces for row in unfinished.left_out(piece.name)]

    def _commit(self, plan: ScoringPlan, unfinished: Unfinished) -> tuple[int, list[dict]]:
        """Move the shards into the folder, then write the manifest. After a kill in between, the next run continues."""
        table = self.table()
        present = {shard.name: shard for shard in (table.shards if table else ())}
        new = [unfinished.shard(piece.name) or present[piece.name] for piece in plan.pieces]
        _refuse_none([shard.rows for shard in new], plan, unfinished, self.source.indexed)
        others = [shard for shard in present.values() if shard.split not in plan.splits]
        others += self._adopt(plan, unfinished)
        after = ShardedTable(self.file, plan.facts, tuple(sorted([*new, *others], key=lambda shard: shard.name)))
        left_out = [{**row, "shard": piece.name} for piece in plan.pieces for row in unfinished.left_out(piece.name)]
        again = {shard.name for shard in new if unfinished.shard(shard.name)}
        kept = [row for row in (table.left_out() if table else ()) if row["shard"] not in again]
        try:
            if self.file.is_file():
                os.replace(self.file, unfinished.folder / _SUPERSEDED)
                checksum_file(self.file).unlink(missing_ok=True)
            self.file.mkdir(exist_ok=True)
            for shard in after.shards:
                if (unfinished.folder / shard.name).exists():
                    os.replace(unfinished.folder / shard.name, self.file / shard.name)
        except OSError as error:
            raise unwritable(self.file, error) from error
        rows = [row for row in [*kept, *left_out] if row["shard"] in {shard.name for shard in after.shards}]
        text = "".join(map(json_text, rows))
        write_atomically(self.file / LEFT_OUT, lambda path: path.write_text(text))
        write_table(after)
        self._remove_others(after)
        return sum(shard.rows for shard in new), [row for row in rows if row["shard"] in {one.name for one in new}]

    def _earlier(self, unfinished: Unfinished) -> pd.DataFrame:
        """The scores of these weights on this index in one file that shards will replace; empty without one."""
        file = self.file if self.file.is_file() else unfinished.folder / _SUPERSEDED
        found = older_scores(file) if file.is_file() else pd.DataFrame()
        references = (self.source.reference, self.source.indexed.reference)
        return found if len(found) and belongs(found, *references) else pd.DataFrame()

    def _adopt(self, plan: ScoringPlan, unfinished: Unfinished) -> list[Shard]:
        """Turn the rows of other splits in a file of earlier scores into shards, so that they are not scored again."""
        earlier = self._earlier(unfinished)
        if not len(earlier):
            return []
        shards, size = [], plan.facts["shard_rows"]
        for split, rows in earlier[~earlier["split"].isin(plan.splits)].groupby("split", sort=True):
            for number, start in enumerate(range(0, len(rows), size)):
                name, part = f"{split}-{number:05}-earlier.parquet", rows.iloc[start : start + size]
                digest = write_shard(unfinished.folder / name, part.reset_index(drop=True))
                shards.append(Shard(name, str(split), len(part), digest))
        return shards

    def _remove_others(self, table: ShardedTable) -> None:
        """Remove shards that the manifest does not list, and what killed processes left."""
        listed = {shard.name for shard in table.shards}
        for file in self.file.iterdir():
            if (_SHARD.fullmatch(file.name) and file.name not in listed) or file.name.endswith(".tmp"):
                file.unlink(missing_ok=True)


def _augmentation(facts: dict) -> str:
    return f"{facts['tta']} x {facts['draws']}" if facts["tta"] else ""


def _refuse_none(rows: list[int], plan: ScoringPlan, unfinished: Unfinished, dataset: Dataset) -> None:
    """OverreadError where no radiograph of the plan could be decoded."""
    if sum(rows):
        return
    first = next((row for piece in plan.pieces for row in unfinished.left_out(piece.name)), None)
    example = f" (first: {first['path']}: {first['reason']})" if first else ""
    raise OverreadError(
        f"None of the {count_text(plan.rows, 'radiograph')} below {dataset.root} can be read{example}. Put the folder "
        "back, or index it again in its new place.",
        code="no-readable-radiograph",
    )
