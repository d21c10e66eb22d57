"""Facts from an earlier index of the same source, so that unchanged files are not read again and splits stay."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa

from core.among import among
from core.data.datasets import conflicting_studies, read_dataset, read_index
from core.data.file_facts import StoredFacts
from core.data.label_levels import StoredRule, own_labels
from core.data.notes import Note
from core.errors import OverreadError
from core.parquet_files import read_table, write_parquet
from core.paths import dataset_folder
from core.plural import count_text

FILE = "files.parquet"
# Raised when files are inspected more closely, so that files which an earlier version accepted are inspected again.
# 2: a JPEG whose data end before its picture does is unreadable, also with an end marker behind them.
FACTS_VERSION = 2
# `peculiar` holds the conversion; the name on disk is kept so that older indexes can be read.
_COLUMNS = ("bytes", "mtime_ns", "width", "height", "sha1", "peculiar")


@dataclass(frozen=True)
class EarlierIndex:
    """The frame of an earlier index, the facts of its files by path, and where its splits came from.

    keep: called now and then with the facts of the files read so far, so that a stopped indexing continues from there.
    """

    frame: pd.DataFrame
    facts: dict[str, StoredFacts]
    splits_from: str
    keep: Callable[[dict[str, StoredFacts]], None] | None = None


def read_earlier_index(name: str, source: Path | str) -> EarlierIndex | None:
    """The earlier index of this name; None if there is none or it was made from another source.

    Without facts of files where an earlier version inspected them, so that every file is read again.
    """
    try:
        facts = read_file_facts(dataset_folder(name) / FILE, source)
        if facts is None:
            return None
        dataset, frame = read_dataset(name), read_index(name)
    except (OSError, ValueError, KeyError):  # OverreadError is a ValueError
        return None
    return EarlierIndex(frame, facts, dataset.splits_from)


def read_file_facts(file: Path, source: Path | str) -> dict[str, StoredFacts] | None:
    """The facts of files in a file that `write_file_facts` wrote for this source; None if it is of another one.

    Empty where an earlier version inspected the files. OSError, KeyError or ValueError if it cannot be read.
    """
    table = read_table(file)
    metadata = table.schema.metadata or {}
    if metadata.get(b"source", b"").decode() != str(Path(source).resolve()):
        return None
    if metadata.get(b"version", b"1") != str(FACTS_VERSION).encode():
        return {}
    rows = table.to_pydict()
    return dict(zip(rows["path"], zip(*(rows[column] for column in _COLUMNS))))


def earlier_labels(name: str) -> pd.DataFrame | None:
    """image_id, sha1 and own label of the labelled radiographs of the index of this name, made from any source."""
    try:
        frame = read_index(name)
    except (OSError, ValueError, KeyError):  # OverreadError is a ValueError
        return None
    return labelled_rows(frame, "image_id", "sha1")


def labelled_rows(frame: pd.DataFrame, *names: str) -> pd.DataFrame:
    """These columns and the own label of the labelled radiographs, for `check_labels_kept`."""
    rows = frame[list(names)].assign(label=own_labels(frame))
    return rows[rows["label"].notna()]


def earlier_rule(name: str) -> StoredRule | None:
    """The label level and study rule of the index of this name, made from any source."""
    try:
        dataset, frame = read_dataset(name), read_index(name)
    except (OSError, ValueError, KeyError):  # OverreadError is a ValueError
        return None
    return StoredRule(dataset.label_level, dataset.study_rule, bool(conflicting_studies(frame)))


def check_labels_kept(frame: pd.DataFrame, before: pd.DataFrame | None, what: str, allow: bool = False) -> list[Note]:
    """Notes on labels that were lost or changed since. OverreadError if there are any, unless that is allowed.

    before: from `labelled_rows`; with `sha1` a renamed file is recognised. Own labels are compared, so that another
    rule for the labels of studies changes nothing here.
    """
    if before is None or before.empty:
        return []
    before = before.assign(label=own_labels(before))
    old = frame["image_id"].map(before.drop_duplicates("image_id").set_index("image_id")["label"])
    if "sha1" in before and "sha1" in frame:
        by_content = before[~among(before["image_id"], frame["image_id"])].drop_duplicates("sha1").set_index("sha1")
        old = old.fillna(frame["sha1"].map(by_content["label"]))
    new, had = own_labels(frame), int(old.notna().sum())
    lost, changed = old.notna() & new.isna(), old.notna() & new.notna() & (old != new)
    notes = []
    for rows, word, code in ((lost, "lost", "labels-lost"), (changed, "changed", "labels-changed")):
        count = int(rows.sum())
        if not count:
            continue
        first = ", ".join(map(repr, frame.loc[rows, "image_id"].head(3)))
        counted = f"{count:,} of {count_text(had, 'label')} that {what} had"
        if not allow:
            raise OverreadError(
                f"{counted} would be {word} (first: {first}); expected the same label for each of these radiographs. "
                "Give the table that has them, use another --name, or pass --allow-lost-labels, which accepts lost and "
                "changed labels. Nothing was changed.",
                code=code,
            )
        notes.append(Note(f"{counted} are {word} (first: {first})", code))
    return notes


def write_file_facts(file: Path, facts: dict[str, StoredFacts], source: Path) -> None:
    """Store the facts of files, with the source they belong to."""
    columns = {column: [row[place] for row in facts.values()] for place, column in enumerate(_COLUMNS)}
    table = pa.table({"path": list(facts), **columns})
    metadata = {b"source": str(source.resolve()).encode(), b"version": str(FACTS_VERSION).encode()}
    write_parquet(file, table.replace_schema_metadata(metadata))


def count_changes(frame: pd.DataFrame, earlier: EarlierIndex | None) -> dict[str, int]:
    """Radiographs added, changed in content, unchanged and removed since the earlier index."""
    old = earlier.frame.set_index("image_id")["sha1"] if earlier else pd.Series(dtype="str")
    was = frame["image_id"].map(old)
    return {
        "added": int(was.isna().sum()),
        "changed": int((was.notna() & (was != frame["sha1"])).sum()),
        "unchanged": int((was == frame["sha1"]).sum()),
        "removed": int((~old.index.isin(frame["image_id"])).sum()),
    }
