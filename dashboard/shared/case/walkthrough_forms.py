"""The forms that make a walkthrough: from the list of the Errors page, or from typed studies."""

from collections.abc import Callable

import streamlit as st

from core.errors import OverreadError
from core.review.cases import Cases
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
from dashboard.shared.case import loader, reader_name

FIRST, AT_RANDOM = "the first of this list", "at random"


def draw_form_for_list(view: View, cases: Cases, listed: list[str], title: str) -> None:
    """The form for the listed studies, with correctly classified ones mixed in on request. title: the list's name."""
    with st.popover("Make a walkthrough", icon=":material/groups:"):
        st.text_input("Name", key="walk_name", max_chars=200)
        st.number_input(
            f"Cases, of {len(listed):,} in this list", 1, len(listed), min(20, len(listed)), key="walk_cases"
        )
        st.segmented_control(
            "Which",
            (FIRST, AT_RANDOM),
            default=FIRST,
            required=True,
            key="walk_which",
            help="Only cases drawn at random represent the whole list and give figures with an interval.",
        )
        correct = correctly_classified(cases.table, view.bone)
        st.number_input(
            "Correctly classified studies, drawn at random",
            0,
            len(correct),
            0,
            key="walk_controls",
            help="Figures after reading only errors are too good. Correctly classified studies correct them; each is "
            "weighted by the inverse of its probability of being drawn.",
        )
        st.button(
            "Make walkthrough",
            type="primary",
            key="walk_make",
            on_click=_make_from_list,
            args=(view, Candidates(title, tuple(listed), tuple(correct))),
        )
        # The popover stays open and would cover a message on the page.
        draw_result()


def draw_form_for_typed_studies(view: View, cases: Cases) -> None:
    """The form for studies that are typed, one a line."""
    with st.expander("Make one from typed studies"):
        st.text_input("Name", key="hand_name", max_chars=200)
        st.text_area("One study a line. A note may follow after a bar: study | note", key="hand_cases", height=140)
        st.button(
            "Make walkthrough",
            type="primary",
            key="hand_make",
            on_click=_make_from_text,
            args=(view, set(cases.table.index)),
        )


def draw_result() -> None:
    """Whether the last attempt to make a walkthrough succeeded."""
    if error := st.session_state.pop("walk_error", None):
        st.error(error)
    if name := st.session_state.get("walk_made"):
        with st.container(horizontal=True, vertical_alignment="center"):
            widgets.note(f"{name} was made.")
            st.page_link("walkthroughs/page.py", label="Open it", query_params={"walk": name})


def _make_from_list(view: View, candidates: Candidates) -> None:
    state = st.session_state
    draw = Draw(int(state["walk_cases"]), int(state["walk_controls"]), state["walk_which"] == AT_RANDOM)
    _make(lambda author: make_walkthrough(loader.store(), view, state["walk_name"], author, candidates, draw))


def _make_from_text(view: View, known: set[str]) -> None:
    state = st.session_state
    cases = read_cases(state["hand_cases"])
    _make(lambda author: make_walkthrough_of(loader.store(), view, state["hand_name"], author, cases, known))


def _make(make: Callable[[str], Walkthrough]) -> None:
    state = st.session_state
    state["walk_made"] = ""
    try:
        # Stays in the state, since the link must survive further runs of the page.
        state["walk_made"] = make(reader_name.reader_name()).name
    except OverreadError as error:
        state["walk_error"] = str(error)
