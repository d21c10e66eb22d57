"""Open actions of a walkthrough: what is to be done, by whom and until when. A closed action keeps its row."""

from dataclasses import dataclass
from datetime import date
from uuid import uuid4

import sqlalchemy as sql

from core.errors import OverreadError
from core.review import chain, tables
from core.review.database import Store, timestamp, transaction
from core.review.vocabulary import NAME_LIMIT, checked_text, reviewer_name
from core.roles import needs


@dataclass(frozen=True)
class Action:
    """An action. due: a date (ISO 8601), or '' for none. closed: when it was closed, and by whom; '' if open."""

    id: str
    text: str
    owner: str
    due: str
    author: str
    created: str
    closed: str = ""


@needs("read")
def add_action(store: Store, walkthrough_id: str, text: str, owner: str, due: str = "", author: str = "") -> Action:
    """Store an action. OverreadError without a text or an owner, or for an invalid date."""
    text = checked_text((text or "").strip(), "action", 500, needed=True) or ""
    owner = checked_text((owner or "").strip(), "owner of the action", NAME_LIMIT, needed=True) or ""
    if due:
        try:
            due = date.fromisoformat(due).isoformat()
        except ValueError:
            raise OverreadError(
                f"The date is {due[:40]!r}; expected one such as 2026-01-31.", code="date-invalid"
            ) from None
    row = {"id": uuid4().hex[:12], "text": text, "owner": owner, "due": due, "author": reviewer_name(author or owner)}
    with transaction(store, write=True) as connection:
        row["created"] = timestamp()
        connection.execute(tables.actions.insert().values(walkthrough_id=walkthrough_id, kind="open", **row))
        chain.append(connection, tables.actions, (row["id"], "open"))
    return Action(**row)


@needs("read")
def close_action(store: Store, action_id: str, author: str) -> None:
    """Close an action; closing it again changes nothing. OverreadError for an unknown action."""
    table = tables.actions
    with transaction(store, write=True) as connection:
        found = connection.execute(sql.select(table).where(table.c.id == action_id)).mappings()
        rows = {row["kind"]: dict(row) for row in found}
        if "open" not in rows:
            raise OverreadError(
                f"There is no action {action_id[:40]!r}. Choose one from the list.", code="action-missing"
            )
        if "closed" not in rows:
            row = {name: value for name, value in rows["open"].items() if name != "sequence"}
            row |= {"kind": "closed", "author": reviewer_name(author), "created": timestamp()}
            connection.execute(table.insert().values(**row))
            chain.append(connection, table, (action_id, "closed"))


def list_actions(store: Store, walkthrough_id: str) -> list[Action]:
    """The actions of a walkthrough in the order in which they were added."""
    table = tables.actions
    query = sql.select(table).where(table.c.walkthrough_id == walkthrough_id).order_by(table.c.sequence)
    with transaction(store) as connection:
        rows = connection.execute(query).mappings().all()
    closed = {row["id"]: f"{row['created'][:10]}, {row['author']}" for row in rows if row["kind"] == "closed"}
    names = ("id", "text", "owner", "due", "author", "created")
    return [
        Action(**{name: row[name] for name in names}, closed=closed.get(row["id"], ""))
        for row in rows
        if row["kind"] == "open"
    ]
