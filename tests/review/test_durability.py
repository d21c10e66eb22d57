"""Acknowledged entries survive kills, twenty writers, a full disk and a locked file."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import sqlalchemy as sql

from core.review.database import FILE, VERSION, open_store
from core.review.store import add_verdict, verdicts_table
from tests.refusals import refused
from tests.review.test_store import entry

WRITER = Path(__file__).with_name("writer.py")


def start(url: str, names: list[str], count: int) -> subprocess.Popen:
    """Processes that write at the same time, in a group of their own."""
    command = [sys.executable, str(WRITER), url, str(count), *names]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def ids_of(lines: list[str]) -> list[str]:
    """The ids in the whole lines of writers."""
    return [line.split("\t")[1].strip() for line in lines if line.endswith("\n")]


def test_killed_writers_lose_no_acknowledged_entry(url, thorough):
    acknowledged, turns = set(), 3 if thorough else 1
    for turn in range(turns):
        names = [f"w{turn}{number}" for number in range(4)]
        writers = start(url, names, 100_000)
        lines: list[str] = []
        reader = threading.Thread(target=lambda out=writers.stdout, into=lines: into.extend(out))
        reader.start()
        # Kill them at an arbitrary moment, after each has acknowledged some entries.
        while min(sum(line.startswith(name) for line in list(lines)) for name in names) < 10 + 7 * turn:
            assert writers.poll() is None, writers.stderr.read()
            time.sleep(0.005)
        os.killpg(writers.pid, signal.SIGKILL)
        writers.wait()
        reader.join()
        acknowledged |= set(ids_of(lines))
    store = open_store(url)
    kept = verdicts_table(store, history=True)
    assert len(acknowledged) > 30 * turns
    assert acknowledged <= set(kept["id"])
    # Each writer may also have stored the entry it was writing.
    assert len(kept) <= len(acknowledged) + 4 * turns
    assert (kept["note"].str.len() == 500).all() and not kept["id"].duplicated().any()
    if store.file:
        with sqlite3.connect(store.file) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    add_verdict(store, entry("after"))


def test_many_writers_at_once_lose_nothing(url, thorough):
    count = 20 if thorough else 6
    writers = start(url, [f"reader {number}" for number in range(count)], 15)
    out, errors = writers.communicate(timeout=120)
    assert writers.returncode == 0, errors
    acknowledged = ids_of(out.splitlines(keepends=True))
    kept = verdicts_table(open_store(url), history=True)
    assert len(acknowledged) == 15 * count and sorted(acknowledged) == sorted(kept["id"])
    assert kept["sequence"].is_monotonic_increasing and kept["created"].is_monotonic_increasing
    assert (kept.groupby("reviewer")["study_id"].nunique() == 15).all()


def test_threads_share_one_store(store):
    threads = [
        threading.Thread(target=lambda name=str(name): [add_verdict(store, entry(f"s{i}", name)) for i in range(5)])
        for name in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(verdicts_table(store)) == 100


def test_a_database_of_a_newer_version_is_not_changed(url):
    store = open_store(url)
    with store.engine.begin() as connection:
        connection.execute(sql.text(f"UPDATE overread_schema SET version = {VERSION + 1}"))
    store.engine.dispose()
    with refused("database-version", VERSION + 1, f"reads {VERSION}"):
        open_store(url)


def test_a_database_of_another_program_is_not_changed(workspace):
    workspace.mkdir()
    with sqlite3.connect(workspace / FILE) as connection:
        connection.execute("CREATE TABLE verdicts (mine TEXT)")
    with refused("database-foreign", "verdicts"):
        open_store()


def test_a_locked_file_is_refused_until_it_is_free(workspace):
    store = open_store(timeout=0.2)
    holder = sqlite3.connect(store.file, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with refused("database-locked", "not kept"):
        add_verdict(store, entry())
    assert verdicts_table(store).empty
    with refused("database-locked"):
        open_store(timeout=0.2)
    holder.execute("ROLLBACK")
    add_verdict(store, entry())
    assert len(verdicts_table(store)) == 1


def test_a_full_disk_is_refused_and_acknowledged_entries_stay(workspace):
    # The process may write files of up to 1.5 MB; then the system refuses, as with a full disk.
    code = f"""
import resource, signal, sys
sys.path.insert(0, {str(WRITER.parents[2])!r})
from core.errors import OverreadError
from core.review.store import Verdict, add_verdict, open_store
store = open_store()
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, 1_500_000))
for number in range(1000):
    try:
        add_verdict(store, Verdict("demo", str(number), "Ana", "cannot_tell", note="n" * 4000))
        print("kept", number, flush=True)
    except OverreadError as error:
        print(error.code, error)
        break
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    *kept, message = done.stdout.splitlines()
    assert message.startswith("database-full") and "not kept" in message
    assert 5 < len(kept) < 1000
    store = open_store()
    assert verdicts_table(store)["study_id"].tolist() == [line.split()[1] for line in kept]
    add_verdict(store, entry("after"))


@pytest.mark.parametrize("damage", [b"this is not a database, " * 500, b""])
def test_a_damaged_file_is_named_and_not_replaced(workspace, damage):
    workspace.mkdir()
    (workspace / FILE).write_bytes(damage)
    if not damage:
        assert verdicts_table(open_store()).empty
        return
    with refused("database-damaged", FILE):
        open_store()
    assert (workspace / FILE).read_bytes() == damage


def test_a_file_that_is_moved_while_open_is_refused(workspace):
    store = open_store()
    store.file.rename(store.file.with_suffix(".old"))
    with refused("database-moved", "not kept"):
        add_verdict(store, entry())


@pytest.mark.parametrize(
    ("url", "code", "figure"),
    [
        ("mysql://me:secret@host/db", "database-url-invalid", "mysql"),
        ("not a url", "database-url-invalid", "another database"),
        ("sqlite://", "database-url-invalid", "sqlite"),
        ("postgresql://me:secret@127.0.0.1:1/none", "database-failed", "127.0.0.1:1/none"),
    ],
)
def test_an_unusable_address_is_refused_without_showing_its_password(url, code, figure):
    with refused(code, figure) as raised:
        open_store(url, timeout=2)
    assert "secret" not in str(raised.value)
