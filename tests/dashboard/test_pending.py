"""A value that a click sets is not lost when the run that draws it is interrupted."""

import pytest
import streamlit as st
from streamlit.runtime.scriptrunner import RerunException, StopException
from streamlit.runtime.scriptrunner_utils.script_requests import RerunData

from dashboard.shared import pending


@pytest.fixture
def state(monkeypatch) -> dict:
    found = {"study": ""}
    monkeypatch.setattr(st, "session_state", found)
    return found


def interrupted() -> None:
    with pytest.raises(RerunException), pending.until_drawn():
        raise RerunException(RerunData())


def test_the_click_of_an_interrupted_run_counts_although_the_browser_sends_the_old_value(state):
    pending.put("study", "a")
    for _ in range(2):
        interrupted()
        state["study"] = ""
        pending.reapply()
        assert state["study"] == "a"
    with pending.until_drawn():
        pass
    state["study"] = ""
    pending.reapply()
    assert state["study"] == ""


def test_what_the_reader_changed_since_counts_more(state):
    pending.put("study", "a")
    interrupted()
    state["study"] = "b"
    pending.reapply()
    assert state["study"] == "b"


def test_the_last_of_two_clicks_counts(state):
    pending.put("study", "a")
    interrupted()
    pending.put("study", "b")
    interrupted()
    state["study"] = "a"
    pending.reapply("study")
    assert state["study"] == "b"


def test_only_the_named_values_are_set_again(state):
    pending.put("study", "a")
    pending.put("threshold", 0.3)
    interrupted()
    state["study"], state["threshold"] = "", None
    pending.reapply("study")
    assert state["study"] == "a" and state["threshold"] is None


@pytest.mark.parametrize("end", [StopException, ValueError])
def test_a_page_that_stops_by_itself_is_drawn(state, end):
    pending.put("study", "a")
    with pytest.raises(end), pending.until_drawn():
        raise end
    state["study"] = ""
    pending.reapply()
    assert state["study"] == ""
