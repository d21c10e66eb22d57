"""Verdicts: entered, taken back by a new entry, and read as a table. Nothing is ever changed or removed."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from uuid import uuid4

import pandas as pd
import sqlalchemy as sql

from core.errors import OverreadError
from core.review import database
from core.review.database import Store, open_store, transaction
from core.review.vocabulary import Verdict, checked, reads, reviewer_key, reviewer_name

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

_TABLE = database.verdicts
COLUMNS = tuple(column.name for column in _TABLE.columns)
_KINDS = {
    **dict.fromkeys(COLUMNS, "str"),
    **dict.fromkeys(("given_label", "threshold", "score"), "float64"),
    **dict.fromkeys(("score_visible", "label_visible"), "bool"),
    "sequence": "int64",
}
_SAME_READ = ["dataset", "study_id", "reviewer", "kind", "blind"]


@dataclass(frozen=True)
class StoredEntry:
    """An entry that is on the disk: its id, its place in the order of all entries, and when it came (UTC, ISO 8601)."""

    id: str
    sequence: int
    created: str


def add_verdict(store: Store, entry: Verdict) -> StoredEntry:
    """Keep the entry; when this returns it outlives a kill and a power cut.

    Entering the same id with the same content again returns what was kept. OverreadError where it cannot be meant,
    where it supersedes what is not the reader's own, or where it could not be kept.
    """
    entry = checked(entry)
    with transaction(store, write=True) as connection:
        return insert(connection, {**asdict(entry), "action": "verdict"})


def add_verdict_once(store: Store, entry: Verdict) -> StoredEntry:
    """Keep what one press of a key says, though the press may be told twice: its `id` stands for the press.

    A second telling adds nothing while the first still holds; where the reader has said something else on the study
    since, or taken it back, it is a press of its own and gets an id of its own.
    """
    entry = checked(entry)
    with transaction(store, write=True) as connection:
        said = {**asdict(entry), "action": "verdict"}
        before = connection.execute(sql.select(_TABLE).where(_TABLE.c.id == entry.id)).mappings().first()
        if before is not None:
            if _newest_of(connection, before) == entry.id:
                return StoredEntry(before["id"], before["sequence"], before["created"])
            said["id"] = str(uuid4())
        return insert(connection, said)


def undo_entry(store: Store, entry_id: str, reviewer: str) -> StoredEntry:
    """Take back an entry of one's own (an undo as well) by a new one. The reader's verdict before it holds again."""
    with transaction(store, write=True) as connection:
        return _undo(connection, entry_id, reviewer, str(uuid4()))


def undo_latest(store: Store, dataset: str, reviewer: str, press: str) -> str:
    """Take back the reader's newest entry on a data set, whatever it is by now; the study it was on, '' for none.

    press: the id of the new entry. Told twice of one press, the second time takes nothing more back.
    """
    with transaction(store, write=True) as connection:
        told = connection.execute(sql.select(_TABLE.c.study_id).where(_TABLE.c.id == press)).scalar()
        if told is not None:
            return told
        last = _latest_entry(connection, dataset, reviewer)
        if last is None:
            return ""
        _undo(connection, last[0], reviewer, press)
        return last[1]


def _undo(connection: sql.Connection, entry_id: str, reviewer: str, name: str) -> StoredEntry:
    row = connection.execute(sql.select(_TABLE).where(_TABLE.c.id == entry_id)).mappings().first()
    if row is None:
        raise OverreadError(f"There is no entry {entry_id[:60]!r} to take back; choose one from the history.")
    if entry_id not in in_force(_links(connection, row["dataset"], row["study_id"])):
        raise OverreadError(f"The entry {entry_id} was already taken back or replaced; nothing was changed.")
    same = ("dataset", "study_id", "kind", "given_label", "walkthrough_id", "score_visible", "label_visible")
    return insert(
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


def insert(connection: sql.Connection, row: dict, created: str = "") -> StoredEntry:
    """Keep one checked row inside an open transaction, under the reader's first spelling of the name."""
    row = {**row, "reviewer": register_reviewer(connection, row["reviewer"])}
    if (there := same_entry(connection, row, created)) is not None:
        return there
    if row["supersedes"]:
        _check_superseded(connection, row)
    row["created"] = created or _now(connection)
    result = connection.execute(_TABLE.insert().values(**row))
    return StoredEntry(row["id"], result.inserted_primary_key[0], row["created"])


def same_entry(connection: sql.Connection, row: dict, created: str = "") -> StoredEntry | None:
    """The entry of that id, if it was kept before. OverreadError where it says something else."""
    there = connection.execute(sql.select(_TABLE).where(_TABLE.c.id == row["id"])).mappings().first()
    if there is None:
        return None
    other = [name for name in row if there[name] != row[name]] + ["created"] * bool(
        created and there["created"] != created
    )
    if other:
        raise OverreadError(
            f"The entry {row['id']} is kept already and differs in {', '.join(other)}; entries are never changed. Give "
            "a new entry an id of its own."
        )
    return StoredEntry(there["id"], there["sequence"], there["created"])


def register_reviewer(connection: sql.Connection, name: str) -> str:
    """The reader's name in the spelling it was first entered in, which is kept from now on."""
    table, kept = database.reviewers, reviewer_name(name)
    wanted = table.c.key == reviewer_key(kept)
    if (known := connection.execute(sql.select(table.c.name).where(wanted)).scalar()) is not None:
        return known
    connection.execute(table.insert().values(key=reviewer_key(kept), name=kept, created=timestamp()))
    return kept


def list_reviewers(store: Store) -> list[str]:
    """Everyone who has entered anything, by name."""
    with transaction(store) as connection:
        return sorted(connection.execute(sql.select(database.reviewers.c.name)).scalars())


def latest_entry(store: Store, dataset: str, reviewer: str) -> tuple[str, str] | None:
    """The reader's newest entry on a data set that was not taken back, as (id, study_id). Reads no more than that."""
    with transaction(store) as connection:
        return _latest_entry(connection, dataset, reviewer)


def _latest_entry(connection: sql.Connection, dataset: str, reviewer: str) -> tuple[str, str] | None:
    known = database.reviewers.c
    name = connection.execute(sql.select(known.name).where(known.key == reviewer_key(reviewer))).scalar()
    columns = [_TABLE.c[column] for column in ("sequence", "id", "study_id", "action", "supersedes")]
    query = sql.select(*columns).where(_TABLE.c.dataset == dataset, _TABLE.c.reviewer == name)
    query, gone = query.order_by(_TABLE.c.sequence.desc()).limit(25), set()
    rows = connection.execute(query).all() if name is not None else []
    while rows:
        # From the newest back: what supersedes an entry has been met before it.
        for row in rows:
            if row.id in gone:
                continue
            if row.supersedes:
                gone.add(row.supersedes)
            if row.action == "verdict":
                return row.id, row.study_id
        rows = connection.execute(query.where(_TABLE.c.sequence < rows[-1].sequence)).all()
    return None


def latest_sequence(store: Store) -> int:
    """The place of the newest entry, 0 for none: what a page compares to know whether anything is new."""
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
    """Entries in the order they were kept, with three more columns: `blind`, `read` (one of READS) and `in_force`.

    Current by default: of each reader, study and kind of read the latest that was not taken back; with `history`
    every entry, undos as well. upto: as it stood when this sequence was the newest.
    """
    frame = with_in_force(entries_table(store, dataset, study_id=study_id, upto=upto))
    if reviewer:
        frame = frame[frame["reviewer"].map(reviewer_key) == reviewer_key(reviewer_name(reviewer))]
    if walkthrough_id:
        frame = frame[frame["walkthrough_id"] == walkthrough_id]
    return (frame if history else frame[frame["in_force"]]).reset_index(drop=True)


def entries_table(
    store: Store, dataset: str = "", *, study_id: str = "", upto: int | None = None, after: int = 0
) -> pd.DataFrame:
    """Every entry in the order they were kept, undos as well, with `blind` and `read`. after: only what came later."""
    query = sql.select(_TABLE).where(_TABLE.c.sequence > after).order_by(_TABLE.c.sequence)
    for column, value in ((_TABLE.c.dataset, dataset), (_TABLE.c.study_id, study_id)):
        query = query.where(column == value) if value else query
    if upto is not None:
        query = query.where(_TABLE.c.sequence <= upto)
    with transaction(store) as connection:
        rows = connection.execute(query).all()
    return _typed(rows) if rows else _nothing().copy()


def with_in_force(frame: pd.DataFrame) -> pd.DataFrame:
    """`entries` with one more column, `in_force`: of each reader, study and kind of read the latest not taken back."""
    return frame.assign(in_force=_current(frame))


@lru_cache(1)
def _nothing() -> pd.DataFrame:
    # Most studies have no entry when they are opened, and making an empty table takes as long as a full one.
    return _typed([])


def _typed(rows: list) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=list(COLUMNS)).astype(_KINDS)
    frame["blind"] = ~(frame["score_visible"] | frame["label_visible"])
    frame["read"] = reads(frame)
    return frame


def _current(frame: pd.DataFrame) -> pd.Series:
    links = frame[["id", "supersedes"]].itertuples(index=False, name=None)
    stands = frame["id"].isin(in_force(links)) & (frame["action"] == "verdict")
    # By time, since entries of another database may have been imported after newer ones.
    newest = frame[stands].sort_values(["created", "sequence"]).drop_duplicates(_SAME_READ, keep="last")
    return pd.Series(frame.index.isin(newest.index), index=frame.index, dtype=bool)


def in_force(links: Iterable[tuple[str, str | None]]) -> set[str]:
    """Ids that nothing in force supersedes. links: (id, what it supersedes or a missing value), oldest first."""
    stands: set[str] = set()
    gone: set[str] = set()
    # An entry is superseded only by a later one, so from the newest back each is known when it is met.
    for name, superseded in reversed(list(links)):
        if name in gone:
            continue
        stands.add(name)
        if isinstance(superseded, str):
            gone.add(superseded)
    return stands


def _links(connection: sql.Connection, dataset: str, study_id: str) -> list[tuple]:
    query = sql.select(_TABLE.c.id, _TABLE.c.supersedes).order_by(_TABLE.c.sequence)
    return list(connection.execute(query.where(_TABLE.c.dataset == dataset, _TABLE.c.study_id == study_id)).all())


def _newest_of(connection: sql.Connection, row) -> str:
    """The id of the newest entry in force by the reader of `row` on its study; '' for none."""
    columns = (_TABLE.c.id, _TABLE.c.supersedes, _TABLE.c.action)
    own = (_TABLE.c[name] == row[name] for name in ("dataset", "study_id", "reviewer"))
    entries = connection.execute(sql.select(*columns).where(*own).order_by(_TABLE.c.sequence)).all()
    stands = in_force((entry.id, entry.supersedes) for entry in entries)
    return next((entry.id for entry in reversed(entries) if entry.id in stands and entry.action == "verdict"), "")


def _check_superseded(connection: sql.Connection, row: dict) -> None:
    old = connection.execute(sql.select(_TABLE).where(_TABLE.c.id == row["supersedes"])).mappings().first()
    if old is None:
        raise OverreadError(
            f"The entry {row['id']} supersedes {row['supersedes'][:60]!r}, which is not kept here; name an earlier one."
        )
    for name in ("reviewer", "dataset", "study_id"):
        if old[name] != row[name]:
            raise OverreadError(
                f"The entry {row['supersedes']} is of another {name.replace('_id', '')} ({old[name]!r}); only one's "
                "own entry on the same study can be taken back or replaced. Enter a verdict of your own beside it."
            )


def timestamp() -> str:
    """Now, UTC, to the microsecond, as it is kept."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def _now(connection: sql.Connection) -> str:
    """Now, or just after the newest entry where the clock was set back."""
    newest = connection.execute(sql.select(sql.func.max(_TABLE.c.created))).scalar()
    now = timestamp()
    if newest is None or now > newest:
        return now
    return (datetime.fromisoformat(newest) + timedelta(microseconds=1)).isoformat(timespec="microseconds")
