"""The same tests run on SQLite and, if Debian's package is installed, on a PostgreSQL started for them."""

from uuid import uuid4

import pytest
import sqlalchemy as sql

from core.review.database import open_store
from tests.postgres import Missing, running


@pytest.fixture(scope="session")
def postgres():
    """The address of the tests' own PostgreSQL, without fsync, which only matters for a power cut."""
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    try:
        with running() as server:
            yield server.address
    except Missing as why:
        pytest.skip(str(why))


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, workspace) -> str:
    """The address of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{workspace / 'review.sqlite'}"
    server, name = request.getfixturevalue("postgres"), f"t{uuid4().hex}"
    # A schema of its own is as empty as a database of its own, and is made and removed in a hundredth of the time.
    engine = sql.create_engine(f"{server}/postgres".replace("://", "+psycopg://"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sql.text(f"CREATE SCHEMA {name}"))
    engine.dispose()
    return f"{server}/postgres?options=-csearch_path%3D{name}"


@pytest.fixture
def store(url):
    """An empty review database."""
    opened = open_store(url)
    yield opened
    opened.engine.dispose()
