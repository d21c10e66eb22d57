"""A value that a click sets is not lost when the run that draws it is interrupted."""

import pytest
import streamlit as st
from streamlit.runtime.scriptrunner import RerunException, StopException
from streamlit.runtime.scriptrunner_utils.script_requests import RerunData

from dashboard.shared import pending


class Address(dict):
    """The query values that the browser sends."""

    def get_all(self, name: str) -> list[str]:
        return [self[name]] if name in self else []


@pytest.fixture
def sent(monkeypatch) -> Address:
    found = Address()
    monkeypatch.setattr(st, "query_params", found)
    return found


@pytest.fixture
def state(monkeypatch, sent) -> dict:
    found = {"study": "", "address_path": "errors"}
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


def drawn(sent: Address, study: str) -> None:
    """A run that ends by itself; the field of the study writes its value into the address."""
    with pending.until_drawn():
        sent["study"] = study


def test_a_request_sent_before_the_browser_has_drawn_the_run_changes_nothing(state, sent):
    """It comes after the run, but has the field and the address of before."""
    pending.put("study", "a")
    drawn(sent, "a")
    for _ in range(2):
        state["study"] = ""
        del sent["study"]
        pending.reapply()
        assert state["study"] == "a"
        drawn(sent, "a")


def test_a_reader_who_goes_back_to_the_old_value_is_obeyed(state, sent):
    pending.put("study", "a")
    drawn(sent, "a")
    state["study"] = ""
    pending.reapply()
    assert state["study"] == ""


def test_a_value_of_one_page_is_not_set_on_another(state, sent):
    pending.put("study", "a")
    drawn(sent, "a")
    state.update(study=None, address_path="dataset")
    del sent["study"]
    pending.reapply()
    assert state["study"] is None
