"""The same tests run on SQLite and, if Debian's package is installed, on a PostgreSQL started for them."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from uuid import uuid4

import pytest
import sqlalchemy as sql

from core.review.database import open_store

INSTALLED = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))


@pytest.fixture(scope="session")
def postgres():
    """The address of the tests' own PostgreSQL, without fsync, which only matters for a power cut."""
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    binaries = INSTALLED[-1].parent if INSTALLED else None
    if binaries is None:
        pytest.skip("PostgreSQL is not installed (Debian's package postgresql)")
    # PostgreSQL refuses to run as root; its package creates the user postgres.
    root = os.geteuid() == 0
    if root and not (shutil.which("runuser") and "postgres" in {user.pw_name for user in pwd.getpwall()}):
        pytest.skip("PostgreSQL does not run as root, and there is no user postgres to run it as")
    as_user = ["runuser", "-u", "postgres", "--"] if root else []
    folder = Path(tempfile.mkdtemp(prefix="overread-postgres-"))
    if root:
        shutil.chown(folder, "postgres")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def run(*command: str) -> None:
        done = subprocess.run([*as_user, *command], cwd=folder, capture_output=True, text=True)
        if done.returncode:
            pytest.fail(f"{command[0]} failed: {done.stdout}{done.stderr}")

    try:
        run(str(binaries / "initdb"), "-D", str(folder / "data"), "-U", "tests", "-A", "trust", "-E", "UTF8", "-N")
        options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c max_connections=200"
        log = str(folder / "log")
        run(str(binaries / "pg_ctl"), "-D", str(folder / "data"), "-o", options, "-w", "-l", log, "start")
        yield f"postgresql://tests@127.0.0.1:{port}"
        run(str(binaries / "pg_ctl"), "-D", str(folder / "data"), "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


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
