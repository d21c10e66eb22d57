"""The threshold in a meeting: everyone sees the presenter's line move, proposals are marks, the decision is kept."""

import time
from dataclasses import replace
from functools import partial
from html import escape

import streamlit as st

from core.errors import OverreadError
from core.metrics.rates import headline_rates, rates_text
from core.review import threshold_meeting as rooms
from core.review.threshold_meeting import Room
from core.review.vocabulary import reviewer_key
from core.scores.view import View
from core.workflows.decide_threshold import decide_threshold
from dashboard.shared import click_notes, reconnect, selection, widgets
from dashboard.shared.case import loader
from dashboard.shared.case.reader_name import draw_reader_field, reader_name
from dashboard.shared.roles import gate
from dashboard.shared.study_tables import Tables
from dashboard.threshold import panel

POLL_SECONDS = 0.6
JOINED, DECIDING, ENTERED, OWN, RELEASED, PROBLEM = (
    "meeting_joined", "meeting_deciding", "meeting_entered", "meeting_own", "meeting_released", "meeting_problem",
)  # fmt: skip
DIALOGUES = ("locking", "withdrawing")  # whether one of the page's dialogues is open
Marks = list[tuple[str, float]]


def joined(view: View) -> bool:
    """Whether this browser is in the meeting on these scores."""
    return st.session_state.get(JOINED) == rooms.room_of(view.source) and bool(reader_name())


def draw_panel(view: View, tables: Tables, prevalence: float | None, axis: str, marks: Marks) -> None:
    """The live panel: alone, or shared with everyone in the meeting."""
    if not joined(view):
        panel.draw_panel(view, tables, prevalence, axis, marks)
        return
    shared = st.fragment(_draw_shared, run_every=POLL_SECONDS)
    shared(view, tables, prevalence, axis, marks)


def draw_meeting(view: View, prevalence: float | None) -> None:
    """The way into the meeting, and the decisions so far."""
    if not joined(view):
        with st.popover("Decide together", icon=":material/groups:"):
            widgets.note("Everyone in the meeting sees the presenter's line move and may propose a threshold.")
            # A dialogue has the field for the name; two fields of one name cannot be drawn.
            reader = reader_name() if any(map(st.session_state.get, DIALOGUES)) else draw_reader_field()
            st.button("Join", key="meeting_join", type="primary", disabled=not reader, on_click=_join, args=(view,))
    if DECIDING in click_notes.kept():
        _close()
        del click_notes.kept()[DECIDING]
    if st.session_state.get(DECIDING):
        draw_decision(view, prevalence)
    try:
        decisions = [one for one in rooms.list_decisions(loader.store(), view.source.data) if _is_here(one, view)]
    except OverreadError as error:
        widgets.note(str(error))
        return
    if decisions:
        widgets.caption("Decisions", "of meetings, the newest first")
        st.html(decisions_html(decisions[::-1][:5]))


def record_lock(view: View, note: str, reader: str, prevalence: float | None, point: str) -> None:
    """Write down that the meeting locked this threshold."""
    why = note.strip() or f"Locked as the operating point {point}"
    decide_threshold(loader.store(), view, why, reader, prevalence, point)


def decisions_html(decisions: list[rooms.Decision]) -> str:
    """One line per decision: threshold, figures, who was there and why."""
    lines = []
    for one in decisions:
        point = f", operating point {one.point}" if one.point else ""
        figures = rates_text(one.figures, headline_rates())
        about = f"{one.created[:10]}, {one.view['split']}, {', '.join(one.present)}{point}"
        head = f"<b>{one.threshold:.4f}</b> {escape(figures)}"
        lines.append(f"<li>{head}<br>{escape(one.why)}<br><small>{escape(about)}</small></li>")
    return f'<ul class="others">{"".join(lines)}</ul>'


def proposal_marks(room: Room) -> Marks:
    """Each proposal as a line on the panel, with the name of its author."""
    return [(name, threshold) for name, threshold in room.proposals.items()]


def _draw_shared(view: View, tables: Tables, prevalence: float | None, axis: str, marks: Marks) -> None:
    """The meeting now: the presenter's threshold on the panel, everyone's proposals, and the buttons for this
    reader."""
    state, store, key, name = st.session_state, loader.store(), rooms.room_of(view.source), reader_name()
    if state.pop(RELEASED, False):
        st.rerun()  # the rest of the page follows
    try:
        if time.monotonic() - state.get(ENTERED, 0.0) > rooms.REPORT_SECONDS:
            rooms.enter(store, key, name)
            state[ENTERED] = time.monotonic()
        room = rooms.look(store, key)
    except OverreadError as error:
        st.warning(str(error))
        return
    presents = _is(room.presenter, name)
    now = selection.current()
    if room.presenter and not presents:
        _follow(room, now)
    own = presents or not room.presenter or state.get(OWN) == room.sequence
    shown = now.threshold if own else room.threshold
    moves = panel.Moves(
        lambda at: _released(view, name, presents, room, at), partial(_moved, view, name) if presents else None
    )
    presented = [] if own and (presents or not room.presenter) else [(f"{room.presenter} presents", room.threshold)]
    every = [*marks, *proposal_marks(room), *presented]
    panel.draw_panel(replace(view, threshold=shown), tables, prevalence, axis, every, moves)
    _draw_bar(view, room, name, presents, shown)


def _follow(room: Room, now: View) -> None:
    """Take the presenter's split, and the threshold once the line is released."""
    state = st.session_state
    if room.split and room.split != now.split:
        selection.choose_and_rerun(split=room.split)
    if not room.moving and state.get("meeting_taken") != room.sequence:
        state["meeting_taken"] = room.sequence
        if now.threshold != room.threshold:
            selection.choose_and_rerun(threshold=room.threshold)


def _draw_bar(view: View, room: Room, name: str, presents: bool, shown: float) -> None:
    people = ", ".join(
        f"<b>{escape(one)}</b>(presents)" if _is(room.presenter, one) else escape(one) for one in room.present
    )
    nobody = "" if room.presenter else " There is no presenter yet."
    if room.left:
        nobody = f" <b>{escape(room.left)}</b> presented and has left; press Present to present yourself."
    st.html(f'<p class="answer" {reconnect.expected()}>In the meeting: {people}.{nobody}</p>')
    if problem := st.session_state.pop(PROBLEM, ""):
        st.warning(problem)
    with st.container(horizontal=True, vertical_alignment="center"):
        if not presents:
            st.button(
                "Present", key="meeting_present", on_click=_act, args=(_present, view, name, shown), **gate("read")
            )
        st.button(
            f"Propose {shown:.3f}",
            key="meeting_propose",
            on_click=_act,
            args=(_propose, view, name, shown),
            **gate("read"),
        )
        if name in room.proposals:
            st.button("Withdraw my proposal", key="meeting_unpropose", on_click=_act, args=(_propose, view, name, None))
        for who, threshold in room.proposals.items():
            if presents:
                st.button(
                    f"Show {who}'s {threshold:.3f}", key=f"meeting_show_{who}", on_click=_released,
                    args=(view, name, True, room, threshold),
                )  # fmt: skip
        st.button(
            "Write down the decision",
            key="meeting_decide",
            on_click=_decide,
            icon=":material/edit_note:",
            **gate("lock"),
        )
        st.button("Leave", key="meeting_leave", on_click=_leave, args=(view, name))


@st.dialog("Write down the decision", icon=":material/edit_note:", on_dismiss=lambda: _close())
def draw_decision(view: View, prevalence: float | None) -> None:
    """The threshold, who is there and what each proposed; the reason is asked for."""
    room = rooms.look(loader.store(), rooms.room_of(view.source))
    st.html(f'<p class="answer"><b>Threshold {view.threshold:.4f}</b> on {escape(view.split)}, all bones.</p>')
    widgets.note(f"There: {', '.join(room.present) or 'nobody'}.")
    if room.proposals:
        widgets.note("Proposed: " + ", ".join(f"{who} {at:.3f}" for who, at in room.proposals.items()) + ".")
    why = st.text_input("Reason", key="meeting_why")
    with st.container(horizontal=True):
        if st.button("Write it down", key="meeting_keep", type="primary", disabled=not (why or "").strip()):
            kept, reader = click_notes.kept(), reader_name()
            try:
                decide_threshold(loader.store(), view, why, reader, prevalence, view.point)
            except OverreadError as error:
                st.error(str(error))
                return
            kept[DECIDING] = True
            st.rerun()
        if st.button("Cancel", key="meeting_cancel"):
            _close()
            st.rerun()


def _join(view: View) -> None:
    st.session_state[JOINED] = rooms.room_of(view.source)
    st.session_state.pop(ENTERED, None)


def _leave(view: View, name: str) -> None:
    st.session_state.pop(JOINED, None)
    st.session_state[RELEASED] = True
    _act(lambda store, key: rooms.leave(store, key, name), view)


def _decide() -> None:
    st.session_state[DECIDING] = st.session_state[RELEASED] = True


def _close() -> None:
    st.session_state[DECIDING] = False


def _act(change, view: View, *values) -> None:
    """Change the room; the bar shows why something cannot be done."""
    try:
        change(loader.store(), rooms.room_of(view.source), *([view] if values else []), *values)
    except OverreadError as error:
        st.session_state[PROBLEM] = str(error)


def _present(store, key: str, view: View, name: str, threshold: float) -> None:
    rooms.present_threshold(store, key, name, view.split, threshold)


def _propose(store, key: str, view: View, name: str, threshold: float | None) -> None:
    rooms.propose(store, key, name, threshold)


def _moved(view: View, name: str, threshold: float) -> None:
    _act(lambda store, key: rooms.move(store, key, name, view.split, threshold, moving=True), view)


def _released(view: View, name: str, presents: bool, room: Room, threshold: float) -> None:
    """The presenter moves everyone; anyone else looks for themselves until the presenter moves again."""
    # The database first, since a run may end a callback at any access to the session.
    if presents:
        _act(lambda store, key: rooms.move(store, key, name, view.split, threshold), view)
    else:
        st.session_state[OWN] = room.sequence
    st.session_state[RELEASED] = True
    selection.choose(threshold=threshold)


def _is(one: str, name: str) -> bool:
    return bool(one) and reviewer_key(one) == reviewer_key(name)


def _is_here(decision: rooms.Decision, view: View) -> bool:
    return decision.view["source"]["digest"] == view.source.digest
