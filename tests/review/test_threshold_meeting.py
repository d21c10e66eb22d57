"""A threshold that a team chooses together: one presents, each may propose, the decision is written down."""

import pytest

from core.review import tables
from core.review.database import transaction
from core.review.threshold_meeting import (
    Decision,
    clear_proposals,
    enter,
    leave,
    list_decisions,
    look,
    move,
    present_threshold,
    propose,
    record_decision,
    room_of,
)
from core.scores.source import Source
from tests.refusals import refused

ROOM = "demo@12345678|abcdef"


def decision(**changes) -> Decision:
    made = {
        "dataset": "demo", "view": {"split": "valid"}, "threshold": 0.3, "present": ("Ana", "Ben"),
        "proposals": {"Ben": 0.4}, "why": "two misses fewer", "figures": {"sensitivity": 0.9, "n": 120},
        "author": "Ana",
    }  # fmt: skip
    return Decision(**{**made, **changes})


def test_an_empty_room_has_nobody(store):
    room = look(store, ROOM)
    assert (room.presenter, room.present, room.proposals, room.sequence) == ("", (), {}, 0)


def test_everyone_sees_the_presenter_move_and_nobody_else_can(store):
    for name in ("Ana", "Ben"):
        enter(store, ROOM, name)
    present_threshold(store, ROOM, "Ana", "tune", 0.5)
    first = look(store, ROOM)
    assert (first.presenter, first.split, first.threshold, first.present) == ("Ana", "tune", 0.5, ("Ana", "Ben"))
    move(store, ROOM, "ana ", "tune", 0.41, moving=True)
    second = look(store, ROOM)
    assert (second.threshold, second.moving) == (0.41, True) and second.sequence > first.sequence
    with refused("not-presenting", "Ana"):
        move(store, ROOM, "Ben", "tune", 0.2)
    with refused("threshold-range", "1.2"):
        move(store, ROOM, "Ana", "tune", 1.2)
    present_threshold(store, ROOM, "Ben", "tune", 0.2)
    with refused("not-presenting", "Ben"):
        move(store, ROOM, "Ana", "tune", 0.3)
    assert look(store, "another room").presenter == ""


def test_each_has_one_proposal_which_stays_when_its_author_leaves(store):
    propose(store, ROOM, "Ana", 0.3)
    propose(store, ROOM, "Ana", 0.35)
    propose(store, ROOM, "Ben", 0.4)
    assert look(store, ROOM).proposals == {"Ana": 0.35, "Ben": 0.4}
    leave(store, ROOM, "Ben")
    assert look(store, ROOM).present == ("Ana",) and look(store, ROOM).proposals["Ben"] == 0.4
    propose(store, ROOM, "Ana", None)
    assert look(store, ROOM).proposals == {"Ben": 0.4}
    clear_proposals(store, ROOM)
    assert look(store, ROOM).proposals == {}


def test_nobody_presents_after_the_presenter_has_left(store):
    present_threshold(store, ROOM, "Ana", "tune", 0.5)
    leave(store, ROOM, "Ana")
    room = look(store, ROOM)
    assert (room.presenter, room.present, room.threshold) == ("", (), 0.5)
    with refused("not-presenting", "Nobody"):
        move(store, ROOM, "Ana", "tune", 0.4)


def test_a_person_who_no_longer_reports_has_left(store):
    enter(store, ROOM, "Ana")
    with transaction(store, write=True) as connection:
        connection.execute(tables.threshold_people.update().values(seen=1.0))
    assert look(store, ROOM).present == ()


def test_a_presenter_who_left_without_a_word_presents_no_longer_and_can_come_back(store):
    for name in ("Ana", "Ben"):
        enter(store, ROOM, name)
    present_threshold(store, ROOM, "Ana", "tune", 0.5)
    move(store, ROOM, "Ana", "tune", 0.4, moving=True)
    people = tables.threshold_people
    with transaction(store, write=True) as connection:
        connection.execute(people.update().where(people.c.name == "Ana").values(seen=1.0))
    room = look(store, ROOM)
    assert (room.presenter, room.left, room.moving, room.threshold) == ("", "Ana", False, 0.4)
    enter(store, ROOM, "Ana")
    assert (look(store, ROOM).presenter, look(store, ROOM).left) == ("Ana", "")
    with transaction(store, write=True) as connection:
        connection.execute(people.update().where(people.c.name == "Ana").values(seen=1.0))
    present_threshold(store, ROOM, "Ben", "tune", 0.3)
    enter(store, ROOM, "Ana")
    assert (look(store, ROOM).presenter, look(store, ROOM).left) == ("Ben", "")


def test_a_decision_is_kept_as_it_was_made(store):
    kept = record_decision(store, ROOM, decision())
    again = record_decision(store, ROOM, decision(threshold=0.2, point="abc", present=("Ana",)))
    assert list_decisions(store, "demo") == [kept, again] and list_decisions(store, "other") == []
    assert (kept.why, kept.present, kept.proposals, kept.figures["n"]) == (
        "two misses fewer", ("Ana", "Ben"), {"Ben": 0.4}, 120,
    )  # fmt: skip
    assert kept.id and kept.created and again.point == "abc"


@pytest.mark.parametrize("why", ["", "  "])
def test_a_decision_needs_a_reason(store, why):
    with refused("reason-missing"):
        record_decision(store, ROOM, decision(why=why))
    assert list_decisions(store, "demo") == []


def test_a_database_from_before_the_rooms_opens(store):
    with transaction(store, write=True) as connection:
        for table in (tables.threshold_rooms, tables.threshold_people, tables.threshold_decisions):
            table.drop(connection)
    from core.review.database import open_store

    opened = open_store(str(store.engine.url.render_as_string(hide_password=False)))
    present_threshold(opened, ROOM, "Ana", "tune", 0.5)
    assert look(opened, ROOM).presenter == "Ana"
    opened.engine.dispose()


def test_other_weights_are_another_room():
    def source(digest: str, index: str) -> Source:
        return Source("checkpoint", "m", digest, "demo", index, "", (), None)

    rooms = {room_of(source(*pair)) for pair in (("a" * 64, "1" * 64), ("b" * 64, "1" * 64), ("a" * 64, "2" * 64))}
    assert len(rooms) == 3 and room_of(source("a" * 64, "1" * 64)) in rooms
