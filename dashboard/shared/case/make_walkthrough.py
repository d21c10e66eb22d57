"""The forms that make a walkthrough: from the list of the errors page, or by hand."""

from collections.abc import Callable

import streamlit as st

from core.errors import OverreadError
from core.review.walkthroughs import Walkthrough
from core.scores.view import View
from core.workflows.walkthroughs import (
    Candidates,
    Draw,
    correctly_classified,
    make_walkthrough,
    make_walkthrough_of,
    read_cases,
)
from dashboard.shared import widgets
from dashboard.shared.case import loader, reader
from dashboard.shared.case.case_list import Filters
from dashboard.shared.case.room import Room


def from_list(room: Room, listed: list[str], filters: Filters) -> None:
    """The form that makes a walkthrough of the listed studies, with correctly classified ones mixed in if asked for."""
    with st.popover(f"Walk through these {len(listed):,} together", icon=":material/groups:"):
        st.text_input("Name", key="walk_name", max_chars=200)
        st.number_input("Cases", 1, len(listed), min(20, len(listed)), key="walk_cases")
        st.segmented_control(
            "Which",
            ("the first of this list", "at random"),
            default="the first of this list",
            required=True,
            key="walk_which",
            help="Drawn at random, they can stand for the whole list, with an interval.",
        )
        correct = correctly_classified(room.cases.table, room.view.bone)
        st.number_input(
            "Correctly classified studies mixed in",
            0,
            len(correct),
            0,
            key="walk_controls",
            help="Studies drawn at random from those that the model calls as they are labelled. Figures after reading "
            "errors alone are too good; these studies correct them, weighted by the inverse of their probability.",
        )
        candidates = Candidates(filters.name, tuple(listed), tuple(correct))
        st.button(
            "Make it",
            type="primary",
            key="walk_make",
            on_click=_from_list,
            args=(room.view, candidates),
        )
        # In here, since what is open would cover it on the page.
        tell()


def by_hand(room: Room) -> None:
    """The form that makes a walkthrough of studies that are typed, one a line."""
    with st.expander("Make one by hand"):
        st.text_input("Name", key="hand_name", max_chars=200)
        st.text_area("Studies, one a line; a note may follow after a bar: study | note", key="hand_cases", height=140)
        st.button(
            "Make it",
            type="primary",
            key="hand_make",
            on_click=_by_hand,
            args=(room.view, set(room.cases.table.index)),
        )


def tell() -> None:
    """Show whether the last attempt to make one succeeded."""
    if error := st.session_state.pop("walk_error", None):
        st.error(error)
    if name := st.session_state.get("walk_made"):
        with st.container(horizontal=True, vertical_alignment="center"):
            widgets.note(f"{name} is made.")
            st.page_link("walkthroughs/page.py", label="Open it", query_params={"walk": name})


def _from_list(view: View, candidates: Candidates) -> None:
    state = st.session_state
    draw = Draw(int(state["walk_cases"]), int(state["walk_controls"]), state["walk_which"] == "at random")
    _make(lambda who: make_walkthrough(loader.store(), view, state["walk_name"], who, candidates, draw))


def _by_hand(view: View, known: set[str]) -> None:
    state = st.session_state
    cases = read_cases(state["hand_cases"])
    _make(lambda who: make_walkthrough_of(loader.store(), view, state["hand_name"], who, cases, known))


def _make(make: Callable[[str], Walkthrough]) -> None:
    state = st.session_state
    state["walk_made"] = ""
    try:
        # Kept, since a run that follows at once would take the link away again.
        state["walk_made"] = make(reader.name()).name
    except OverreadError as error:
        state["walk_error"] = str(error)
