"""The names of readers, each kept as it was first spelled."""

import sqlalchemy as sql

from core.review import chain, tables
from core.review.database import Store, timestamp, transaction
from core.review.vocabulary import reviewer_key, reviewer_name


def register_reviewer(connection: sql.Connection, name: str) -> str:
    """The reader's name as it was first spelled; a new reader is added."""
    table, spelled = tables.reviewers, reviewer_name(name)
    wanted = table.c.key == reviewer_key(spelled)
    if (known := connection.execute(sql.select(table.c.name).where(wanted)).scalar()) is not None:
        return known
    connection.execute(table.insert().values(key=reviewer_key(spelled), name=spelled, created=timestamp()))
    chain.append(connection, table, (reviewer_key(spelled),))
    return spelled


def list_reviewers(store: Store) -> list[str]:
    """The names of all readers."""
    with transaction(store) as connection:
        return sorted(connection.execute(sql.select(tables.reviewers.c.name)).scalars())
