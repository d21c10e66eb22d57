"""The chain of hashes over the review database: what is altered, removed or added by another program is found."""

import shutil
import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sql

from core.errors import OverreadError
from core.review import database, tables
from core.review.database import open_store, transaction
from core.review.snapshots import read_snapshot
from core.review.store import Verdict, add_verdict, add_verdict_once, undo_entry, undo_latest, verdicts_table
from core.review.walkthroughs import (
    WalkthroughCase,
    WalkthroughOrigin,
    create_walkthrough,
    list_walkthroughs,
    read_walkthrough,
)
from core.workflows.verify_verdicts import verify_verdicts
from core.workflows.walkthroughs import broken_walkthroughs
from tests.refusals import refused

FIXTURE = Path(__file__).parents[1] / "fixtures" / "workspace-0.1" / "review.sqlite"
BOX = '[{"image_id": "i", "x0": 0.1, "y0": 0.1, "x1": 0.4, "y1": 0.5}]'


def entry(number: int, **more) -> Verdict:
    return Verdict("set", f"study{number}", "Ana", reading="abnormal", given_label=1, score=0.1 + 0.2, **more)


@pytest.fixture
def store(url):
    """Five entries, one of them undone, and a walkthrough with a snapshot."""
    opened = open_store(url)
    stored = [add_verdict(opened, entry(number, note="see <b>")) for number in range(4)]
    undo_entry(opened, stored[1].id, "Ana")
    same = {"study_id": "study1", "patient_id": "p1", "bone": "hand", "label": 1.0}
    study = {**same, "group_id": "p1", "split": "valid", "score": 0.3, "n_views": 1}
    film = {**same, "image_id": "i", "path": "i.png", "sha1": "a", "view": None, "width": 4, "height": 4, "logit": 0.1}
    snapshot = {name: {key: [one] for key, one in row.items()} for name, row in (("studies", study), ("films", film))}
    cases = [WalkthroughCase("study1", "first"), WalkthroughCase("study2")]
    create_walkthrough(opened, "set", "Monday", "Ana", cases, WalkthroughOrigin("here", {"seed": 1}, snapshot))
    yield opened
    opened.engine.dispose()


def change(store, table, where, **values):
    """A change of rows past the store, as damage or another program makes it."""
    with store.engine.begin() as connection:
        connection.execute(sql.update(table).where(where).values(**values))


def test_a_database_as_it_was_written_is_whole(store):
    report = verify_verdicts(store)
    assert (report.entries, report.problems, report.later) == (5, (), 0)
    assert "5 entries" in report.sentence and len(verdicts_table(store, "set")) == 3


def test_an_altered_entry_is_refused_and_the_others_are_read(store):
    change(store, tables.verdicts, tables.verdicts.c.sequence == 3, reading="normal")
    with refused("entry-altered", "entry 3"):
        verdicts_table(store, "set")
    assert len(verdicts_table(store, study_id="study3")) == 1
    report = verify_verdicts(store)
    assert report.altered == (3,) and report.problems == ("The entry 3 was altered.",)


def test_a_missing_and_a_foreign_entry_are_found(store):
    with store.engine.begin() as connection:
        connection.execute(sql.delete(tables.verdicts).where(tables.verdicts.c.sequence == 5))
    assert verify_verdicts(store).problems == ("The entry [5] is missing.",)
    with refused("database-damaged", "4 of the 5 entries"):
        open_store(store.engine.url.render_as_string(hide_password=False))


def test_a_link_that_was_recomputed_alone_does_not_follow_the_one_before(store):
    change(store, tables.chain, tables.chain.c.entry == 2, content="0" * 64)
    assert any("does not follow" in problem for problem in verify_verdicts(store).problems)


@pytest.mark.parametrize(
    ("table", "values"),
    [
        (tables.walkthroughs, {"author": "Eve"}),
        (tables.cases, {"study_id": "other"}),
        (tables.versions, {"made_from": "elsewhere"}),
        (tables.records, {"record": '{"seed": 2}'}),
    ],
)
def test_an_altered_walkthrough_is_refused(store, table, values):
    with transaction(store) as connection:
        name = connection.execute(sql.select(tables.walkthroughs.c.id)).scalar()
    assert read_walkthrough(store, name).record == {"seed": 1}
    change(store, table, sql.true(), **values)
    with refused("entry-altered", "Monday"):
        read_walkthrough(store, name)


def test_an_altered_snapshot_is_refused(store):
    with transaction(store) as connection:
        name = connection.execute(sql.select(tables.walkthroughs.c.id)).scalar()
    change(store, tables.snapshots, sql.true(), snapshot='{"studies": {}, "films": {}}')
    with refused("entry-altered", "snapshot"):
        read_snapshot(store, name, 0.5)


@pytest.mark.parametrize(
    ("table", "values", "reason"),
    [
        (tables.walkthroughs, {"author": "Eve"}, "altered"),
        (tables.records, {"record": '{"seed": 2}'}, "altered"),
        (tables.snapshots, {"snapshot": "{}"}, "altered"),
        (tables.cases, None, "altered"),
        (tables.versions, None, "missing"),
    ],
)
def test_a_broken_walkthrough_is_listed_with_its_reason_and_spoils_no_other(store, table, values, reason):
    create_walkthrough(store, "set", "Tuesday", "Ben", [WalkthroughCase("study2")])
    names = list_walkthroughs(store, "set").set_index("name")["id"]
    assert broken_walkthroughs(store, "set") == {}
    mine = (table.c.id if table is tables.walkthroughs else table.c.walkthrough_id) == names["Monday"]
    if values:
        change(store, table, mine, **values)
    else:
        with store.engine.begin() as connection:
            for emptied in (tables.cases, table):  # cases name their version
                connection.execute(sql.delete(emptied).where(emptied.c.walkthrough_id == names["Monday"]))
    assert set(list_walkthroughs(store, "set")["name"]) == {"Monday", "Tuesday"}
    ((broken, why),) = broken_walkthroughs(store, "set").items()
    assert broken == names["Monday"] and reason in why
    assert read_walkthrough(store, names["Tuesday"]).name == "Tuesday"


@pytest.mark.parametrize(
    ("table", "values"),
    [
        (tables.records, {"record": "{"}),
        (tables.records, {"record": '{"reading": {"colour": 1}}'}),
        (tables.records, {"record": '{"view": {}}'}),
        (tables.snapshots, {"snapshot": '{"studies": 3}'}),
    ],
)
def test_a_record_that_nobody_can_follow_is_refused_in_words(store, table, values):
    change(store, table, sql.true(), **values)
    with store.engine.begin() as connection:
        connection.execute(sql.delete(tables.chain).where(tables.chain.c.kind == table.name))  # as without a chain
    ((_, reason),) = broken_walkthroughs(store, "set").items()
    assert "cannot be used" in reason


def test_a_database_of_an_earlier_release_gets_its_chain_when_it_is_opened(workspace):
    workspace.mkdir(parents=True)
    shutil.copy(FIXTURE, workspace / "review.sqlite")
    store = open_store()
    report = verify_verdicts(store)
    assert report.entries == 5 and report.later == report.links > 5 and not report.problems
    assert "before the chain began" in report.sentence and report.later_made
    add_verdict(store, entry(1))
    again = verify_verdicts(store)
    assert again.entries == 6 and again.later == report.later and again.links > report.links


def test_a_table_that_is_gone_is_not_made_anew(workspace):
    add_verdict(open_store(), entry(1))
    with sqlite3.connect(workspace / "review.sqlite") as raw:
        raw.execute("ALTER TABLE verdicts RENAME TO verdicus")
    with refused("database-damaged", "verdicts"):
        open_store()


def test_a_database_whose_errors_are_no_text_is_called_damaged(workspace):
    open_store().engine.dispose()
    file = workspace / "review.sqlite"
    content = file.read_bytes()
    file.write_bytes(content.replace(b"CREATE TABLE verdicts", b"CREATE T\xacBLE verdicts"))
    with refused("database-damaged", "review.sqlite"):
        open_store()


@pytest.fixture
def lost(monkeypatch):
    """Connections that end in the commit: before it (nothing is kept) or after it (the entry is kept)."""
    monkeypatch.setattr(database, "_WAITS", (0, 0))

    def lose(store, kept: bool, times: int) -> None:
        left = iter(range(times))

        @sql.event.listens_for(store.engine, "commit")
        def end(connection):
            if not connection.get_execution_options().get("overread_write") or next(left, None) is None:
                return
            if kept:
                connection.connection.dbapi_connection.commit()
            else:
                connection.connection.dbapi_connection.rollback()
            raise sql.exc.OperationalError("COMMIT", {}, Exception("server closed the connection unexpectedly"))

    return lose


@pytest.fixture
def server(url):
    if not url.startswith("postgres"):
        pytest.skip("a commit of SQLite ends with its call")
    return open_store(url)


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("write", [add_verdict, add_verdict_once])
def test_an_unknown_outcome_is_resolved_by_the_id_of_the_entry(server, lost, kept, write):
    lost(server, kept, 1)
    stored = write(server, entry(1, id="press-1"))
    assert stored.id == "press-1"
    assert verdicts_table(server, "set", history=True)["id"].tolist() == ["press-1"]
    assert undo_latest(server, "set", "Ana", "press-2") == "study1" and verdicts_table(server, "set").empty
    assert not verify_verdicts(server).problems


def test_an_outcome_that_stays_unknown_is_called_so(server, lost):
    lost(server, True, 5)
    with refused(database.UNKNOWN, "not known") as caught:
        add_verdict(server, entry(1, id="press-1"))
    assert isinstance(caught.value, OverreadError)
    assert add_verdict(server, entry(1, id="press-1")).id == "press-1"
    assert len(verdicts_table(server, "set", history=True)) == 1
