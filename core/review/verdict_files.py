"""Verdicts as CSV and back, entry by entry: nothing is lost on the way, and nothing enters twice."""

import csv
import io
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

import pandas as pd
import sqlalchemy as sql

from core.data.index import list_datasets, read_index
from core.errors import OverreadError
from core.paths import write_atomically
from core.review import database
from core.review.database import Store, transaction
from core.review.store import COLUMNS, insert, verdicts_table
from core.review.vocabulary import Verdict, checked, checked_text, reviewer_key, reviewer_name

CSV_COLUMNS = tuple(name for name in COLUMNS if name != "sequence")
NEEDED = ("study_id", "reviewer")
_FLAGS = {"true": True, "1": True, "yes": True, "": True, "false": False, "0": False, "no": False}


@dataclass(frozen=True)
class ImportedVerdicts:
    """What an import did: entries new here, entries known before, new readers, {line, reason} of rows left out."""

    imported: int
    already: int
    new_reviewers: tuple[str, ...]
    skipped: tuple[dict, ...]


def csv_text(frame: pd.DataFrame) -> str:
    """Entries (a `verdicts_table` with its history) as CSV; missing is empty, times and numbers are exact."""
    kept = io.StringIO(newline="")
    writer = csv.writer(kept, lineterminator="\r\n")
    writer.writerow(CSV_COLUMNS)
    for row in frame[list(CSV_COLUMNS)].itertuples(index=False, name=None):
        writer.writerow([_cell(value) for value in row])
    return kept.getvalue()


def export_csv(store: Store, file: Path, dataset: str = "") -> int:
    """Write every entry, undos as well, of one data set or of all; how many. The file is replaced in one step."""
    frame = verdicts_table(store, dataset, history=True)
    write_atomically(file, lambda path: path.write_bytes(csv_text(frame).encode()))
    return len(frame)


def import_csv(
    store: Store, file: Path, dataset: str = "", *, skip: bool = False, keep_unknown: bool = False
) -> ImportedVerdicts:
    """Enter what a CSV holds, in its order, in one transaction: all of it, or none and OverreadError names the line.

    Needed columns: study_id, reviewer, and verdict or reading; `dataset` stands in for a missing column, the index for
    a missing given_label. skip: leave bad rows out and list them. keep_unknown: take studies that no index holds.
    """
    rows = list(_records(file))
    skipped: list[dict] = []

    def attempt(line: int, work: Callable):
        try:
            return work()
        except OverreadError as error:
            if not skip:
                raise OverreadError(f"{file.name}, line {line}: {error} Nothing was imported.") from error
            skipped.append({"line": line, "reason": str(error)})
            return None

    labels = _Labels(keep_unknown)
    entries = [(line, attempt(line, partial(_entry, record, line, dataset, labels))) for line, record in rows]
    with transaction(store, write=True) as connection:
        before = set(connection.execute(sql.select(database.reviewers.c.key)).scalars())
        start = connection.execute(sql.select(sql.func.max(database.verdicts.c.sequence))).scalar() or 0
        kept = [attempt(line, partial(insert, connection, *entry)) for line, entry in entries if entry]
    new = sum(entry is not None and entry.sequence > start for entry in kept)
    readers = {entry[0]["reviewer"] for _, entry in entries if entry}
    return ImportedVerdicts(
        new,
        sum(entry is not None for entry in kept) - new,
        tuple(sorted(name for name in readers if reviewer_key(name) not in before)),
        tuple(skipped),
    )


def study_labels(index: pd.DataFrame) -> pd.Series:
    """The label of each study by its id; NaN where it is unknown or its radiographs disagree."""
    found = index.groupby("study_id")["label"].agg(["min", "max"])
    return found["max"].where(found["min"] == found["max"])


class _Labels:
    """The labels of the studies that are indexed, each index read once."""

    def __init__(self, keep_unknown: bool) -> None:
        self.keep_unknown, self.names, self.found = keep_unknown, {found.name for found in list_datasets()}, {}

    def of(self, dataset: str, study_id: str) -> float | None:
        """The study's label, or None. OverreadError where no index holds the study, unless unknown ones are kept."""
        if dataset in self.names and dataset not in self.found:
            self.found[dataset] = study_labels(read_index(dataset))
        labels = self.found.get(dataset)
        if labels is not None and study_id in labels.index:
            return None if pd.isna(labels[study_id]) else float(labels[study_id])
        if not self.keep_unknown:
            where = (
                f"the data set {dataset!r}" if labels is not None else f"{dataset[:60]!r}, which is not indexed here"
            )
            raise OverreadError(
                f"The study {study_id[:80]!r} is not in {where}; correct it, leave such rows out with --skip, or take "
                "them as they are with --keep-unknown."
            )
        return None


def _records(file: Path):
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise OverreadError(f"{file} cannot be read ({error.strerror}); name a CSV of verdicts.") from error
    except UnicodeDecodeError as error:
        raise OverreadError(f"{file} is not text in UTF-8 (byte {error.start}); save it as CSV in UTF-8.") from error
    # A cell that is too long is refused by what it is (a note, a name), not by the reader.
    csv.field_size_limit(max(csv.field_size_limit(), 2**30))
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        names = reader.fieldnames or []
        missing = [name for name in NEEDED if name not in names]
        if missing or not {"verdict", "reading"} & set(names):
            lacking = ", ".join(missing) or "verdict or reading"
            raise OverreadError(
                f"{file.name} lacks the column(s) {lacking}; it has {', '.join(names)[:200] or 'none'}. Expected the "
                f"columns of an export: {', '.join(CSV_COLUMNS)}."
            )
        for record in reader:
            if None in record or None in record.values():
                raise OverreadError(
                    f"{file.name}, line {reader.line_num}: expected {len(names)} cells as in the header, found more or "
                    "fewer; was the file cut off? Nothing was imported."
                )
            yield reader.line_num, record
    except csv.Error as error:
        raise OverreadError(
            f"{file.name}, line {reader.line_num}: not CSV ({error}); was the file cut off? Nothing was imported."
        ) from error


def _entry(record: dict, line: int, dataset: str, labels: _Labels) -> tuple[dict, str]:
    """A record as (row for `insert`, created), checked as if it were entered."""
    values = {name: record.get(name, "") for name in CSV_COLUMNS}
    values["dataset"] = values["dataset"] or dataset
    if not values["dataset"]:
        raise OverreadError("The data set is not said; give --data NAME, or a column dataset.")
    if values["action"] not in ("", "verdict", "undo"):
        raise OverreadError(f"The action is {values['action'][:40]!r}; expected verdict or undo.")
    label = labels.of(values["dataset"], values["study_id"]) if values["study_id"] else None
    if not values["given_label"] and "given_label" not in record:
        values["given_label"] = label
    # Without an id of its own a row is known by what it says and where it stands, so that a file enters once.
    values["id"] = values["id"] or str(uuid5(NAMESPACE_URL, repr((line, sorted(record.items())))))
    names = [field.name for field in fields(Verdict)]
    numbers = {name: values[name] if values[name] != "" else None for name in ("given_label", "threshold", "score")}
    entry = Verdict(**{**{name: values[name] for name in names}, **numbers})
    for name in ("score_visible", "label_visible"):
        said = str(values[name]).strip().lower()
        if said not in _FLAGS:
            raise OverreadError(f"{name} is {said[:40]!r}; expected true or false.")
        entry = replace(entry, **{name: _FLAGS[said]})
    entry = replace(entry, kind=entry.kind or "review")
    if values["action"] == "undo":
        return _undo_row(entry), _time(values["created"])
    return {**asdict(checked(entry)), "action": "verdict"}, _time(values["created"])


def _undo_row(entry: Verdict) -> dict:
    if not entry.supersedes:
        raise OverreadError("An undo names no entry; expected its id in supersedes.")
    for name in ("id", "dataset", "study_id", "supersedes", "note"):
        checked_text(getattr(entry, name), name, 1_000)
    # Read with the checks of an entry that says something, then without what it said.
    said = checked(replace(entry, reading="normal", verdict=None, note=""))
    return {**asdict(said), "reading": None, "reviewer": reviewer_name(entry.reviewer), "action": "undo"}


def _time(text: str) -> str:
    if not text:
        return ""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise OverreadError(f"created is {text[:40]!r}; expected a time as in 2026-01-31T08:15:00+00:00, or nothing.")
    return found.astimezone(UTC).isoformat(timespec="microseconds")


def _cell(value) -> str:
    if value is None or value != value:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, float) else str(value)
