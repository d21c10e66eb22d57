"""What was acknowledged is there: after a kill in the middle, with twenty writers, on a full disk, beside a lock."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import sqlalchemy as sql

from core.errors import OverreadError
from core.review.database import FILE, VERSION, open_store
from core.review.store import add_verdict, verdicts_table
from tests.review.test_store import entry

WRITER = Path(__file__).with_name("writer.py")


def start(url: str, name: str, count: int) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, str(WRITER), url, name, str(count)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_kill_in_the_middle_of_writing_loses_nothing_that_was_acknowledged(url):
    acknowledged = set()
    for turn in range(3):
        writers = [start(url, f"w{turn}{number}", 100_000) for number in range(4)]
        lines: list[list[str]] = [[] for _ in writers]
        readers = [
            threading.Thread(target=lambda out=writer.stdout, into=into: into.extend(out))
            for writer, into in zip(writers, lines)
        ]
        for reader in readers:
            reader.start()
        # Killed once each has been told of some, at a moment that none of them can know.
        while min(map(len, lines)) < 10 + 7 * turn:
            assert all(writer.poll() is None for writer in writers), writers[0].stderr.read()
        for writer in writers:
            os.kill(writer.pid, signal.SIGKILL)
        for writer, reader in zip(writers, readers):
            writer.wait()
            reader.join()
        acknowledged |= {line.strip() for part in lines for line in part if len(line) == 37}
    store = open_store(url)
    kept = verdicts_table(store, history=True)
    assert len(acknowledged) > 100
    assert acknowledged <= set(kept["id"])
    # The one each of the twelve was writing may or may not be there.
    assert len(kept) <= len(acknowledged) + 12
    assert (kept["note"].str.len() == 500).all() and not kept["id"].duplicated().any()
    if store.file:
        with sqlite3.connect(store.file) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    add_verdict(store, entry("after"))


def test_twenty_writers_at_once_lose_nothing(url):
    writers = [start(url, f"reader {number}", 15) for number in range(20)]
    said = [writer.communicate(timeout=120) for writer in writers]
    assert [writer.returncode for writer in writers] == [0] * 20, said[0][1]
    acknowledged = [line for out, _ in said for line in out.split() if line != "ready"]
    kept = verdicts_table(open_store(url), history=True)
    assert len(acknowledged) == 300 and sorted(acknowledged) == sorted(kept["id"])
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


def test_a_database_of_a_newer_version_is_left_alone(url):
    store = open_store(url)
    with store.engine.begin() as connection:
        connection.execute(sql.text(f"UPDATE overread_schema SET version = {VERSION + 1}"))
    store.engine.dispose()
    with pytest.raises(OverreadError, match=f"version {VERSION + 1}; this version of Overread reads {VERSION}"):
        open_store(url)


def test_a_database_of_something_else_is_left_alone(workspace):
    workspace.mkdir()
    with sqlite3.connect(workspace / FILE) as connection:
        connection.execute("CREATE TABLE verdicts (mine TEXT)")
    with pytest.raises(OverreadError, match="something else"):
        open_store()


def test_a_locked_file_says_so_and_works_again_when_it_is_free(workspace):
    store = open_store(timeout=0.2)
    holder = sqlite3.connect(store.file, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(OverreadError, match="is locked by another program.*Nothing of this entry was kept"):
        add_verdict(store, entry())
    assert verdicts_table(store).empty
    with pytest.raises(OverreadError, match="locked"):
        open_store(timeout=0.2)
    holder.execute("ROLLBACK")
    add_verdict(store, entry())
    assert len(verdicts_table(store)) == 1


def test_a_full_disk_says_so_and_what_was_acknowledged_stays(workspace):
    # Files may grow to 1.5 MB in that process: then the system refuses, as a full disk does.
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
        print(error)
        break
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    *kept, said = done.stdout.splitlines()
    assert "free some disk space" in said and "Nothing of this entry was kept" in said
    assert 5 < len(kept) < 1000
    store = open_store()
    assert verdicts_table(store)["study_id"].tolist() == [line.split()[1] for line in kept]
    add_verdict(store, entry("after"))


@pytest.mark.parametrize("damage", [b"this is no database, " * 500, b""])
def test_a_damaged_file_is_named_and_not_replaced(workspace, damage):
    workspace.mkdir()
    (workspace / FILE).write_bytes(damage)
    if not damage:
        assert verdicts_table(open_store()).empty
        return
    with pytest.raises(OverreadError, match="damaged"):
        open_store()
    assert (workspace / FILE).read_bytes() == damage


def test_a_file_that_is_taken_away_while_it_is_open_is_missed(workspace):
    store = open_store()
    store.file.rename(store.file.with_suffix(".old"))
    with pytest.raises(OverreadError, match="moved, deleted or replaced.*not kept"):
        add_verdict(store, entry())


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://me:secret@host/db", "names mysql"),
        ("not a url", "names something else"),
        ("sqlite://", "names sqlite"),
        ("postgresql://me:secret@127.0.0.1:1/none", "refused|lost"),
    ],
)
def test_an_address_that_cannot_be_used_says_so_without_its_password(url, said):
    with pytest.raises(OverreadError, match=said) as refused:
        open_store(url, timeout=2)
    assert "secret" not in str(refused.value)
