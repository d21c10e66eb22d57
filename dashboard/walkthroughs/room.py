"""A walkthrough as a room: one presents, the others follow within a second or look around on their own."""

import time

import pandas as pd
import streamlit as st

from core.errors import OverreadError
from core.review import walkthroughs
from core.review.walkthroughs import Walkthrough
from dashboard.shared import widgets
from dashboard.shared.case import loader
from dashboard.shared.case import reader as reviewer
from dashboard.shared.case import room as case_view
from dashboard.shared.case.room import Room

PACE = 1.0  # seconds between two looks at where the presenter is
HEARD = 5.0  # seconds between two words that one is there


def show(walk: Walkthrough, room: Room) -> None:
    """The case at the place of the address, the way to the others, and who is here."""
    place = _place(walk)
    with st.container(horizontal=True, vertical_alignment="center"):
        for label, step, shortcut in (("Previous", -1, "Left"), ("Next", 1, "Right")):
            st.button(
                label,
                key=f"walk_{label.lower()}",
                on_click=_go,
                args=(walk, place + step),
                disabled=not 1 <= place + step <= len(walk.cases),
                shortcut=shortcut,
            )
        st.number_input(
            "Case",
            1,
            len(walk.cases),
            key="place",
            bind="query-params",
            label_visibility="collapsed",
            width=120,
            on_change=_moved,
            args=(walk,),
        )
        st.markdown(f"of {len(walk.cases):,}", width="content")
        presenting = st.toggle("Present", key="presenting", disabled=not room.reader, on_change=_moved, args=(walk,))
        following = st.toggle("Follow", value=True, key="following", disabled=presenting) and not presenting
    st.progress(place / len(walk.cases))
    _together(walk, room.reader, place, following)
    _show_case(walk, room, place, stay=presenting or (following and _somebody_presents()))


def _show_case(walk: Walkthrough, room: Room, place: int, stay: bool) -> None:
    case = walk.cases[place - 1]
    if case.note:
        widgets.note(case.note)
    if case.study_id not in room.cases.table.index:
        widgets.empty(
            f"Case {place} is not in {walk.dataset} any more",
            f"{case.study_id[:200]!r} went when the data set was indexed again. What was said of it is kept; go on to "
            "the next case.",
        )
        return
    names = [planned.study_id for planned in walk.cases]
    case_view.show(room, case.study_id, names, opened=lambda name: _open(walk, name), stay=stay, walkthrough_id=walk.id)


@st.fragment(run_every=PACE)
def _together(walk: Walkthrough, reader: str, place: int, following: bool) -> None:
    """Who presents what, who is here; and along with the presenter, for whoever follows."""
    state, store = st.session_state, loader.store()
    try:
        where = walkthroughs.read_position(store, walk.id)
        if reader and time.monotonic() - state.get("walk_heard", 0) > HEARD:
            state["walk_heard"] = time.monotonic()
            walkthroughs.report_presence(store, walk.id, reader, place, following)
        here = walkthroughs.participants_table(store, walk.id)
    except OverreadError as error:
        widgets.note(str(error))
        return
    if where and where.sequence > state.get("walk_seen", -1):
        state["walk_seen"] = where.sequence
        if following and where.presenter != reader and 1 <= where.place <= len(walk.cases) and where.place != place:
            state["walk_to"] = where.place
            st.rerun()
    widgets.note(_who(where, here))


def _who(where: walkthroughs.Position | None, here: pd.DataFrame) -> str:
    first = f"{where.presenter} presents case {where.place}. " if where and _is_here(where.presenter, here) else ""
    st.session_state["walk_presented"] = bool(first)
    others = [_where(row, where) for row in here.itertuples(index=False)]
    return first + ("Here: " + ", ".join(others) + "." if others else "Nobody has given a name yet.")


def _where(row, where: walkthroughs.Position | None) -> str:
    if where and row.name == where.presenter:
        return row.name
    return f"{row.name} follows" if row.following else f"{row.name} at case {row.place}"


def _is_here(name: str, here: pd.DataFrame) -> bool:
    return name in set(here["name"])


def _somebody_presents() -> bool:
    return bool(st.session_state.get("walk_presented"))


def _place(walk: Walkthrough) -> int:
    """The place to draw: where the presenter leads, else that of the address, within the list."""
    state = st.session_state
    if state.get("walk_of") != walk.id:
        state["walk_of"], state["walk_heard"] = walk.id, 0
        # A link with a place opens there; the presenter's next step takes whoever follows along.
        where = walkthroughs.read_position(loader.store(), walk.id) if "place" in st.query_params else None
        state["walk_seen"] = where.sequence if where else -1
    asked = state.pop("walk_to", None) or state.get("place")
    if asked is None:
        try:
            asked = int(float(st.query_params.get("place", 1)))
        except ValueError:
            asked = 1
    state["place"] = min(max(int(asked), 1), len(walk.cases))
    return state["place"]


def _go(walk: Walkthrough, place: int) -> None:
    st.session_state["walk_to"] = place
    _lead(walk, place)


def _moved(walk: Walkthrough) -> None:
    _lead(walk, int(st.session_state.get("place") or 1))


def _lead(walk: Walkthrough, place: int) -> None:
    who = reviewer.name()
    if st.session_state.get("presenting") and who:
        try:
            walkthroughs.move_presenter(loader.store(), walk.id, place, who)
            walkthroughs.report_presence(loader.store(), walk.id, who, place, False)
        except OverreadError as error:
            st.session_state["verdict_error"] = str(error)


def _open(walk: Walkthrough, name: str) -> None:
    for place, case in enumerate(walk.cases, 1):
        if name in (case.study_id, loader.token(case.study_id)):
            _go(walk, place)
