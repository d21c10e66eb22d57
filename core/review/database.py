"""The review database: opening it, and transactions that are kept as a whole or raise OverreadError.

SQLite at `workspace/review.sqlite` (write-ahead log, every commit on the disk before it returns), or PostgreSQL if
`OVERREAD_DATABASE_URL` names one. Rows are only added, except for presenters' and participants' current places.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import sqlalchemy as sql
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from core.errors import OverreadError, reason_of
from core.paths import home, unwritable
from core.plural import count_text
from core.review import chain, tables
from core.review.addresses import read_address, shown_address, without_secrets

VERSION = 1
# The code of an error after which it is not known whether the entry was kept.
UNKNOWN = "database-connection-lost"
_CHECKED_BYTES = 32_000_000  # up to this size SQLite compares tables with indexes when a file is opened: 4 ms per MB
_WAITS = (0.1, 0.4, 1.0, 2.0, 4.0)  # seconds before a write of unknown outcome is looked up again
_DAMAGED = ("malformed", "not a database", "corrupt")  # or SQLite's message is not UTF-8
_Result = TypeVar("_Result")
FILE = "review.sqlite"
_LOCK = 0x0E44EAD  # PostgreSQL's writers take turns by this advisory lock; SQLite's do so anyway


@dataclass(frozen=True)
class Store:
    """An open review database. Safe to share between threads; a new process opens its own."""

    engine: sql.Engine
    place: str  # for messages: without the password
    file: Path | None
    inode: int | None


def open_store(url: str = "", timeout: float = 10.0) -> Store:
    """Open the review database; it is created if it does not exist.

    url: by default `OVERREAD_DATABASE_URL`, else SQLite in the workspace. timeout: seconds to wait for another writer.
    OverreadError if it cannot be reached, is damaged, belongs to another program, or has another version.
    """
    address = _address(url or os.environ.get("OVERREAD_DATABASE_URL", ""))
    lite = address.get_backend_name() == "sqlite"
    file = Path(address.database).resolve() if lite else None
    if file is not None:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unwritable(file, error) from error
    engine = _sqlite(address, timeout) if lite else _postgres(address, timeout)
    place = str(file) if file else shown_address(address)
    store = Store(engine, place, file, None)
    if lite:
        _turn_on_write_ahead_log(store, timeout)
    with transaction(store, write=True) as connection:
        _check_schema(store, connection)
        if file and file.stat().st_size <= _CHECKED_BYTES and (damage := chain.damage(connection)):
            raise OverreadError(f"{place} is damaged ({damage[0]}). Restore it from a copy.", code="database-damaged")
    return Store(engine, place, file, file.stat().st_ino if file else None)


@contextmanager
def transaction(store: Store, write: bool = False) -> Iterator[sql.Connection]:
    """A connection in one transaction, which is kept as a whole when the block ends; else OverreadError and no change.

    Writers take turns from the start of the block, so that `sequence` is the order of the commits.
    """
    if store.inode is not None:
        _check_place(store)
    committing = False
    try:
        with store.engine.connect().execution_options(overread_write=write) as connection, connection.begin():
            if write and store.file is None:
                connection.execute(sql.select(sql.func.pg_advisory_xact_lock(_LOCK)))
            yield connection
            committing = True
    except (SQLAlchemyError, UnicodeError, store.engine.dialect.dbapi.Error) as error:
        # A server that dies in a commit may have kept the entry. Before the commit, nothing can have been kept.
        raise _readable(store, error, write, write and committing and store.file is None) from error


def settled(work: Callable[[], _Result]) -> _Result:
    """The result of a write that may be repeated: its entries have their own ids, which are stored once.

    Where the connection is lost in a commit, the outcome is unknown until the server answers again. Then the write is
    repeated: it finds the stored entry, or stores it. OverreadError where the server does not come back.
    """
    try:
        return work()
    except OverreadError as error:
        if error.code != UNKNOWN:
            raise
        unknown = error
    for seconds in _WAITS:
        time.sleep(seconds)
        try:
            return work()
        except OverreadError as error:
            if error.code not in (UNKNOWN, "database-failed"):
                raise
    raise unknown


def timestamp() -> str:
    """The present time in UTC, to the microsecond, as stored."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def later_timestamp(connection: sql.Connection, column: sql.Column) -> str:
    """The present time, or just after the newest time in a column if the clock was set back."""
    newest, now = connection.execute(sql.select(sql.func.max(column))).scalar(), timestamp()
    if newest is None or now > newest:
        return now
    return (datetime.fromisoformat(newest) + timedelta(microseconds=1)).isoformat(timespec="microseconds")


def _address(url: str) -> sql.URL:
    if not url:
        return sql.URL.create("sqlite", database=str(home() / FILE))
    try:
        address = read_address(url)
        backend = address.get_backend_name()
    except (ArgumentError, NoSuchModuleError, ValueError):
        address, backend = None, "another database"
    if backend in ("postgresql", "postgres"):
        return address.set(drivername="postgresql+psycopg")
    if backend != "sqlite" or address.database in (None, "", ":memory:"):
        # The address is not shown, since it may contain a password.
        raise OverreadError(
            f"OVERREAD_DATABASE_URL names {backend}; expected postgresql://user:password@host/database or "
            "sqlite:////folder/file.sqlite. Leave it unset for a file in the workspace.",
            code="database-url-invalid",
        )
    return address.set(drivername="sqlite")


def _sqlite(address: sql.URL, timeout: float) -> sql.Engine:
    engine = sql.create_engine(address, connect_args={"timeout": timeout}, pool_size=10, max_overflow=30)

    @sql.event.listens_for(engine, "connect")
    def prepare(connection, record):
        # Stops the driver from beginning transactions by itself; `begin` below chooses their kind.
        connection.isolation_level = None
        for pragma in ("synchronous=FULL", "fullfsync=ON", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @sql.event.listens_for(engine, "begin")
    def begin(connection):
        write = connection.get_execution_options().get("overread_write")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def _postgres(address: sql.URL, timeout: float) -> sql.Engine:
    # Settings of the address, such as a schema, are kept. Ours come last, so PostgreSQL uses them.
    given = address.normalized_query.get("options", ())
    settings = " ".join([*given, f"-c lock_timeout={int(timeout * 1000)} -c synchronous_commit=on"])
    options = {"connect_timeout": max(2, int(timeout)), "options": settings}
    try:
        return sql.create_engine(address, connect_args=options, pool_size=10, max_overflow=30, pool_pre_ping=True)
    except ImportError:
        raise OverreadError(
            "OVERREAD_DATABASE_URL names PostgreSQL, but its driver is not installed. Install it with: "
            "pip install 'psycopg[binary]'",
            code="database-driver-missing",
        ) from None


def _turn_on_write_ahead_log(store: Store, timeout: float) -> None:
    """Allow readers and a writer at the same time. SQLite does not wait for a lock in this step, so it is retried."""
    end = time.monotonic() + timeout
    while True:
        try:
            with store.engine.connect() as connection:
                raw = connection.connection.dbapi_connection
                if raw.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                    raw.execute("PRAGMA journal_mode=WAL")
            return
        except (SQLAlchemyError, UnicodeError, store.engine.dialect.dbapi.Error) as error:
            if "locked" not in str(error) or time.monotonic() > end:
                raise _readable(store, error, write=True) from error
            time.sleep(0.02)


def _check_schema(store: Store, connection: sql.Connection) -> None:
    existing = set(sql.inspect(connection).get_table_names())
    if tables.schema_version.name not in existing:
        if taken := existing & set(tables.metadata.tables):
            raise OverreadError(
                f"{store.place} is a database of another program (its table {min(taken)} is not Overread's). Name "
                "another one in OVERREAD_DATABASE_URL.",
                code="database-foreign",
            )
        tables.metadata.create_all(connection)
        connection.execute(tables.schema_version.insert().values(version=VERSION))
        return
    found = connection.execute(sql.select(sql.func.max(tables.schema_version.c.version))).scalar()
    if found != VERSION:
        raise OverreadError(
            f"{store.place} is a review database of version {found}; this version of Overread reads {VERSION}. "
            "Use the version of Overread that wrote it. Nothing in it was changed.",
            code="database-version",
        )
    _add_what_is_newer(connection)


def _add_what_is_newer(connection: sql.Connection) -> None:
    """Add the tables, columns and indexes that a database of an earlier release lacks. Earlier releases ignore them."""
    existing = set(sql.inspect(connection).get_table_names())
    chained = tables.chain.name in existing  # a table without links is one that this release adds
    kinds = connection.execute(sql.select(tables.chain.c.kind).distinct()).scalars() if chained else ()
    if lost := set(kinds) - existing:
        raise OverreadError(
            f"{connection.engine.url.database} is damaged: its table {min(lost)} is missing. Restore it from a copy.",
            code="database-damaged",
        )
    tables.metadata.create_all(connection)
    write = connection.dialect.identifier_preparer
    for column in tables.ADDED_COLUMNS:
        table = column.table
        if column.name not in {known["name"] for known in sql.inspect(connection).get_columns(table.name)}:
            kind = column.type.compile(connection.dialect)
            column_name = write.format_column(column)
            connection.execute(sql.DDL(f"ALTER TABLE {write.format_table(table)} ADD COLUMN {column_name} {kind}"))
    for index in tables.ADDED_INDEXES:
        index.create(connection, checkfirst=True)
    _complete_chain(connection, not chained)


def _complete_chain(connection: sql.Connection, new: bool) -> None:
    """Make the links of records that an earlier release wrote. OverreadError where entries are missing."""
    count = sql.func.count()
    entries = connection.execute(sql.select(count).select_from(tables.verdicts)).scalar() or 0
    links = connection.execute(sql.select(count).where(tables.chain.c.entry.is_not(None))).scalar() or 0
    if entries < links:
        raise OverreadError(
            f"{connection.engine.url.database} is damaged: it has {entries:,} of the {count_text(links, 'entry')} that "
            "were written to it. Restore it from a copy.",
            code="database-damaged",
        )
    if new or entries > links:
        chain.adopt(connection, datetime.now(UTC).isoformat(timespec="seconds"))


def _check_place(store: Store) -> None:
    # An open connection still writes into a file that was moved or deleted, and the entry would be lost.
    try:
        inode = store.file.stat().st_ino
    except OSError:
        inode = None
    if inode != store.inode:
        raise OverreadError(
            f"{store.place} was moved, deleted or replaced while it was in use. Put it back and start again. "
            "This entry was not kept.",
            code="database-moved",
        )


def _readable(store: Store, error: Exception, write: bool, unknown: bool = False) -> OverreadError:
    """The error as a sentence about the cause, and one about whether the entry was kept. unknown: nobody can say."""
    cause = without_secrets(reason_of(getattr(error, "orig", None) or error, 200), store.engine.url)
    low = cause.lower()
    outcome = "This entry was not kept; earlier entries are intact." if write else "Nothing was changed."
    if unknown:
        what = f"The connection to {store.place} was lost while it stored this entry ({cause})"
        outcome = "It is not known whether the entry was kept; if you store it again, it is kept once."
        code = UNKNOWN
    elif isinstance(error, PoolTimeout) or "locked" in low or "lock timeout" in low:
        what, code = f"{store.place} is locked by another program. Close that program, or try again", "database-locked"
    elif any(sign in low for sign in ("full", "disk i/o", "file too large", "no space")):
        what, code = (
            f"{store.place} could not be written ({cause}). Free some disk space, then try again",
            "database-full",
        )
    elif any(sign in low for sign in ("readonly", "read-only", "unable to open", "permission denied")):
        what = f"{store.place} cannot be opened for writing ({cause}). Check its permissions and those of its folder"
        code = "database-read-only"
    elif isinstance(error, UnicodeDecodeError) or any(sign in low for sign in _DAMAGED):
        what, code = f"{store.place} is damaged ({cause}). Replace it by a copy", "database-damaged"
    elif isinstance(error, UnicodeError) or "nul" in low.split():
        what, code = f"A text has characters that cannot be stored ({cause}). Remove them", "text-not-storable"
    elif isinstance(error, DBAPIError) and error.connection_invalidated and write:
        what = f"The connection to {store.place} was lost ({cause}). Try again"
        code = "database-failed"
    else:
        what = f"The review database {store.place} failed ({cause}). Check that it runs and can be reached"
        code = "database-failed"
    return OverreadError(f"{what}. {outcome}", code=code)
