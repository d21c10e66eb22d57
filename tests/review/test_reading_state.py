"""The lead's steps: who leads, the case of everyone, rounds, what is revealed, and who has answered."""

import pytest
import sqlalchemy as sql

from core.review import tables
from core.review.database import open_store, transaction
from core.review.reading_state import (
    ALONE,
    REVEAL,
    TOGETHER,
    answers,
    choose_when_answered,
    finish_reading,
    move_to,
    participants_table,
    read_state,
    report_presence,
    reveal_case,
    start_together,
    steps_table,
    take_lead,
)
from core.review.store import add_verdict, undo_entry, verdicts_table
from core.review.vocabulary import Verdict
from core.review.walkthroughs import WalkthroughCase, WalkthroughOrigin, create_walkthrough
from tests.refusals import refused


def made(store, name="Monday", **plan):
    cases = [WalkthroughCase(study) for study in ("s0", "s1", "s2")]
    return create_walkthrough(
        store, "demo", name, "Ana", cases, WalkthroughOrigin(record={"reading": plan} if plan else None)
    )


def test_the_lead_moves_everyone_and_another_reader_must_take_the_lead_first(store):
    walk = made(store)
    before = read_state(store, walk)
    assert (before.lead, before.place, before.round, before.since) == ("", 1, TOGETHER, "")
    with refused("not-the-lead", "Nobody leads"):
        move_to(store, walk, "Ana", 2)
    take_lead(store, walk, "Ana")
    second = move_to(store, walk, "ana ", 2)
    assert (second.lead, second.place) == ("Ana", 2) and second.sequence > before.sequence
    with refused("not-the-lead", "Ana leads"):
        move_to(store, walk, "Ben", 3)
    taken = take_lead(store, walk, "Ben")
    assert (taken.lead, taken.place, taken.since) == ("Ben", 2, second.since)
    with refused("not-the-lead", "Ben leads"):
        reveal_case(store, walk, "Ana", "s1")
    with refused("case-missing", "3"):
        move_to(store, walk, "Ben", 4)
    assert steps_table(store, walk)["kind"].tolist() == ["lead", "move", "lead"]


def test_a_page_that_asks_twice_moves_once(store):
    walk = made(store)
    seen = take_lead(store, walk, "Ana").sequence
    assert move_to(store, walk, "Ana", 2, after=seen).place == 2
    assert move_to(store, walk, "Ana", 3, after=seen).place == 2
    assert len(steps_table(store, walk)) == 2


def test_the_plan_hides_a_case_until_it_is_revealed(store):
    walk = made(store, blind=True, alone_first=True)
    state = take_lead(store, walk, "Ana")
    assert state.round == ALONE and state.hides(walk, "s0") and state.hides(walk, "s2")
    state = start_together(store, walk, "Ana")
    assert (state.round, state.place) == (TOGETHER, 1) and state.hides(walk, "s0")
    state = reveal_case(store, walk, "Ana", "s0")
    assert not state.hides(walk, "s0") and state.hides(walk, "s1")
    # A new process finds the same state.
    assert read_state(open_store(store.engine.url.render_as_string(hide_password=False)), walk) == state
    assert start_together(store, walk, "Ana") == state == reveal_case(store, walk, "Ana", "s0")
    ended = finish_reading(store, walk, "Ana")
    assert ended.finished and not ended.hides(walk, "s2") and finish_reading(store, walk, "Ana") == ended


def test_a_round_alone_is_blind_even_where_the_rest_is_open(store):
    walk = made(store, alone_first=True)
    assert read_state(store, walk).hides(walk, "s0")
    take_lead(store, walk, "Ana")
    assert not start_together(store, walk, "Ana").hides(walk, "s0")
    assert choose_when_answered(store, walk, "Ana", REVEAL).when_answered == REVEAL
    with refused("when-answered-unknown", "'now'"):
        choose_when_answered(store, walk, "Ana", "now")


def test_answers_count_each_reader_once_a_round_and_not_when_undone(store):
    walk = made(store, alone_first=True)

    def answer(reader, study, round_, **more):
        values = {"reading": "normal", "walkthrough_id": walk.id, "round": round_, **more}
        return add_verdict(store, Verdict("demo", study, reader, **values))

    answer("Ana", "s0", ALONE)
    answer("ana", "s0", ALONE)
    answer("Ben", "s0", TOGETHER)
    answer("Ben", "s0", TOGETHER, kind="adjudication")
    last = answer("Cleo", "s1", ALONE)
    add_verdict(store, Verdict("demo", "s0", "Dora", reading="normal"))
    assert answers(store, walk) == {
        (ALONE, "s0"): {"ana": "Ana"}, (TOGETHER, "s0"): {"ben": "Ben"}, (ALONE, "s1"): {"cleo": "Cleo"},
    }  # fmt: skip
    undo_entry(store, last.id, "Cleo")
    assert (ALONE, "s1") not in answers(store, walk)


def test_participants_are_those_who_reported_and_their_places(store):
    walk = made(store)
    assert participants_table(store, walk.id).empty
    report_presence(store, walk.id, "Ben", 1, True)
    report_presence(store, walk.id, "Ben", 2, False)
    report_presence(store, walk.id, "Ana", 2, False)
    expected = {"name": ["Ana", "Ben"], "place": [2, 2], "following": [False, False]}
    assert participants_table(store, walk.id).to_dict("list") == expected
    with transaction(store, write=True) as connection:
        connection.execute(tables.participants.update().where(tables.participants.c.name == "Ben").values(seen=0.0))
    assert participants_table(store, walk.id)["name"].tolist() == ["Ana"]
    assert participants_table(store, walk.id, everyone=True)["name"].tolist() == ["Ana", "Ben"]


@pytest.mark.parametrize("lost", ["walkthrough_steps", "walkthrough_snapshots", "walkthrough_actions"])
def test_a_database_of_an_earlier_release_gets_what_it_lacks(url, lost):
    """Neither the tables nor the column of rounds existed; the presenter's place did."""
    store = open_store(url)
    walk = made(store)
    entry = add_verdict(store, Verdict("demo", "s0", "Ana", "cannot_tell"))
    with transaction(store, write=True) as connection:
        connection.execute(
            tables.positions.insert().values(walkthrough_id=walk.id, sequence=3, place=2, presenter="Ana", changed="")
        )
        connection.execute(sql.text(f"DROP TABLE {lost}"))
        connection.execute(sql.text("ALTER TABLE verdicts DROP COLUMN round"))
    store.engine.dispose()
    again = open_store(url)
    assert read_state(again, walk).place == 2
    assert take_lead(again, walk, "Ana").place == 2
    (row,) = verdicts_table(again).itertuples()
    assert row.id == entry.id and not isinstance(row.round, str)
    add_verdict(again, Verdict("demo", "s0", "Ben", "cannot_tell", round=ALONE, walkthrough_id=walk.id))
    assert verdicts_table(again)["round"].tolist()[1] == ALONE
