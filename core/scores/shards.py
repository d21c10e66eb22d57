"""Scores in shards: a folder of Parquet files, in the place where smaller scores are one file. No torch.

Each shard has rows of one split. `_manifest.json` is written last and lists the shards with their hashes, so a folder
is read as a whole or not at all. Any reader of Parquet reads the folder: names that begin with `_` or `.` are skipped.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import pandas as pd
import pyarrow.dataset

from core.checksums import file_hash, parse_json, read_json, write_json
from core.data.references import name_in
from core.errors import OverreadError, reason_of
from core.parquet_files import read_parquet, read_schema, write_parquet
from core.paths import file_stamp
from core.plural import count_text
from core.schema import PREDICTIONS, check

# The columns from which studies, their scores and the halves of a split are made.
OF_STUDIES = (
    *("study_id", "patient_id", "group_id", "bone", "split", "label", "logit"),
    *("probability", "attention", "pooling", "checkpoint", "dataset"),
)
FORMAT = 1
MANIFEST, LEFT_OUT = "_manifest.json", "_left_out.jsonl"
SHARD_ROWS = 2_048
# An index of more radiographs is scored into shards; MURA has 40,005.
SINGLE_FILE_ROWS = 50_000


@dataclass(frozen=True)
class Shard:
    """A file of a table, with its hash. left_out: radiographs of its rows that could not be decoded."""

    name: str
    split: str
    rows: int
    sha256: str
    left_out: int = 0


@dataclass(frozen=True)
class ShardedTable:
    """Scores in shards. facts: what made them, in JSON values (`core.scores.scoring_plan.ScoringPlan`)."""

    folder: Path
    facts: dict
    shards: tuple[Shard, ...]

    @property
    def rows(self) -> int:
        """The rows of all shards."""
        return sum(shard.rows for shard in self.shards)

    @property
    def splits(self) -> list[str]:
        """The splits that have rows."""
        return sorted({shard.split for shard in self.shards if shard.rows})

    @property
    def digest(self) -> str:
        """SHA-256 of the names and hashes of all shards: equal for equal tables."""
        return hashlib.sha256("".join(f"{one.sha256}  {one.name}\n" for one in self.shards).encode()).hexdigest()

    def of_split(self, split: str) -> "list[Shard]":
        """The shards of one split, or all for ''."""
        return [shard for shard in self.shards if split in ("", shard.split)]

    def left_out(self) -> Iterator[dict]:
        """{image_id, path, sha1, reason, shard} of each radiograph that could not be decoded."""
        if not any(shard.left_out for shard in self.shards):
            return
        names = {shard.name for shard in self.shards}
        with (self.folder / LEFT_OUT).open() as opened:
            for line in opened:
                if (row := parse_json(line))["shard"] in names:
                    yield row


def is_sharded(file: Path) -> bool:
    """Whether scores of this name are in shards."""
    return file.is_dir()


def read_table(folder: Path) -> ShardedTable:
    """The description of scores in shards. OverreadError where they are not finished or the manifest is damaged."""
    file = folder / MANIFEST
    try:
        stored = read_json(file)
        if stored["format"] != FORMAT:
            raise ValueError(f"format {stored['format']!r}, and this version reads {FORMAT}")
        return ShardedTable(folder, stored["facts"], tuple(Shard(**one) for one in stored["shards"]))
    except FileNotFoundError:
        raise OverreadError(
            f"The scores in {folder} are not finished; continue with: python -m core predict CHECKPOINT --data NAME",
            code="shards-unfinished",
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OverreadError(
            f"{file} cannot be read ({reason_of(error)}). Delete {folder} and score again with: "
            "python -m core predict CHECKPOINT --data NAME",
            code="shards-manifest-unreadable",
            file=file,
        ) from error


def write_table(table: ShardedTable) -> Path:
    """Write the manifest, which makes its shards the table. The shards are in the folder already."""
    stored = {
        "format": FORMAT,
        "facts": table.facts,
        "rows": table.rows,
        "table_sha256": table.digest,
        "shards": [asdict(shard) for shard in table.shards],
    }
    return write_json(table.folder / MANIFEST, stored, indent=1)


def write_shard(file: Path, frame: pd.DataFrame) -> str:
    """Write rows of PREDICTIONS as one file and return its SHA-256."""
    check(frame, PREDICTIONS, file.name)
    return file_hash(write_parquet(file, frame, beside=False))


def is_whole(folder: Path, shard: Shard) -> bool:
    """Whether the file of a shard exists and has its hash."""
    file = folder / shard.name
    return file.exists() and file_hash(file) == shard.sha256


def read_shards(
    table: ShardedTable, split: str = "", bone: str = "", columns: Sequence[str] | None = None
) -> pd.DataFrame:
    """The rows of a split and bone, '' for all; only these shards and columns are read. OverreadError names a bad file.

    columns: by default all.
    """
    files = _checked_files(table, split)
    if not files:
        return pd.DataFrame(columns=list(columns or PREDICTIONS))
    # The first shard has the schema of all.
    source = pyarrow.dataset.dataset(files, format="parquet")
    names = [name for name in columns if name in source.schema.names] if columns is not None else None
    wanted = pyarrow.dataset.field("bone") == bone if bone else None
    return source.to_table(columns=names, filter=wanted).to_pandas()


def iter_shards(table: ShardedTable, split: str = "", columns: Sequence[str] | None = None) -> Iterator[pd.DataFrame]:
    """The rows of a split, one shard after another."""
    for file in _checked_files(table, split):
        known = read_schema(file).names
        yield read_parquet(file, columns=[name for name in columns if name in known] if columns else None)


def check_shards(folder: Path) -> None:
    """OverreadError for the first shard of a table that is missing or altered."""
    _checked_files(read_table(folder), "")


def _checked_files(table: ShardedTable, split: str) -> list[str]:
    """The files of a split. OverreadError for the first that is missing or altered."""
    for shard in table.of_split(split):
        command = f"{predict_command(table.facts)} --split {shard.split}"
        _check_file(file_stamp(table.folder / shard.name), shard.sha256, command)
    return [str(table.folder / shard.name) for shard in table.of_split(split)]


@lru_cache(maxsize=100_000)
def _check_file(stamp: tuple[str, int, int], sha256: str, command: str) -> None:
    """OverreadError where the file does not have this hash. A file that has not changed is not read again."""
    file = Path(stamp[0])
    found = file_hash(file) if file.exists() else ""
    if found != sha256:
        what = "does not have the hash stored in" if found else "does not exist, and is listed in"
        raise OverreadError(
            f"{file} {what} {MANIFEST}. This command makes it again, and no other shard: {command}",
            code="shard-altered" if found else "shard-missing",
            file=file,
        )


def predict_command(facts: dict) -> str:
    """The command that made scores, by the present names in their facts."""
    checkpoint, data = (name_in(facts[name]) for name in ("checkpoint", "dataset"))
    return f"python -m core predict {checkpoint} --data {data}"


def shards_text(table: ShardedTable) -> str:
    """`100,000 radiographs in 49 shards`."""
    return f"{count_text(table.rows, 'radiograph')} in {count_text(len(table.shards), 'shard')}"
