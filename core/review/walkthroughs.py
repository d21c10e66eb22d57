"""Walkthroughs: named, ordered lists of cases with notes, how they are to be read, and the cases as they were then.

A list is never changed in place: another order or note is a new version, and older versions are kept.
`core.review.reading_state` has the lead's steps and the participants.
"""

import json
from dataclasses import asdict, dataclass, field
from uuid import uuid4

import numpy as np
import pandas as pd
import sqlalchemy as sql

from core.errors import OverreadError, reason_of
from core.plural import count_text
from core.review import chain, tables
from core.review.database import Store, timestamp, transaction
from core.review.readers import register_reviewer
from core.review.vocabulary import NOTE_LIMIT, TEXT_LIMIT, checked_text
from core.roles import needs

CASES_LIMIT = 5_000


@dataclass(frozen=True)
class WalkthroughCase:
    """A case of a walkthrough. probability: of being drawn from its stratum; its inverse is the case's weight."""

    study_id: str
    note: str = ""
    stratum: str = "chosen"
    probability: float = 1.0


@dataclass(frozen=True)
class ReadingPlan:
    """How a walkthrough is read, by everyone.

    blind: label, score, outcome and others' verdicts are hidden until the lead reveals a case. alone_first: before
    reading together, each reads all cases alone and blind. show_names: the readers who have answered are named, not
    only counted. seconds: time for a case; 0 for no limit.
    """

    blind: bool = False
    alone_first: bool = False
    show_names: bool = True
    seconds: int = 0


@dataclass(frozen=True)
class Walkthrough:
    """The newest version of a list.

    record: the view it is read in, how it was drawn and how it is read; {} for walkthroughs of early releases.
    """

    id: str
    name: str
    dataset: str
    author: str
    created: str
    version: int
    made_from: str
    cases: tuple[WalkthroughCase, ...]
    record: dict = field(default_factory=dict, hash=False)

    @property
    def plan(self) -> ReadingPlan:
        """The way it is read; open and together where nothing else was chosen."""
        return ReadingPlan(**self.record.get("reading", {}))


def sample_cases(
    errors: list[str], agreements: list[str], cases: int, controls: int, seed: int = 0
) -> list[WalkthroughCase]:
    """`cases` of the errors and `controls` of the correctly classified studies, drawn at random, in one random order.

    If only errors are reviewed, the adjudicated rates are too good. Random controls, weighted by the inverse of their
    probability, correct that. A shorter list is taken as a whole.
    """
    random = np.random.default_rng(seed)
    drawn = []
    for stratum, studies, wanted in (("errors", errors, cases), ("agreements", agreements, controls)):
        count = min(wanted, len(studies))
        for place in random.choice(len(studies), count, replace=False) if count else ():
            drawn.append(WalkthroughCase(studies[int(place)], "", stratum, count / len(studies)))
    return [drawn[place] for place in random.permutation(len(drawn))]


@dataclass(frozen=True)
class WalkthroughOrigin:
    """The origin of a walkthrough: in words, as JSON values for `Walkthrough.record`, and its studies as they are.

    snapshot: by `core.review.snapshots`.
    """

    words: str = ""
    record: dict | None = None
    snapshot: dict | None = None


@needs("read")
def create_walkthrough(
    store: Store,
    dataset: str,
    name: str,
    author: str,
    cases: list[WalkthroughCase],
    origin: WalkthroughOrigin = WalkthroughOrigin(),
) -> Walkthrough:
    """Store a new walkthrough. OverreadError for a name that is taken or an invalid list."""
    name = (checked_text((name or "").strip(), "name of the walkthrough", 200, needed=True)) or ""
    _check_cases(cases)
    with transaction(store, write=True) as connection:
        taken = sql.select(tables.walkthroughs.c.id).where(
            tables.walkthroughs.c.dataset == dataset, tables.walkthroughs.c.name == name
        )
        if connection.execute(taken).first():
            raise OverreadError(
                f"{dataset} already has a walkthrough {name[:60]!r}. Choose another name.", code="walkthrough-exists"
            )
        row = {"id": uuid4().hex[:12], "name": name, "dataset": dataset, "created": timestamp()}
        row["author"] = register_reviewer(connection, author)
        connection.execute(tables.walkthroughs.insert().values(**row))
        chain.append(connection, tables.walkthroughs, (row["id"],))
        _add_version(connection, row["id"], 1, row["author"], cases, origin.words)
        if origin.record:
            values = {"walkthrough_id": row["id"], "record": json.dumps(origin.record)}
            connection.execute(tables.records.insert().values(**values))
            chain.append(connection, tables.records, (row["id"],))
        if origin.snapshot:
            values = {"walkthrough_id": row["id"], "snapshot": json.dumps(origin.snapshot, allow_nan=False)}
            connection.execute(tables.snapshots.insert().values(**values))
            chain.append(connection, tables.snapshots, (row["id"],))
    return read_walkthrough(store, row["id"])


@needs("read")
def revise_walkthrough(
    store: Store, walkthrough_id: str, author: str, cases: list[WalkthroughCase], after: int
) -> Walkthrough:
    """Store another version of the list. OverreadError if someone has stored one since version `after`."""
    _check_cases(cases)
    found = read_walkthrough(store, walkthrough_id)
    with transaction(store, write=True) as connection:
        table = tables.versions
        newest = connection.execute(
            sql.select(sql.func.max(table.c.version)).where(table.c.walkthrough_id == walkthrough_id)
        ).scalar()
        if newest != after:
            raise OverreadError(
                f"Someone else has changed {found.name} (found version {newest}, expected {after}). Open it again and "
                "repeat your change.",
                code="walkthrough-changed",
            )
        _add_version(
            connection, walkthrough_id, after + 1, register_reviewer(connection, author), cases, found.made_from
        )
    return read_walkthrough(store, walkthrough_id)


def list_walkthroughs(store: Store, dataset: str) -> pd.DataFrame:
    """One row per walkthrough of the data set, newest first: id, name, author, created, cases (their number)."""
    table, cases = tables.walkthroughs, tables.cases
    newest = (
        sql.select(tables.versions.c.walkthrough_id, sql.func.max(tables.versions.c.version).label("version"))
        .group_by(tables.versions.c.walkthrough_id)
        .subquery()
    )
    counted = (
        sql.select(cases.c.walkthrough_id, sql.func.count().label("cases"))
        .join(newest, (cases.c.walkthrough_id == newest.c.walkthrough_id) & (cases.c.version == newest.c.version))
        .group_by(cases.c.walkthrough_id)
        .subquery()
    )
    query = (
        sql.select(table.c.id, table.c.name, table.c.author, table.c.created, counted.c.cases)
        # Also one whose cases are gone: it is listed as broken.
        .outerjoin(counted, counted.c.walkthrough_id == table.c.id)
        .where(table.c.dataset == dataset)
        .order_by(table.c.created.desc())
    )
    with transaction(store) as connection:
        rows = connection.execute(query).all()
    frame = pd.DataFrame(rows, columns=["id", "name", "author", "created", "cases"])
    return frame.assign(cases=frame["cases"].fillna(0).astype(int))


def read_walkthrough(store: Store, walkthrough_id: str) -> Walkthrough:
    """The newest version of a walkthrough. OverreadError for an unknown id."""
    table, versions, cases = tables.walkthroughs, tables.versions, tables.cases
    with transaction(store) as connection:
        row = connection.execute(sql.select(table).where(table.c.id == walkthrough_id)).mappings().first()
        if row is None:
            raise OverreadError(
                f"No walkthrough {walkthrough_id[:40]!r}. Choose one from the list.", code="walkthrough-missing"
            )
        what = f"walkthrough {row['name']!r}"
        chain.check(connection, table, (walkthrough_id,), what)
        chain.check(connection, tables.records, (walkthrough_id,), f"record of the {what}")
        version = connection.execute(
            sql.select(versions).where(versions.c.walkthrough_id == walkthrough_id).order_by(versions.c.version.desc())
        ).mappings().first()  # fmt: skip
        if version is None:
            raise _damaged(what, "its list of cases is missing")
        for part in (versions, cases):
            chain.check(connection, part, (walkthrough_id, version["version"]), what)
        found = connection.execute(
            sql.select(cases.c.study_id, cases.c.note, cases.c.stratum, cases.c.probability)
            .where(cases.c.walkthrough_id == walkthrough_id, cases.c.version == version["version"])
            .order_by(cases.c.position)
        ).all()
        record = connection.execute(
            sql.select(tables.records.c.record).where(tables.records.c.walkthrough_id == walkthrough_id)
        ).scalar()
    return Walkthrough(
        **row,
        version=version["version"],
        made_from=version["made_from"],
        cases=tuple(WalkthroughCase(*case) for case in found),
        record=_parse_record(record, what) if record else {},
    )


def _parse_record(text: str, what: str) -> dict:
    """The record, with a plan that can be followed and the view that it names. OverreadError otherwise."""
    try:
        record = json.loads(text)
        ReadingPlan(**record.get("reading", {}))
        if "view" in record and not isinstance(record["view"]["source"]["name"], str):
            raise TypeError("its view names no source")
        return record
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise _damaged(f"record of the {what}", reason_of(error)) from error


def _damaged(what: str, problem: str) -> OverreadError:
    return OverreadError(
        f"The {what} cannot be used ({problem}). Restore the database from a copy; the other walkthroughs can be read.",
        code="walkthrough-damaged",
    )


def _add_version(connection, walkthrough_id: str, version: int, author: str, cases, made_from: str) -> None:
    connection.execute(
        tables.versions.insert().values(
            walkthrough_id=walkthrough_id, version=version, made_from=made_from, author=author, created=timestamp()
        )
    )
    connection.execute(
        tables.cases.insert(),
        [
            {"walkthrough_id": walkthrough_id, "version": version, "position": place, **asdict(case)}
            for place, case in enumerate(cases, 1)
        ],
    )
    for table in (tables.versions, tables.cases):
        chain.append(connection, table, (walkthrough_id, version))


def _check_cases(cases: list[WalkthroughCase]) -> None:
    if not 1 <= len(cases) <= CASES_LIMIT:
        raise OverreadError(
            f"The walkthrough has {count_text(len(cases), 'case')}; expected 1 to {CASES_LIMIT:,}.",
            code="walkthrough-size",
        )
    names = [case.study_id for case in cases]
    if len(set(names)) < len(names):
        twice = next(name for place, name in enumerate(names) if name in names[:place])
        raise OverreadError(
            f"The study {twice[:80]!r} is in the walkthrough twice. Name each study once.", code="study-repeated"
        )
    for case in cases:
        checked_text(case.study_id, "study_id", TEXT_LIMIT, needed=True)
        checked_text(case.note, "note of a case", NOTE_LIMIT)
        if not 0 < case.probability <= 1:
            raise OverreadError(
                f"The probability of a case is {case.probability!r}; expected above 0 and at most 1.",
                code="probability-invalid",
            )
