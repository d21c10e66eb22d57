"""The scores of a run that has not ended: shards in a hidden folder beside the place of the result.

A finished shard has a small record beside it, written after it. A kill at any moment therefore leaves whole shards with
records, and at most one file without a record for each process, which is scored again.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from core.checksums import read_json, write_json
from core.paths import unwritable
from core.scores.scoring_plan import Piece, ScoringPlan, differences
from core.scores.shards import Shard, is_whole

_PLAN = "plan.json"


@dataclass(frozen=True)
class Unfinished:
    """The folder of unfinished scores, and which shards it has."""

    folder: Path

    def facts(self) -> dict | None:
        """The facts of the plan that was begun; None where none was."""
        with suppress(OSError, ValueError):
            return read_json(self.folder / _PLAN)
        return None

    def begin(self, plan: ScoringPlan) -> list[str]:
        """Keep the shards of an equal plan, else remove them. Returns what differs, in words, where it removed any."""
        before = self.facts()
        changed = differences(before, plan.facts) if before is not None else []
        if before is None or changed:
            self.clear()
        write_json(self.folder / _PLAN, plan.facts, indent=1)
        return changed

    def add(self, shard: Shard, left_out: list[dict]) -> None:
        """Record a shard whose file has been written."""
        write_json(self._record(shard.name), {"shard": asdict(shard), "left_out": left_out})

    def shard(self, name: str) -> Shard | None:
        """A recorded shard; None where it has not been finished."""
        stored = self._stored(name)
        return Shard(**stored["shard"]) if stored else None

    def left_out(self, name: str) -> list[dict]:
        """{image_id, path, sha1, reason} of each radiograph of a shard that could not be decoded."""
        stored = self._stored(name)
        return stored["left_out"] if stored else []

    def keep_whole(self, pieces: tuple[Piece, ...], finished: Path) -> None:
        """Forget each recorded shard whose file is missing or altered.

        finished: the folder of finished scores, which a killed run may have moved it to already.
        """
        for piece in pieces:
            if (shard := self.shard(piece.name)) and not any(is_whole(one, shard) for one in (self.folder, finished)):
                self.forget(piece.name)

    def count(self) -> int:
        """The number of recorded shards."""
        with suppress(OSError):
            return sum(name.endswith(".parquet.json") for name in os.listdir(self.folder))
        return 0

    def forget(self, name: str) -> None:
        """Have a shard made again."""
        self._record(name).unlink(missing_ok=True)

    @contextmanager
    def claimed(self, piece: Piece) -> Iterator[bool]:
        """Whether this process may make the piece: no other is making it, and it is not finished.

        The system releases the claim of a process that was killed.
        """
        lock = FileLock(self.folder / f".{piece.name}.lock", timeout=0)
        try:
            lock.acquire()
        except Timeout:
            yield False
            return
        except OSError as error:
            raise unwritable(self.folder, error) from error
        try:
            yield self.shard(piece.name) is None
        finally:
            lock.release()

    def clear(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _record(self, name: str) -> Path:
        return self.folder / f"{name}.json"

    def _stored(self, name: str) -> dict | None:
        with suppress(OSError, ValueError, KeyError, TypeError):
            stored = read_json(self._record(name))
            Shard(**stored["shard"])
            return stored
        return None


def unfinished_for(file: Path) -> Unfinished:
    """The unfinished scores that will become this file or folder."""
    return Unfinished(file.with_name(f".{file.name}.unfinished"))
