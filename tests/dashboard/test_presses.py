"""Presses of keys: each counts once, on the case that was on screen."""

from uuid import uuid4

import pytest
import streamlit as st

from dashboard.shared.case import presses


@pytest.fixture
def acted(monkeypatch):
    """The acts so far, with an empty session: two drawn cases, whose keys record (case, key, id)."""
    monkeypatch.setattr(st, "session_state", {})
    acted: list[tuple] = []
    for case in ("first", "second"):
        acts = {key: (lambda name, case=case, key=key: acted.append((case, key, name))) for key in ("1", "2")}
        presses.offer(case, acts)
    return acted


def press(token: str, key: str, name: str = "") -> dict:
    return {"id": name or uuid4().hex, "token": token, "key": key}


def test_a_press_sent_again_is_acted_on_once_and_reported(acted):
    one, two = press("first", "1"), press("first", "2")
    assert presses.take({"presses": [one]})
    assert presses.take({"presses": [one, two]})
    assert not presses.take({"presses": [one, two]})
    assert [act[:2] for act in acted] == [("first", "1"), ("first", "2")]
    assert len({act[2] for act in acted}) == 2
    reported = presses.offer("second", {})
    assert reported["taken"] == [one["id"], two["id"]]


def test_a_press_acts_on_the_case_it_was_made_on_also_when_another_is_drawn(acted):
    presses.take({"presses": [press("first", "1")]})
    assert acted[0][:2] == ("first", "1")


def test_a_press_of_a_page_that_is_not_known_is_refused_and_reported(acted):
    gone = press("a page of another server", "1")
    presses.take({"presses": [gone, press("first", "9")]})
    assert not acted
    assert len(presses.offer("first", {})["refused"]) == 2


def test_an_act_that_is_interrupted_is_repeated_with_the_same_id(acted):
    names = []

    def interrupted(name: str) -> None:
        names.append(name)
        if len(names) == 1:
            raise RuntimeError("another run was asked for")

    presses.offer("third", {"1": interrupted})
    one = press("third", "1")
    with pytest.raises(RuntimeError):
        presses.take({"presses": [one]})
    assert presses.take({"presses": [one]}) and not presses.take({"presses": [one]})
    assert len(names) == 2 and len(set(names)) == 1


@pytest.mark.parametrize(
    "sent",
    [None, 3, [], {"presses": 1}, {"presses": [1, {}, {"id": "x", "token": "first", "key": "1"}]},
     {"presses": [{"id": 5, "token": "first", "key": "1"}, {"id": uuid4().hex, "token": ["first"], "key": "1"}]}],
)  # fmt: skip
def test_what_is_no_press_is_left_out(acted, sent):
    assert not presses.take(sent) and not acted


def test_the_name_of_a_page_differs_by_what_is_on_screen():
    assert presses.token_of("demo", "s1", True) == presses.token_of("demo", "s1", True)
    assert presses.token_of("demo", "s1", True) != presses.token_of("demo", "s1", False)
