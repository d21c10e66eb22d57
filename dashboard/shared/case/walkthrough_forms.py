"""The forms that make a walkthrough: from the list of the Errors page, or from typed studies."""

from collections.abc import Callable, Container
from datetime import date

import streamlit as st

from core.errors import OverreadError
from core.review.cases import Cases
from core.review.walkthroughs import ReadingPlan, Walkthrough, list_walkthroughs
from core.scores.view import View
from core.workflows.walkthroughs import (
    Candidates,
    Draw,
    correctly_classified,
    make_walkthrough,
    make_walkthrough_of,
    read_cases,
)
from dashboard.shared.case import loader, reader_name
from dashboard.shared.plain import plain
from dashboard.shared.roles import gate
from dashboard.shared.selection import bone_name

FIRST, AT_RANDOM = "the first of this list", "at random"
OPEN, BLIND = "open", "blind until revealed"
CASES = 10


def draw_form_for_list(view: View, cases: Cases, listed: list[str], title: str) -> None:
    """The form for the listed studies, with correctly classified ones mixed in on request. title: the list's name."""
    if name := st.session_state.pop("walk_open", ""):
        # An empty mapping would clear the parameters of the selectors.
        st.switch_page("walkthroughs/page.py", query_params={"walk": name})
    with st.popover("Make a walkthrough", icon=":material/groups:"):
        _draw_name("walk_name", view)
        st.number_input(
            f"Cases, of {len(listed):,} in this list", 1, len(listed), min(CASES, len(listed)), key="walk_cases"
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
            help="Figures after reading only errors are too good. Correctly classified studies remove this error; "
            "each is weighted by the inverse of its probability of being drawn.",
        )
        _draw_plan("walk")
        reader_name.draw_name_field("walk_reader")
        st.button(
            "Make and open",
            type="primary",
            key="walk_make",
            on_click=_make_from_list,
            args=(view, Candidates(title, tuple(listed), tuple(correct))),
            **gate("read"),
        )
        # The popover stays open and would cover a message on the page.
        draw_result()


def draw_form_for_typed_studies(view: View, cases: Cases) -> None:
    """The form for studies that are typed, one per line."""
    with st.expander("Make a walkthrough from typed studies"):
        _draw_name("hand_name", view)
        st.text_area("One study per line. A note may follow after a bar: study | note", key="hand_cases", height=140)
        _draw_plan("hand")
        reader_name.draw_name_field("hand_reader")
        st.button(
            "Make and open",
            type="primary",
            key="hand_make",
            on_click=_make_from_text,
            args=(view, cases.table.index),
            **gate("read"),
        )


def draw_result() -> None:
    """Why the last attempt to make a walkthrough failed."""
    if error := st.session_state.pop("walk_error", None):
        st.error(plain(error))


def default_name(view: View, taken: set[str], day: date) -> str:
    """A name that is free and says nothing of the outcome, which a blind reader must not know: `Wrist, 27 Nov 2026`."""
    name = f"{bone_name(view.bone)}, {day.day} {day:%b %Y}"
    number = 2
    while (found := name if number == 2 else f"{name} ({number - 1})") in taken:
        number += 1
    return found


def _draw_name(key: str, view: View) -> None:
    st.text_input("Name of the walkthrough", key=key, max_chars=200, placeholder=_free_name(view))


def _draw_plan(form: str) -> None:
    """How everyone reads: what is hidden, one or two rounds, names, and time."""
    st.segmented_control(
        "Label, score and others' verdicts",
        (OPEN, BLIND),
        default=OPEN,
        required=True,
        key=f"{form}_mode",
        help="Blind until revealed: they are hidden everywhere on the page until the lead reveals the case.",
    )
    st.toggle(
        "Read alone first, then together",
        key=f"{form}_alone",
        help="In the first round each reads all cases alone and blind. Entries of both rounds are stored.",
    )
    with st.expander("Names and time"):
        st.toggle("Show who has answered", value=True, key=f"{form}_names", help="If off, only their number is shown.")
        st.number_input("Seconds for a case; 0 for no limit", 0, 3600, 0, 30, key=f"{form}_seconds")


def _plan(form: str) -> ReadingPlan:
    state = st.session_state
    return ReadingPlan(
        state[f"{form}_mode"] == BLIND,
        bool(state[f"{form}_alone"]),
        bool(state[f"{form}_names"]),
        int(state[f"{form}_seconds"]),
    )


def _free_name(view: View) -> str:
    taken = set(list_walkthroughs(loader.store(), view.source.data)["name"])
    return default_name(view, taken, date.today())


def _make_from_list(view: View, candidates: Candidates) -> None:
    state = st.session_state
    draw = Draw(int(state["walk_cases"]), int(state["walk_controls"]), state["walk_which"] == AT_RANDOM)
    name = state["walk_name"] or _free_name(view)
    made = _make(
        "walk", lambda author: make_walkthrough(loader.store(), view, name, author, candidates, draw, _plan("walk"))
    )
    state["walk_open"] = made


def _make_from_text(view: View, known: Container[str]) -> None:
    state = st.session_state
    cases, name = read_cases(state["hand_cases"]), state["hand_name"] or _free_name(view)
    made = _make(
        "hand", lambda author: make_walkthrough_of(loader.store(), view, name, author, cases, known, _plan("hand"))
    )
    if made:
        state["walk"] = made


def _make(form: str, make: Callable[[str], Walkthrough]) -> str:
    """The name of the walkthrough that was made; '' where it failed."""
    try:
        return make(reader_name.known_or_typed(f"{form}_reader")).name
    except OverreadError as error:
        st.session_state["walk_error"] = str(error)
        return ""
