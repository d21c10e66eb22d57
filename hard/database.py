"""Readers write to PostgreSQL while they, their connections or the server are killed.

What was acknowledged is there once, what was refused is not there, and what was called unknown is there once or not.
"""

import contextlib
import os
import random
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from uuid import uuid4

import sqlalchemy as sql

from hard.trials import Trial, caught
from hard.workspace import enter
from tests.postgres import Missing, Server, running

# Kills of each kind.
COUNT = 12
WRITERS = 4
NOTES: list[str] = []
# Verdicts so far, by what their reader was told.
COUNTS: dict[str, int] = {}


def run(folder: Path, seed: int, count: int = COUNT) -> Iterator[Trial]:
    """Start PostgreSQL, and kill readers, connections and the server while readers write."""
    enter(folder)
    try:
        with running(durable=True) as server:
            for name, harm in HARM.items():
                for number in range(count):
                    yield trial(server, name, harm, random.Random(f"{seed} {name} {number}"))
    except Missing as why:
        NOTES.append(f"Nothing was killed: {why}.")


def trial(server: Server, name: str, harm: Callable, draw: random.Random) -> Trial:
    """Let readers write into a schema of their own, do the harm, and compare what they were told with what is kept."""
    from core.review.store import open_store, verdicts_table
    from core.workflows.verify_verdicts import verify_verdicts

    address, schema = f"{server.address}/postgres", f"t{uuid4().hex}"
    command(address, f"CREATE SCHEMA {schema}")
    url = f"{address}?options=-csearch_path%3D{schema}"
    open_store(url).engine.dispose()
    writers = Writers(url)
    with caught("kept") as outcome:
        moments = [draw.uniform(0.2, 1.2) for _ in range(draw.choice((1, 2)))]
        for moment in moments:
            time.sleep(moment)
            harm(server, address, writers, draw)
        command(address, "SELECT 1")  # the server may have to recover first
        time.sleep(2)  # those that live connect again and go on
        told = writers.end()
        store = open_store(url)
        try:
            kept = verdicts_table(store, history=True)["id"]
            problems = verify_verdicts(store).problems
        finally:
            store.engine.dispose()
        outcome.name, outcome.detail = compared(told, list(kept), problems)
    for key, ids in told.items():
        COUNTS[key] = COUNTS.get(key, 0) + len(ids)
    NOTES[:] = [f"Verdicts: {', '.join(f'{number:,} {key}' for key, number in COUNTS.items())}."]
    command(address, f"DROP SCHEMA {schema} CASCADE")
    return Trial(name, "lost" if outcome.name == "refused" else outcome.name, outcome.detail)


def compared(told: dict[str, set[str]], kept: list[str], problems: Sequence) -> tuple[str, str]:
    """The outcome of a trial, and its details: what the readers were told against the ids in the database.

    problems: of the chain of hashes.
    """
    stored = set(kept)
    if told["failed"]:
        return "uncaught", min(told["failed"])
    if not told["stored"]:
        return "uncaught", "no reader stored anything"
    if missing := told["stored"] - stored:
        return "lost", f"{len(missing)} acknowledged verdicts are not there"
    if ghosts := told["refused"] & stored:
        return "silent", f"{len(ghosts)} verdicts that were refused are there"
    if len(stored) != len(kept) or problems:
        return "silent", f"twice or altered: {problems}"
    return "kept", ""


def command(address: str, text: str) -> None:
    """One statement of the superuser, as soon as the server has recovered."""
    engine = sql.create_engine(address.replace("://", "+psycopg://"), isolation_level="AUTOCOMMIT")
    until = time.monotonic() + 60
    while True:
        try:
            with engine.connect() as connection:
                connection.execute(sql.text(text))
            break
        except sql.exc.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)
    engine.dispose()


class Writers:
    """Readers in processes of their own. Each says of each verdict whether it was stored, refused, or is unknown."""

    def __init__(self, url: str) -> None:
        self._reading, writing = os.pipe()
        self.processes = [self._start(url, f"reader {place}", writing) for place in range(WRITERS)]
        os.close(writing)

    def _start(self, url: str, reader: str, writing: int) -> int:
        if process := os.fork():
            return process
        os.close(self._reading)
        try:
            write_until_killed(url, reader, lambda *words: os.write(writing, ("\t".join(words) + "\n").encode()))
        except BaseException as error:  # noqa: BLE001 - the parent reads it
            os.write(writing, f"failed\t{type(error).__name__}: {str(error)[:300]}\n".encode())
        os._exit(1)

    def end(self) -> dict[str, set[str]]:
        """Kill those that live; returns the ids by what their reader was told."""
        for process in self.processes:
            os.kill(process, signal.SIGKILL)
        with os.fdopen(self._reading, encoding="utf-8") as lines:
            whole = [line.rstrip("\n").split("\t", 1) for line in lines if line.endswith("\n")]
        for process in self.processes:
            os.waitpid(process, 0)
        told: dict[str, set[str]] = {"stored": set(), "refused": set(), "unknown": set(), "failed": set()}
        for kind, words in whole:
            told[kind].add(words)
        return told


def write_until_killed(url: str, reader: str, say: Callable[..., object]) -> None:
    """Add verdicts without end. After an error the same reader goes on with the next verdict."""
    from core.errors import OverreadError
    from core.review.database import UNKNOWN
    from core.review.store import Verdict, add_verdict, open_store

    store, number = None, 0
    while store is None:
        # The first kill may come before the reader has connected.
        with contextlib.suppress(OverreadError):
            store = open_store(url)
    while True:
        number += 1
        entry = Verdict("demo", f"{reader} {number}", reader, "cannot_tell", note="n" * 200)
        try:
            say("stored", add_verdict(store, entry).id)
        except OverreadError as error:
            say("unknown" if error.code == UNKNOWN else "refused", entry.id)
            time.sleep(0.05)


def kill_a_reader(server: Server, address: str, writers: Writers, draw: random.Random) -> None:
    """SIGKILL for one of the writing processes; it stays a child until `end`."""
    os.kill(draw.choice(writers.processes), signal.SIGKILL)


def cut_connections(server: Server, address: str, writers: Writers, draw: random.Random) -> None:
    """End every connection of the readers, as an administrator or a firewall does."""
    command(address, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")


def kill_a_connection(server: Server, address: str, writers: Writers, draw: random.Random) -> None:
    """SIGKILL for a process that serves a reader: the server then cuts all and recovers from its log."""
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = file.read_bytes()
        except OSError:
            continue
        if words.startswith(b"postgres: ") and b"tests postgres 127.0.0.1" in words:
            os.kill(int(file.parent.name), signal.SIGKILL)
            return


def crash(server: Server, address: str, writers: Writers, draw: random.Random) -> None:
    """Stop the server without a checkpoint and start it again."""
    server.crash()
    time.sleep(draw.uniform(0, 0.5))
    server.start()


HARM = {
    "readers killed": kill_a_reader,
    "connections cut": cut_connections,
    "a connection's process killed": kill_a_connection,
    "server stopped in the midst": crash,
}
