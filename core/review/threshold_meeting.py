"""A threshold that a team chooses together: who presents, who is there, who proposes what, and what was decided.

There is one room for each data set and model. A decision is never changed; another one is another row.
"""

import json
import time
from dataclasses import asdict, dataclass, field
from uuid import uuid4

import sqlalchemy as sql

from core.errors import OverreadError
from core.review import chain, tables
from core.review.database import Store, timestamp, transaction
from core.review.readers import register_reviewer
from core.review.vocabulary import TEXT_LIMIT, checked_text, reviewer_key, reviewer_name
from core.roles import needs
from core.scores.source import Source

PRESENT_SECONDS = 15.0  # a person who has not reported for longer has left
REPORT_SECONDS = 4.0


@dataclass(frozen=True)
class Room:
    """The state of a room. sequence grows with every move of the presenter; moving: the line is still being dragged.

    presenter: '' where nobody presents. left: the presenter who left without ending the presentation. present: the
    people who
    are there, by name. proposals: by name; those of people who have left are kept.
    """

    sequence: int = 0
    presenter: str = ""
    split: str = ""
    threshold: float = 0.5
    moving: bool = False
    present: tuple[str, ...] = ()
    proposals: dict[str, float] = field(default_factory=dict)
    left: str = ""


@dataclass(frozen=True)
class Decision:
    """A threshold that a meeting decided on.

    view: `View.record` of the scores in use. present: the names of those there. proposals: by name. why: in words.
    figures: of the threshold on the studies of the view, with n and intervals. point: the id of the operating point
    that was locked for it, '' where none was.
    """

    dataset: str
    view: dict
    threshold: float
    present: tuple[str, ...]
    proposals: dict[str, float]
    why: str
    figures: dict
    author: str
    point: str = ""
    created: str = ""
    id: str = ""


def room_of(source: Source) -> str:
    """The key of the room of a data set and model, by hash."""
    return f"{source.data}@{source.index_hash[:8]}|{source.digest[:12]}"


def enter(store: Store, room: str, name: str) -> str:
    """Record that a person is in the room; the name as it was first spelled. Call again within PRESENT_SECONDS."""
    with transaction(store, write=True) as connection:
        spelled = register_reviewer(connection, name)
        _report(connection, room, spelled, seen=time.time())
    return spelled


def leave(store: Store, room: str, name: str) -> None:
    """Record that a person has left. A proposal is kept, and nobody presents if the presenter leaves."""
    with transaction(store, write=True) as connection:
        _report(connection, room, register_reviewer(connection, name), seen=0.0)
        here = tables.threshold_rooms
        now = connection.execute(sql.select(here).where(here.c.room == room)).first()
        if now and reviewer_key(now.presenter) == reviewer_key(reviewer_name(name)):
            _write(connection, room, presenter="", moving=False, sequence=now.sequence + 1)


def look(store: Store, room: str) -> Room:
    """The room as it is now. A presenter who has not reported for PRESENT_SECONDS presents again on coming back."""
    here, people = tables.threshold_rooms, tables.threshold_people
    with transaction(store) as connection:
        now = connection.execute(sql.select(here).where(here.c.room == room)).first()
        rows = connection.execute(sql.select(people).where(people.c.room == room).order_by(people.c.name)).all()
    present = tuple(row.name for row in rows if row.seen > time.time() - PRESENT_SECONDS)
    proposals = {row.name: row.proposal for row in rows if row.proposal is not None}
    if now is None:
        return Room(present=present, proposals=proposals)
    here_now = {reviewer_key(name) for name in present}
    away = bool(now.presenter) and reviewer_key(now.presenter) not in here_now
    presenter, left = ("", now.presenter) if away else (now.presenter, "")
    return Room(now.sequence, presenter, now.split, now.threshold, now.moving and not away, present, proposals, left)


@needs("read")
def present_threshold(store: Store, room: str, name: str, split: str, threshold: float) -> None:
    """Make a person the presenter at this threshold, also in place of another presenter."""
    with transaction(store, write=True) as connection:
        spelled = register_reviewer(connection, name)
        _report(connection, room, spelled, seen=time.time())
        sequence = _sequence(connection, room) + 1
        _write(
            connection,
            room,
            sequence=sequence,
            presenter=spelled,
            split=split,
            threshold=float(threshold),
            moving=False,
        )


@needs("read")
def move(store: Store, room: str, name: str, split: str, threshold: float, moving: bool = False) -> None:
    """Show everyone the presenter's threshold. OverreadError if another person presents.

    moving: the line is still being dragged.
    """
    if not 0 <= threshold <= 1:
        raise OverreadError(f"The threshold is {threshold}; expected a number from 0 to 1.", code="threshold-range")
    here = tables.threshold_rooms
    with transaction(store, write=True) as connection:
        now = connection.execute(sql.select(here).where(here.c.room == room)).first()
        if now is None or reviewer_key(now.presenter) != reviewer_key(reviewer_name(name)):
            who = now.presenter if now and now.presenter else "nobody"
            raise OverreadError(
                f"{who[0].upper()}{who[1:]} presents this threshold now; take the lead to move it for everyone.",
                code="not-presenting",
            )
        _write(connection, room, sequence=now.sequence + 1, split=split, threshold=float(threshold), moving=moving)


@needs("read")
def propose(store: Store, room: str, name: str, threshold: float | None) -> None:
    """Put a person's proposal on everyone's panel, in place of an earlier one; None takes it back."""
    with transaction(store, write=True) as connection:
        spelled = register_reviewer(connection, name)
        value = None if threshold is None else float(threshold)
        _report(connection, room, spelled, seen=time.time(), proposal=value)


@needs("read")
def clear_proposals(store: Store, room: str) -> None:
    """Take every proposal off the panel, as after a decision."""
    people = tables.threshold_people
    with transaction(store, write=True) as connection:
        connection.execute(people.update().where(people.c.room == room).values(proposal=None))


@needs("lock")
def record_decision(store: Store, room: str, decision: Decision) -> Decision:
    """Write a decision down and return it with its id and time. OverreadError without a reason."""
    if not decision.why.strip():
        raise OverreadError("A decision needs its reason, in a sentence.", code="reason-missing")
    checked_text(decision.why, "reason", TEXT_LIMIT)
    with transaction(store, write=True) as connection:
        author = register_reviewer(connection, decision.author)
        kept = {**asdict(decision), "author": author, "created": timestamp(), "id": uuid4().hex}
        connection.execute(
            tables.threshold_decisions.insert().values(
                id=kept["id"], room=room, dataset=decision.dataset, author=author, created=kept["created"],
                record=json.dumps(kept),
            )
        )  # fmt: skip
        chain.append(connection, tables.threshold_decisions, (kept["id"],))
    return _decision(json.dumps(kept))


def list_decisions(store: Store, dataset: str) -> list[Decision]:
    """Every decision on the thresholds of a data set, oldest first."""
    table = tables.threshold_decisions
    query = sql.select(table.c.record).where(table.c.dataset == dataset).order_by(table.c.created)
    with transaction(store) as connection:
        return [_decision(record) for record in connection.execute(query).scalars()]


def _decision(record: str) -> Decision:
    kept = json.loads(record)
    return Decision(**{**kept, "present": tuple(kept["present"])})


def _sequence(connection: sql.Connection, room: str) -> int:
    here = tables.threshold_rooms
    return connection.execute(sql.select(here.c.sequence).where(here.c.room == room)).scalar() or 0


def _write(connection: sql.Connection, room: str, **values) -> None:
    here = tables.threshold_rooms
    values["changed"] = timestamp()
    if connection.execute(here.update().where(here.c.room == room).values(**values)).rowcount == 0:
        connection.execute(here.insert().values(room=room, **values))


def _report(connection: sql.Connection, room: str, name: str, **values) -> None:
    people = tables.threshold_people
    own = (people.c.room == room) & (people.c.name == name)
    if connection.execute(people.update().where(own).values(**values)).rowcount == 0:
        connection.execute(people.insert().values(room=room, name=name, **values))
