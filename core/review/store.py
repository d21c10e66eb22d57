"""Verdicts: added, undone by a new entry, and read as a table. No entry is ever changed or removed."""

from dataclasses import asdict, dataclass
from functools import lru_cache
from uuid import uuid4

import pandas as pd
import sqlalchemy as sql

from core.errors import OverreadError
from core.review import chain, tables
from core.review.database import Store, later_timestamp, open_store, settled, transaction
from core.review.in_force import in_force, with_in_force
from core.review.readers import register_reviewer
from core.review.vocabulary import Verdict, checked, reads, reviewer_key, reviewer_name
from core.roles import needs

__all__ = [
    "Store",
    "StoredEntry",
    "Verdict",
    "add_verdict",
    "add_verdict_once",
    "open_store",
    "undo_entry",
    "undo_latest",
    "verdicts_table",
]

_TABLE = tables.verdicts
COLUMNS = (*(column.name for column in _TABLE.columns), "boxes")
_KINDS = {
    **dict.fromkeys(COLUMNS, "str"),
    **dict.fromkeys(("given_label", "threshold", "score"), "float64"),
    **dict.fromkeys(("score_visible", "label_visible"), "bool"),
    "sequence": "int64",
}
_ENTRIES = chain.ENTRIES


@dataclass(frozen=True)
class StoredEntry:
    """An entry on the disk: its id, its place among all entries, and when it was created (UTC, ISO 8601)."""

    id: str
    sequence: int
    created: str


@needs("read")
def add_verdict(store: Store, entry: Verdict) -> StoredEntry:
    """Store the entry; when this returns, the entry survives a kill and a power cut.

    Adding an id with the same content again returns the stored entry. OverreadError if the entry is contradictory, if
    it supersedes an entry of another reader, or if it could not be stored.
    """
    entry = checked(entry)

    def write() -> StoredEntry:
        with transaction(store, write=True) as connection:
            return insert_entry(connection, {**asdict(entry), "action": "verdict"})

    return settled(write)


@needs("read")
def add_verdict_once(store: Store, entry: Verdict) -> StoredEntry:
    """Store the entry of one press; `id` identifies the press, which a page may report more than once.

    A repeated report adds nothing and returns the stored entry, also if the reader has since replaced or undone it.
    """
    entry = checked(entry)

    def write() -> StoredEntry:
        with transaction(store, write=True) as connection:
            stored = connection.execute(sql.select(_TABLE).where(_TABLE.c.id == entry.id)).mappings().first()
            if stored is not None:
                return StoredEntry(stored["id"], stored["sequence"], stored["created"])
            return insert_entry(connection, {**asdict(entry), "action": "verdict"})

    return settled(write)


@needs("read")
def undo_entry(store: Store, entry_id: str, reviewer: str) -> StoredEntry:
    """Undo one's own entry by a new one; the reader's earlier verdict is in force again. An undo can be undone too."""
    name = str(uuid4())

    def write() -> StoredEntry:
        with transaction(store, write=True) as connection:
            done = connection.execute(sql.select(_TABLE).where(_TABLE.c.id == name)).mappings().first()
            if done is not None:  # stored by an attempt whose outcome was unknown
                return StoredEntry(done["id"], done["sequence"], done["created"])
            return _undo(connection, entry_id, reviewer, name)

    return settled(write)


@needs("read")
def undo_latest(store: Store, dataset: str, reviewer: str, press: str) -> str:
    """Undo the reader's newest verdict on a data set; returns its study, '' if there is none.

    press: the id of the new entry. A repeated report of the same press undoes nothing more.
    """

    def write() -> str:
        with transaction(store, write=True) as connection:
            done = connection.execute(sql.select(_TABLE.c.study_id).where(_TABLE.c.id == press)).scalar()
            if done is not None:
                return done
            last = _latest_entry(connection, dataset, reviewer)
            if last is None:
                return ""
            _undo(connection, last[0], reviewer, press)
            return last[1]

    return settled(write)


def _undo(connection: sql.Connection, entry_id: str, reviewer: str, name: str) -> StoredEntry:
    row = connection.execute(sql.select(_TABLE).where(_TABLE.c.id == entry_id)).mappings().first()
    if row is None:
        raise OverreadError(f"No entry {entry_id[:60]!r} to undo. Choose one from the history.", code="entry-missing")
    if entry_id not in in_force(_links(connection, row["dataset"], row["study_id"])):
        raise OverreadError(
            f"The entry {entry_id} was already undone or replaced. Nothing was changed.", code="entry-superseded"
        )
    same = (
        "dataset", "study_id", "kind", "given_label", "walkthrough_id", "round", "score_visible", "label_visible",
    )  # fmt: skip
    return insert_entry(
        connection,
        {
            **{column: row[column] for column in same},
            "id": name,
            "action": "undo",
            "reviewer": reviewer_name(reviewer),
            "note": "",
            "supersedes": entry_id,
        },
    )


def insert_entry(connection: sql.Connection, row: dict, created: str = "") -> StoredEntry:
    """Store one checked row inside an open transaction, with the reader's name as it was first spelled."""
    row = {**row, "reviewer": register_reviewer(connection, row["reviewer"])}
    if (stored := find_same_entry(connection, row, created)) is not None:
        return stored
    if row["supersedes"]:
        _check_superseded(connection, row)
    row["created"] = created or later_timestamp(connection, _TABLE.c.created)
    boxes = row.pop("boxes", None)
    result = connection.execute(_TABLE.insert().values(**row))
    if boxes:
        connection.execute(tables.boxes.insert().values(entry_id=row["id"], boxes=boxes))
    chain.append(connection, _TABLE, (result.inserted_primary_key[0],))
    return StoredEntry(row["id"], result.inserted_primary_key[0], row["created"])


def find_same_entry(connection: sql.Connection, row: dict, created: str = "") -> StoredEntry | None:
    """The stored entry of this id, if there is one. OverreadError if its content differs."""
    stored = connection.execute(_ENTRIES.where(_TABLE.c.id == row["id"])).mappings().first()
    if stored is None:
        return None
    other = [name for name in row if stored[name] != row[name]] + ["created"] * bool(
        created and stored["created"] != created
    )
    if other:
        raise OverreadError(
            f"The entry {row['id']} exists and differs in {', '.join(other)}; entries are never changed. Give the new "
            "entry its own id.",
            code="entry-differs",
        )
    return StoredEntry(stored["id"], stored["sequence"], stored["created"])


def latest_entry(store: Store, dataset: str, reviewer: str) -> tuple[str, str] | None:
    """The reader's newest verdict in force on a data set, as (id, study_id); None without one."""
    with transaction(store) as connection:
        return _latest_entry(connection, dataset, reviewer)


def _latest_entry(connection: sql.Connection, dataset: str, reviewer: str) -> tuple[str, str] | None:
    known = tables.reviewers.c
    name = connection.execute(sql.select(known.name).where(known.key == reviewer_key(reviewer))).scalar()
    columns = [_TABLE.c[column] for column in ("sequence", "id", "study_id", "action", "supersedes")]
    query = sql.select(*columns).where(_TABLE.c.dataset == dataset, _TABLE.c.reviewer == name)
    query, superseded = query.order_by(_TABLE.c.sequence.desc()).limit(25), set()
    rows = connection.execute(query).all() if name is not None else []
    while rows:
        # From the newest to the oldest: an entry comes after everything that supersedes it.
        for row in rows:
            if row.id in superseded:
                continue
            if row.supersedes:
                superseded.add(row.supersedes)
            if row.action == "verdict":
                return row.id, row.study_id
        rows = connection.execute(query.where(_TABLE.c.sequence < rows[-1].sequence)).all()
    return None


def latest_sequence(store: Store) -> int:
    """The sequence of the newest entry, 0 without entries. It changes if and only if entries are added."""
    with transaction(store) as connection:
        return connection.execute(sql.select(sql.func.max(_TABLE.c.sequence))).scalar() or 0


def verdicts_table(
    store: Store,
    dataset: str = "",
    *,
    history: bool = False,
    study_id: str = "",
    reviewer: str = "",
    walkthrough_id: str = "",
    upto: int | None = None,
) -> pd.DataFrame:
    """Entries in order, with three more columns: `blind`, `read` (one of READS) and `in_force`.

    Only entries in force by default: for each reader, study and kind of read the latest that was not undone. history:
    every entry, undos included. upto: the state when this sequence was the newest.
    """
    frame = with_in_force(entries_table(store, dataset, study_id=study_id, upto=upto))
    if reviewer:
        frame = frame[frame["reviewer"].map(reviewer_key) == reviewer_key(reviewer_name(reviewer))]
    if walkthrough_id:
        frame = frame[frame["walkthrough_id"] == walkthrough_id]
    return (frame if history else frame[frame["in_force"]]).reset_index(drop=True)


def entries_table(
    store: Store,
    dataset: str = "",
    *,
    study_id: str = "",
    walkthrough_id: str = "",
    upto: int | None = None,
    after: int = 0,
) -> pd.DataFrame:
    """Every entry in order, undos included, with `blind` and `read`. after: only later ones than this sequence.

    OverreadError where one was altered since it was written.
    """
    query = _ENTRIES.where(_TABLE.c.sequence > after).order_by(_TABLE.c.sequence)
    named = {"dataset": dataset, "study_id": study_id, "walkthrough_id": walkthrough_id}
    for column, value in ((_TABLE.c[name], value) for name, value in named.items()):
        query = query.where(column == value) if value else query
    if upto is not None:
        query = query.where(_TABLE.c.sequence <= upto)
    with transaction(store) as connection:
        rows = list(connection.execute(query).all())
        chain.check_entries(connection, rows)
    return _typed(rows) if rows else _empty_table().copy()


@lru_cache(1)
def _empty_table() -> pd.DataFrame:
    # Cached: most studies have no entry yet, and making an empty table takes as long as making a full one.
    return _typed([])


def _typed(rows: list) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=list(COLUMNS)).astype(_KINDS)
    frame["blind"] = ~(frame["score_visible"] | frame["label_visible"])
    frame["read"] = reads(frame)
    return frame


def _links(connection: sql.Connection, dataset: str, study_id: str) -> list[tuple]:
    query = sql.select(_TABLE.c.id, _TABLE.c.supersedes).order_by(_TABLE.c.sequence)
    return list(connection.execute(query.where(_TABLE.c.dataset == dataset, _TABLE.c.study_id == study_id)).all())


def _check_superseded(connection: sql.Connection, row: dict) -> None:
    old = connection.execute(sql.select(_TABLE).where(_TABLE.c.id == row["supersedes"])).mappings().first()
    if old is None:
        raise OverreadError(
            f"The entry {row['id']} supersedes {row['supersedes'][:60]!r}, which does not exist. Name an earlier one.",
            code="entry-missing",
        )
    for name in ("reviewer", "dataset", "study_id"):
        if old[name] != row[name]:
            raise OverreadError(
                f"The entry {row['supersedes']} has another {name.replace('_id', '')} ({old[name]!r}); readers can "
                "only undo or replace their own entry on the same study. Add your own verdict instead.",
                code="entry-not-own",
            )
