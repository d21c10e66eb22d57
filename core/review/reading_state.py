"""State of a walkthrough: its lead, the open case and round, and the revealed cases.

Each step of the lead is a new row with the state after it, so the newest row is the state, a server that restarts
finds everyone's case again, and the time spent on each case can be read afterwards.
"""

import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pandas as pd
import sqlalchemy as sql

from core.errors import OverreadError
from core.review import chain, tables
from core.review.database import Store, timestamp, transaction
from core.review.in_force import in_force
from core.review.vocabulary import reviewer_key, reviewer_name
from core.review.walkthroughs import Walkthrough
from core.roles import needs

ALONE, TOGETHER = "alone", "together"
WAIT, REVEAL, GO_ON = "wait", "reveal", "go on"
WHEN_ANSWERED = (WAIT, REVEAL, GO_ON)  # what the lead's page does once all who are present have answered
PRESENT_SECONDS = 15.0  # a participant who has not reported for longer has left


@dataclass(frozen=True)
class ReadingState:
    """The state after a step. sequence grows with every step; place counts from 1.

    lead: '' before anyone leads. since: when the case was opened (UTC, ISO 8601); '' before the first step. revealed:
    the studies whose label, score and verdicts everyone may see. finished: the lead has ended the reading.
    """

    sequence: int
    lead: str
    place: int
    round: str
    when_answered: str
    since: str
    revealed: frozenset[str] = field(default_factory=frozenset)
    finished: bool = False

    def hides(self, walkthrough: Walkthrough, study: str) -> bool:
        """Whether everyone reads this study blind now."""
        if self.finished or study in self.revealed:
            return False
        return self.round == ALONE or walkthrough.plan.blind


def read_state(store: Store, walkthrough: Walkthrough) -> ReadingState:
    """The state after the newest step; before the first one the first case of the first round, without a lead."""
    with transaction(store) as connection:
        return _state(connection, walkthrough)


@needs("read")
def take_lead(store: Store, walkthrough: Walkthrough, reader: str) -> ReadingState:
    """Make the reader the lead, also in place of another lead. The case stays as it is."""
    with transaction(store, write=True) as connection:
        now = _state(connection, walkthrough)
        return _add_step(connection, walkthrough, "lead", replace(now, lead=reviewer_name(reader)))


@needs("read")
def move_to(store: Store, walkthrough: Walkthrough, reader: str, place: int, after: int | None = None) -> ReadingState:
    """Open a case for the lead and everyone who follows. OverreadError if another reader leads.

    after: move only if this is still the newest step, so that a page that asks twice moves once.
    """
    with transaction(store, write=True) as connection:
        now = _led_state(connection, walkthrough, reader)
        if after not in (None, now.sequence) or place == now.place:
            return now
        if not 1 <= place <= len(walkthrough.cases):
            raise OverreadError(
                f"There is no case {place} (the walkthrough has {len(walkthrough.cases)}). Choose another.",
                code="case-missing",
            )
        return _add_step(connection, walkthrough, "move", replace(now, place=int(place), since=timestamp()))


@needs("read")
def reveal_case(store: Store, walkthrough: Walkthrough, reader: str, study: str) -> ReadingState:
    """Show label, score and everyone's verdicts of a study to all. OverreadError if another reader leads."""
    with transaction(store, write=True) as connection:
        now = _led_state(connection, walkthrough, reader)
        if study in now.revealed:
            return now
        return _add_step(connection, walkthrough, "reveal", now, study)


@needs("read")
def start_together(store: Store, walkthrough: Walkthrough, reader: str) -> ReadingState:
    """End the round in which each reads alone, and open the first case for all."""
    with transaction(store, write=True) as connection:
        now = _led_state(connection, walkthrough, reader)
        if now.round == TOGETHER:
            return now
        return _add_step(connection, walkthrough, "together", replace(now, round=TOGETHER, place=1, since=timestamp()))


@needs("read")
def finish_reading(store: Store, walkthrough: Walkthrough, reader: str) -> ReadingState:
    """End the reading; every case is revealed then."""
    with transaction(store, write=True) as connection:
        now = _led_state(connection, walkthrough, reader)
        return now if now.finished else _add_step(connection, walkthrough, "finish", now)


@needs("read")
def choose_when_answered(store: Store, walkthrough: Walkthrough, reader: str, choice: str) -> ReadingState:
    """Choose what follows when all have answered: one of WHEN_ANSWERED. OverreadError for any other choice."""
    if choice not in WHEN_ANSWERED:
        raise OverreadError(
            f"The choice is {choice[:40]!r}; expected one of {', '.join(WHEN_ANSWERED)}.", code="when-answered-unknown"
        )
    with transaction(store, write=True) as connection:
        now = _led_state(connection, walkthrough, reader)
        return _add_step(connection, walkthrough, "choose", replace(now, when_answered=choice))


def steps_table(store: Store, walkthrough: Walkthrough) -> pd.DataFrame:
    """Every step in order: sequence, kind, lead, place, study_id, round, created."""
    table = tables.steps
    names = ["sequence", "kind", "lead", "place", "study_id", "round", "created"]
    query = sql.select(*[table.c[name] for name in names]).where(table.c.walkthrough_id == walkthrough.id)
    with transaction(store) as connection:
        rows = connection.execute(query.order_by(table.c.sequence)).all()
    return pd.DataFrame(rows, columns=names)


def seconds_since(moment: str) -> float:
    """The seconds from a stored time until now, at least 0."""
    return max(0.0, (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()) if moment else 0.0


def answers(store: Store, walkthrough: Walkthrough) -> dict[tuple[str, str], dict[str, str]]:
    """The readers who have answered: for each (round, study) their names by key. Undone verdicts do not count."""
    table = tables.verdicts
    names = ("id", "supersedes", "action", "reviewer", "study_id", "round")
    query = sql.select(*[table.c[name] for name in names])
    query = query.where(table.c.walkthrough_id == walkthrough.id, table.c.kind == "review").order_by(table.c.sequence)
    with transaction(store) as connection:
        rows = connection.execute(query).all()
    active = in_force((row.id, row.supersedes) for row in rows)
    found: dict[tuple[str, str], dict[str, str]] = {}
    for row in rows:
        if row.id in active and row.action == "verdict":
            of_case = found.setdefault((row.round or TOGETHER, row.study_id), {})
            of_case[reviewer_key(row.reviewer)] = row.reviewer
    return found


def report_presence(store: Store, walkthrough_id: str, name: str, place: int, following: bool) -> None:
    """Record that a participant is present, and at which case."""
    table = tables.participants
    own = (table.c.walkthrough_id == walkthrough_id) & (table.c.name == name)
    values = {"place": int(place), "following": following, "seen": time.time()}
    with transaction(store, write=True) as connection:
        if connection.execute(table.update().where(own).values(**values)).rowcount == 0:
            connection.execute(table.insert().values(walkthrough_id=walkthrough_id, name=name, **values))


def participants_table(store: Store, walkthrough_id: str, everyone: bool = False) -> pd.DataFrame:
    """The participants present now: name, place, following. everyone: also those who have left."""
    table = tables.participants
    query = sql.select(table.c.name, table.c.place, table.c.following).where(table.c.walkthrough_id == walkthrough_id)
    if not everyone:
        query = query.where(table.c.seen > time.time() - PRESENT_SECONDS)
    with transaction(store) as connection:
        rows = connection.execute(query.order_by(table.c.name)).all()
    return pd.DataFrame(rows, columns=["name", "place", "following"])


def _state(connection: sql.Connection, walkthrough: Walkthrough) -> ReadingState:
    table = tables.steps
    own = table.c.walkthrough_id == walkthrough.id
    newest = connection.execute(sql.select(table).where(own).order_by(table.c.sequence.desc()).limit(1)).first()
    if newest is None:
        return _state_before_steps(connection, walkthrough)
    shown = sql.select(table.c.kind, table.c.study_id).where(own, table.c.kind.in_(("reveal", "finish")))
    done = connection.execute(shown).all()
    return ReadingState(
        newest.sequence,
        newest.lead,
        min(newest.place, len(walkthrough.cases)),
        newest.round,
        newest.when_answered,
        newest.since,
        frozenset(row.study_id for row in done if row.kind == "reveal"),
        any(row.kind == "finish" for row in done),
    )


def _state_before_steps(connection: sql.Connection, walkthrough: Walkthrough) -> ReadingState:
    # Earlier releases stored only the presenter's place.
    table = tables.positions
    place = connection.execute(sql.select(table.c.place).where(table.c.walkthrough_id == walkthrough.id)).scalar() or 1
    first = ALONE if walkthrough.plan.alone_first else TOGETHER
    return ReadingState(0, "", min(max(place, 1), len(walkthrough.cases)), first, WAIT, "")


def _led_state(connection: sql.Connection, walkthrough: Walkthrough, reader: str) -> ReadingState:
    now = _state(connection, walkthrough)
    if reviewer_key(now.lead) != reviewer_key(reviewer_name(reader)):
        leads = f"{now.lead} leads" if now.lead else "Nobody leads"
        raise OverreadError(
            f"{leads} this walkthrough now. Press 'Take the lead' first. Nothing was changed.", code="not-the-lead"
        )
    return now


def _add_step(
    connection: sql.Connection, walkthrough: Walkthrough, kind: str, state: ReadingState, study: str = ""
) -> ReadingState:
    values = {
        "walkthrough_id": walkthrough.id,
        "kind": kind,
        "lead": state.lead,
        "place": state.place,
        "study_id": study or walkthrough.cases[state.place - 1].study_id,
        "round": state.round,
        "when_answered": state.when_answered,
        "since": state.since or timestamp(),
        "created": timestamp(),
    }
    made = connection.execute(tables.steps.insert().values(**values))
    chain.append(connection, tables.steps, (made.inserted_primary_key[0],))
    return _state(connection, walkthrough)
