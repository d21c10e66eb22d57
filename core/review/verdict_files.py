"""Export and import of verdicts as CSV, entry by entry, without loss and without duplicates."""

import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

import pandas as pd
import sqlalchemy as sql

from core.data.cells import text_of
from core.data.index import list_datasets, read_index
from core.data.joins import JoinReport
from core.data.notes import Note
from core.data.spreadsheet import guarded, unguarded
from core.data.tables import read_table
from core.errors import OverreadError
from core.paths import write_atomically
from core.plural import count_text
from core.review import tables
from core.review.database import Store, transaction
from core.review.store import COLUMNS, insert_entry, verdicts_table
from core.review.verdict_joins import join_verdicts, with_index_ids
from core.review.vocabulary import Verdict, checked, checked_text, reviewer_key, reviewer_name
from core.roles import needs
from core.scores.index_columns import study_columns

CSV_COLUMNS = tuple(name for name in COLUMNS if name != "sequence")
NEEDED = ("study_id", "reviewer")
_FLAGS = {"true": True, "1": True, "yes": True, "": True, "false": False, "0": False, "no": False}


@dataclass(frozen=True)
class ImportedVerdicts:
    """Result of an import: number of new and of known entries, new readers, {line, reason} of skipped rows.

    join: what became of rows and studies. notes: rows that nearly match.
    """

    imported: int
    already: int
    new_reviewers: tuple[str, ...]
    skipped: tuple[dict, ...]
    join: JoinReport
    notes: tuple[Note, ...] = ()


def csv_text(frame: pd.DataFrame, more: tuple[str, ...] = ()) -> str:
    """Entries (a `verdicts_table` with history) as CSV. Missing values are empty; times and numbers are exact.

    A text that a spreadsheet would run as a formula gets an apostrophe before it, which an import takes off. more:
    further columns of the frame to write after the others.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    names = [*CSV_COLUMNS, *more]
    writer.writerow([guarded(name) for name in names])
    for row in frame[names].itertuples(index=False, name=None):
        writer.writerow([_cell(value) for value in row])
    return text.getvalue()


def with_study_columns(entries: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Entries with the further columns of their studies (age, sex, ...) in the indexes here, and their names.

    Names that the export uses itself get the ending _given.
    """
    indexed, parts = {found.name for found in list_datasets()}, []
    for name in entries["dataset"].unique():
        if name in indexed:
            found = study_columns(read_index(name)).reset_index()
            parts.append(found.assign(dataset=name))
    if not parts:
        return entries, ()
    known = pd.concat(parts, ignore_index=True)
    names = [name for name in known if name not in ("dataset", "study_id")]
    more = {name: f"{name}_given" if name in entries else name for name in names}
    joined = entries.merge(known.rename(columns=more), on=["dataset", "study_id"], how="left")
    for name in more.values():
        joined[name] = joined[name].astype(object).where(joined[name].notna(), None)
    return joined, tuple(more.values())


def export_csv(store: Store, file: Path, dataset: str = "") -> int:
    """Write every entry, undos included, of one data set or of all to a file. Returns the number of entries."""
    frame, more = with_study_columns(verdicts_table(store, dataset, history=True))
    write_atomically(file, lambda path: path.write_bytes(csv_text(frame, more).encode()))
    return len(frame)


@needs("data")
def import_csv(
    store: Store,
    file: Path,
    dataset: str = "",
    *,
    skip: bool = False,
    keep_unknown: bool = False,
    allow_unmatched: bool = False,
) -> ImportedVerdicts:
    """Add the entries of a CSV file in order, in one transaction. OverreadError names a bad line; then none is added.

    Required columns: study_id (an id of the index, or a path in MURA's layout), reviewer, and verdict or reading.
    `dataset` is used where there is no column dataset, and the index's label where there is no column given_label.
    skip: leave out bad
    rows and list them. keep_unknown: accept studies that are in no index. allow_unmatched: continue if no row names a
    known study. A row without id and time that repeats another one is imported once, and one that contradicts another
    of the same reader and study is a bad row.
    """
    rows, notes = with_index_ids(list(_records(file)), dataset, file)
    joined = join_verdicts(rows, dataset, file, keep_unknown or allow_unmatched)
    rows = [row for row in rows if row[0] not in joined.repeated]
    skipped: list[dict] = []

    def attempt(line: int, work: Callable):
        try:
            return work()
        except OverreadError as error:
            if not skip:
                raise OverreadError(
                    f"{file.name}, line {line}: {error} Nothing was imported.", code=error.code or "verdict-row-invalid"
                ) from error
            skipped.append({"line": line, "reason": str(error)})
            return None

    labels = _Labels(keep_unknown)

    def entry_of(record: dict, line: int) -> tuple[dict, str]:
        if line in joined.contradicting:
            raise OverreadError(
                f"{record['reviewer'][:40]!r} gives the study {record['study_id'][:80]!r} different verdicts (lines "
                f"{joined.contradicting[line]}) without ids or times. Keep one row, or leave them out with --skip.",
                code="verdicts-contradict",
            )
        return _entry(record, line, dataset, labels)

    entries = [(line, attempt(line, partial(entry_of, record, line))) for line, record in rows]
    with transaction(store, write=True) as connection:
        before = set(connection.execute(sql.select(tables.reviewers.c.key)).scalars())
        start = connection.execute(sql.select(sql.func.max(tables.verdicts.c.sequence))).scalar() or 0
        stored = [attempt(line, partial(insert_entry, connection, *entry)) for line, entry in entries if entry]
    new = sum(entry is not None and entry.sequence > start for entry in stored)
    readers = {entry[0]["reviewer"] for _, entry in entries if entry}
    return ImportedVerdicts(
        new,
        sum(entry is not None for entry in stored) - new,
        tuple(sorted(name for name in readers if reviewer_key(name) not in before)),
        tuple(skipped),
        joined.report,
        (*notes, *joined.notes),
    )


def study_labels(index: pd.DataFrame) -> pd.Series:
    """The label of each study by its id; NaN if it is unknown or its radiographs disagree."""
    found = index.groupby("study_id")["label"].agg(["min", "max"])
    return found["max"].where(found["min"] == found["max"])


class _Labels:
    """Labels of indexed studies; each index is read once."""

    def __init__(self, keep_unknown: bool) -> None:
        self.keep_unknown, self.names = keep_unknown, {found.name for found in list_datasets()}
        self.found: dict = {}

    def of(self, dataset: str, study_id: str) -> float | None:
        """The study's label, or None. OverreadError if no index has the study, unless unknown ones are accepted."""
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
                f"The study {study_id[:80]!r} is not in {where}. Correct it, leave out such rows with --skip, or "
                "accept them with --keep-unknown.",
                code="study-unknown",
            )
        return None


def _records(file: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """The line and the cells of each row, by the names of CSV_COLUMNS where the header has them in another case."""
    try:
        # exact: a note keeps the spaces at its start.
        table = read_table(file, exact=True)
    except OverreadError as error:
        raise OverreadError(
            f"{error} The file may be truncated. Nothing was imported.", code="verdict-file-unreadable"
        ) from error
    ours = {found: name for name in CSV_COLUMNS if (found := table.find(name))}
    names = [ours.get(name, name) for name in table.frame.columns]
    missing = [name for name in NEEDED if name not in names]
    if missing or not {"verdict", "reading"} & set(names):
        lacking = ", ".join(missing) or "verdict or reading"
        raise OverreadError(
            f"{file.name} lacks the column(s) {lacking} (found: {', '.join(names)[:200] or 'none'}). Expected "
            f"{', '.join(NEEDED)} and verdict or reading; the others that `verdicts export` writes may be missing.",
            code="column-missing",
        )
    cells = table.frame.apply(_text_cells) if not table.delimiter else table.frame
    incomplete = table.surplus | table.short | (table.cell_counts > len(names) if table.delimiter else False)
    for place, row in enumerate(cells.itertuples(index=False, name=None)):
        line = int(table.lines[place])
        if incomplete[place]:
            raise OverreadError(
                f"{file.name}, line {line}: expected {count_text(len(names), 'cell')} as in the header, found "
                f"{table.cell_counts[place]}; the file may be truncated. Nothing was imported.",
                code="verdict-row-incomplete",
            )
        yield line, {name: unguarded(cell) for name, cell in zip(names, row)}


def _text_cells(values: pd.Series) -> pd.Series:
    """Cells of Parquet as text; those that are text already are kept to the letter."""
    text = values.map(lambda cell: cell if isinstance(cell, str) else None)
    return text.where(text.notna(), text_of(values))


def _entry(record: dict, line: int, dataset: str, labels: _Labels) -> tuple[dict, str]:
    """A record as (row for `insert_entry`, created), with the checks of a new entry."""
    values = {name: record.get(name, "") for name in CSV_COLUMNS}
    values["dataset"] = values["dataset"] or dataset
    if not values["dataset"]:
        raise OverreadError(
            "The row names no data set. Give --data NAME, or add a column called dataset.", code="data-not-given"
        )
    if values["action"] not in ("", "verdict", "undo"):
        raise OverreadError(
            f"The action is {values['action'][:40]!r}; expected verdict or undo.", code="verdict-value-unknown"
        )
    label = labels.of(values["dataset"], values["study_id"]) if values["study_id"] else None
    if not values["given_label"] and "given_label" not in record:
        values["given_label"] = label
    # A row without an id gets one from its content and line, so that importing a file twice adds nothing.
    values["id"] = values["id"] or str(uuid5(NAMESPACE_URL, repr((line, sorted(record.items())))))
    names = [field.name for field in fields(Verdict)]
    numbers = {name: values[name] if values[name] != "" else None for name in ("given_label", "threshold", "score")}
    entry = Verdict(**{**{name: values[name] for name in names}, **numbers})
    for name in ("score_visible", "label_visible"):
        flag = str(values[name]).strip().lower()
        if flag not in _FLAGS:
            raise OverreadError(f"{name} is {flag[:40]!r}; expected true or false.", code="verdict-value-unknown")
        entry = replace(entry, **{name: _FLAGS[flag]})
    entry = replace(entry, kind=entry.kind or "review")
    if values["action"] == "undo":
        return _undo_row(entry), _time(values["created"])
    return {**asdict(checked(entry)), "action": "verdict"}, _time(values["created"])


def _undo_row(entry: Verdict) -> dict:
    if not entry.supersedes:
        raise OverreadError(
            "An undo names no entry; expected the id of one in the column supersedes.", code="undo-names-no-entry"
        )
    for name in ("id", "dataset", "study_id", "supersedes", "note"):
        checked_text(getattr(entry, name), name, 1_000)
    # An undo has no reading of its own; one is set only to pass the checks of an entry.
    valid = checked(replace(entry, reading="normal", verdict=None, note=""))
    return {**asdict(valid), "reading": None, "reviewer": reviewer_name(entry.reviewer), "action": "undo"}


def _time(text: str) -> str:
    if not text:
        return ""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise OverreadError(
            f"created is {text[:40]!r}; expected a time such as 2026-01-31T08:15:00+00:00, or nothing.",
            code="verdict-time-invalid",
        )
    return found.astimezone(UTC).isoformat(timespec="microseconds")


def _cell(value) -> str:
    if value is None or value != value:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, float) else str(guarded(value))
