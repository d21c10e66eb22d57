"""The chain of hashes over everything that is appended to the review database, and its verification.

Each group of rows that are written together (an entry with its boxes, a version of a walkthrough with its cases) has
one link: the SHA-256 of the rows, and a hash over it and the link before. Reading an entry compares it with its link;
`verify` also finds what is missing, moved or added. Someone who recomputes all hashes can forge a chain.

Databases of earlier releases get their links when they are first opened; these are marked as made later.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sql

from core.errors import OverreadError
from core.plural import count_clause, count_text
from core.review import tables

# The columns that name a group of rows, by table. The other tables hold only current places and views.
GROUPS: dict[sql.Table, tuple[str, ...]] = {
    tables.reviewers: ("key",),
    tables.verdicts: ("sequence",),
    tables.walkthroughs: ("id",),
    tables.versions: ("walkthrough_id", "version"),
    tables.cases: ("walkthrough_id", "version"),
    tables.records: ("walkthrough_id",),
    tables.snapshots: ("walkthrough_id",),
    tables.steps: ("sequence",),
    tables.actions: ("id", "kind"),
    tables.revisions: ("dataset", "number"),
    tables.revision_labels: ("dataset", "number"),
    tables.threshold_decisions: ("id",),
}
ENTRIES = sql.select(tables.verdicts, tables.boxes.c.boxes).outerjoin(
    tables.boxes, tables.boxes.c.entry_id == tables.verdicts.c.id
)
_LINKS = tables.chain
_ENCODER = json.JSONEncoder(separators=(",", ":"), default=repr)


@dataclass(frozen=True)
class ChainReport:
    """The result of a verification. later: links that were made when an older database was first opened, and when.

    altered: sequences of the entries that were altered. problems: one sentence each.
    """

    entries: int
    links: int
    later: int
    later_made: str
    altered: tuple[int, ...]
    problems: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """The result in words."""
        if self.problems:
            return f"{count_clause(len(self.problems), 'problem', 'was')} found in the review database."
        later = (
            f"; {count_text(self.later, 'record')} existed before the chain began on {self.later_made[:10]}, and it "
            f"is not known whether they were changed before that day"
            if self.later
            else ""
        )
        links = count_text(self.links, "link")
        return f"{count_text(self.entries, 'entry')} and {links} of the chain are unaltered{later}"


def append(connection: sql.Connection, table: sql.Table, key: tuple) -> None:
    """Add the link of rows that were just written, inside their transaction."""
    _append(connection, [(table, key, content_of(_rows(connection, table, key)))], "")


def adopt(connection: sql.Connection, made: str) -> int:
    """Make the links that are missing, in a database that an earlier release wrote to; how many."""
    known = {(row.kind, row.key) for row in connection.execute(sql.select(_LINKS.c.kind, _LINKS.c.key))}
    missing = [
        (table, key, content)
        for table in GROUPS
        for key, content in _contents(connection, table)
        if (table.name, _text(key)) not in known
    ]
    _append(connection, missing, made)
    return len(missing)


def content_of(rows: Sequence[sql.Row]) -> str:
    """SHA-256 of rows as they are read from the database. Empty cells are left out, as a column may be added later."""
    names = rows[0]._fields if rows else ()
    values = [[pair for pair in zip(names, row) if pair[1] is not None] for row in rows]
    return hashlib.sha256(_ENCODER.encode(values).encode(errors="replace")).hexdigest()


def check(connection: sql.Connection, table: sql.Table, key: tuple, what: str) -> None:
    """OverreadError where a group of rows differs from its link; `what` names it. One without a link passes."""
    query = sql.select(_LINKS.c.content).where(_LINKS.c.kind == table.name, _LINKS.c.key == _text(key))
    expected = connection.execute(query).scalar()
    if expected is not None and expected != content_of(_rows(connection, table, key)):
        raise altered(f"The {what}", connection)


def check_entries(connection: sql.Connection, rows: Sequence[sql.Row]) -> None:
    """OverreadError where one of these rows of ENTRIES differs from its link."""
    if not rows:
        return
    number, few = _LINKS.c.entry, len(rows) <= 200
    mine = number.in_([row[0] for row in rows]) if few else number.between(rows[0][0], rows[-1][0])
    links = {row[0]: row[1] for row in connection.execute(sql.select(number, _LINKS.c.content).where(mine))}
    wrong = [row for row in rows if links.get(row[0], "") not in ("", content_of([row]))]
    if wrong:
        more = f" and {count_text(len(wrong) - 1, 'other entry')}" if len(wrong) > 1 else ""
        raise altered(f"The entry {wrong[0][0]}{more}", connection)


def altered(what: str, connection: sql.Connection) -> OverreadError:
    """The error for a record that is not as it was written."""
    place = connection.engine.url.database
    return OverreadError(
        f"{what} in {place} was altered: it does not have the hash that it was written with. Restore the database from "
        "a copy; `python -m core verdicts verify` lists what was altered.",
        code="entry-altered",
    )


def verify(connection: sql.Connection) -> ChainReport:
    """Compare every row with its link and every link with the one before it."""
    problems = [f"{found}." for found in damage(connection)]
    links = connection.execute(sql.select(_LINKS).order_by(_LINKS.c.number)).mappings().all()
    previous, expected = "", {}
    for link in links:
        if link["hash"] != _hash(previous, link["kind"], link["key"], link["content"]):
            problems.append(f"The link {link['number']} ({link['kind']} {link['key']}) does not follow the one before.")
        previous = link["hash"]
        expected[link["kind"], link["key"]] = link["content"]
    wrong, entries = [], 0
    for table in GROUPS:
        for key, content in _contents(connection, table):
            entries += table is tables.verdicts
            stored = expected.pop((table.name, _text(key)), None)
            name = f"{_NAMES.get(table.name, table.name)} {', '.join(map(str, key))}"
            if stored is None:
                problems.append(f"The {name} has no link: another program wrote it.")
            elif stored != content:
                problems.append(f"The {name} was altered.")
                wrong += [key[0]] if table is tables.verdicts else []
    problems += [f"The {_NAMES.get(kind, kind)} {key} is missing." for kind, key in expected]
    later = [link["made"] for link in links if link["made"]]
    return ChainReport(entries, len(links), len(later), min(later, default=""), tuple(wrong), tuple(problems))


_NAMES = {
    "verdicts": "entry", "reviewers": "reader", "walkthroughs": "walkthrough", "walkthrough_versions": "version",
    "walkthrough_cases": "list of cases", "walkthrough_records": "record", "walkthrough_snapshots": "snapshot",
    "walkthrough_steps": "step", "walkthrough_actions": "action", "label_revisions": "label revision",
    "revision_labels": "labels of the revision", "threshold_decisions": "decision",
}  # fmt: skip


def damage(connection: sql.Connection) -> list[str]:
    """The faults that SQLite finds in its own file."""
    if connection.dialect.name != "sqlite":
        return []
    found = connection.exec_driver_sql("PRAGMA integrity_check(5)").scalars().all()
    return [] if list(found) == ["ok"] else [str(one).splitlines()[-1] for one in found]


def _append(connection: sql.Connection, groups: list[tuple], made: str) -> None:
    if not groups:
        return
    newest = sql.select(_LINKS.c.hash).order_by(_LINKS.c.number.desc()).limit(1)
    previous, rows = connection.execute(newest).scalar() or "", []
    for table, key, content in groups:
        text = _text(key)
        previous = _hash(previous, table.name, text, content)
        entry = key[0] if table is tables.verdicts else None
        rows.append(
            {"kind": table.name, "key": text, "entry": entry, "content": content, "hash": previous, "made": made}
        )
    connection.execute(_LINKS.insert(), rows)


def _rows(connection: sql.Connection, table: sql.Table, key: tuple) -> list:
    query = _query(table).where(*(table.c[name] == value for name, value in zip(GROUPS[table], key)))
    return list(connection.execute(query).all())


def _contents(connection: sql.Connection, table: sql.Table) -> list[tuple[tuple, str]]:
    """The key and the content of every group of a table, in the order of their keys."""
    groups: dict[tuple, list] = {}
    places = [table.c.keys().index(name) for name in GROUPS[table]]
    for row in connection.execute(_query(table)):
        groups.setdefault(tuple(row[place] for place in places), []).append(row)
    return [(key, content_of(rows)) for key, rows in groups.items()]


def _query(table: sql.Table) -> sql.Select:
    query = ENTRIES if table is tables.verdicts else sql.select(table)
    return query.order_by(*table.primary_key.columns)


def _hash(previous: str, kind: str, key: str, content: str) -> str:
    return hashlib.sha256("\n".join((previous, kind, key, content)).encode()).hexdigest()


def _text(key: tuple) -> str:
    return json.dumps(list(key), separators=(",", ":"))
