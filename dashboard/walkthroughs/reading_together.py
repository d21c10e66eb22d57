"""An open walkthrough: one reader presents; the others follow within a second, or go through the cases on their own."""

import time

import pandas as pd
import streamlit as st

from core.errors import OverreadError
from core.review import walkthroughs
from core.review.cases import neutral_name
from core.review.walkthroughs import Position, Walkthrough
from dashboard.shared import widgets
from dashboard.shared.case import loader, reader_name
from dashboard.shared.case.case_view import ReadingSession, draw_case

POLL_SECONDS = 1.0  # between two checks of the presenter's place
REPORT_SECONDS = 5.0  # between two reports of the reader's own presence


def draw_walkthrough(walkthrough: Walkthrough, session: ReadingSession) -> None:
    """The case at the place in the address, the steps to the others, and the readers who are present."""
    place, cases = _choose_place(walkthrough), len(walkthrough.cases)
    with st.container(horizontal=True, vertical_alignment="center"):
        for label, step, shortcut in (("Previous", -1, "Left"), ("Next", 1, "Right")):
            st.button(
                label,
                key=f"walk_{label.lower()}",
                on_click=_go,
                args=(walkthrough, place + step),
                disabled=not 1 <= place + step <= cases,
                shortcut=shortcut,
            )
        st.number_input(
            "Case",
            1,
            cases,
            key="place",
            bind="query-params",
            label_visibility="collapsed",
            width=120,
            on_change=_lead_to_chosen,
            args=(walkthrough,),
        )
        st.markdown(f"of {cases:,}", width="content")
        presenting = st.toggle(
            "Present", key="presenting", disabled=not session.reader, on_change=_lead_to_chosen, args=(walkthrough,)
        )
        following = st.toggle("Follow", value=True, key="following", disabled=presenting) and not presenting
    st.progress(place / cases)
    _draw_presence(walkthrough, session.reader, place, following)
    _draw_case_at(walkthrough, session, place, stay=presenting or (following and _has_presenter()))


def _draw_case_at(walkthrough: Walkthrough, session: ReadingSession, place: int, stay: bool) -> None:
    case = walkthrough.cases[place - 1]
    if case.note:
        widgets.note(case.note)
    if case.study_id not in session.cases.table.index:
        widgets.empty(
            f"Case {place} is not in {walkthrough.dataset} any more",
            f"The data set was indexed again without {case.study_id[:200]!r}. Its verdicts are kept. Go to the next "
            "case.",
        )
        return
    listed = [listed.study_id for listed in walkthrough.cases]
    draw_case(
        session,
        case.study_id,
        listed,
        lambda name: _open_case(walkthrough, name),
        stay=stay,
        walkthrough_id=walkthrough.id,
    )


@st.fragment(run_every=POLL_SECONDS)
def _draw_presence(walkthrough: Walkthrough, reader: str, place: int, following: bool) -> None:
    """Who presents and who is present. A follower's page moves to the presenter's case."""
    state, store = st.session_state, loader.store()
    try:
        position = walkthroughs.read_position(store, walkthrough.id)
        if reader and time.monotonic() - state.get("walk_reported", 0) > REPORT_SECONDS:
            state["walk_reported"] = time.monotonic()
            walkthroughs.report_presence(store, walkthrough.id, reader, place, following)
        present = walkthroughs.participants_table(store, walkthrough.id)
    except OverreadError as error:
        widgets.note(str(error))
        return
    if position and position.sequence > state.get("walk_seen", -1):
        state["walk_seen"] = position.sequence
        inside = 1 <= position.place <= len(walkthrough.cases)
        if following and position.presenter != reader and inside and position.place != place:
            state["walk_to"] = position.place
            st.rerun()
    presenter = position.presenter if position and position.presenter in set(present["name"]) else ""
    state["walk_presented"] = bool(presenter)
    widgets.note(presence_text(position, presenter, present))


def presence_text(position: Position | None, presenter: str, present: pd.DataFrame) -> str:
    """One line on the presenter and all present readers. presenter: '' where the last one has left."""
    first = f"{presenter} presents case {position.place}. " if presenter else ""
    readers = []
    for row in present.itertuples(index=False):
        if position and row.name == position.presenter:
            readers.append(row.name)
        else:
            readers.append(f"{row.name} follows" if row.following else f"{row.name} at case {row.place}")
    return first + ("Here: " + ", ".join(readers) + "." if readers else "No reader has typed a name yet.")


def _has_presenter() -> bool:
    return bool(st.session_state.get("walk_presented"))


def _choose_place(walkthrough: Walkthrough) -> int:
    """The place to draw: the presenter's, or else that of the address, limited to the list."""
    state = st.session_state
    if state.get("walk_of") != walkthrough.id:
        state["walk_of"], state["walk_reported"] = walkthrough.id, 0
        # A link with a place opens there; a follower moves with the presenter's next step.
        linked = "place" in st.query_params
        position = walkthroughs.read_position(loader.store(), walkthrough.id) if linked else None
        state["walk_seen"] = position.sequence if position else -1
    asked = state.pop("walk_to", None) or state.get("place")
    if asked is None:
        try:
            asked = int(float(st.query_params.get("place", 1)))
        except ValueError:
            asked = 1
    state["place"] = min(max(int(asked), 1), len(walkthrough.cases))
    return state["place"]


def _go(walkthrough: Walkthrough, place: int) -> None:
    st.session_state["walk_to"] = place
    _lead(walkthrough, place)


def _lead_to_chosen(walkthrough: Walkthrough) -> None:
    _lead(walkthrough, int(st.session_state.get("place") or 1))


def _lead(walkthrough: Walkthrough, place: int) -> None:
    """Move the followers to a place, if the reader presents."""
    reader = reader_name.reader_name()
    if st.session_state.get("presenting") and reader:
        try:
            walkthroughs.move_presenter(loader.store(), walkthrough.id, place, reader)
            walkthroughs.report_presence(loader.store(), walkthrough.id, reader, place, False)
        except OverreadError as error:
            st.session_state["verdict_error"] = str(error)


def _open_case(walkthrough: Walkthrough, name: str) -> None:
    for place, case in enumerate(walkthrough.cases, 1):
        if name in (case.study_id, neutral_name(case.study_id)):
            _go(walkthrough, place)
