"""An open walkthrough: one reader leads, the others follow within a second; or each reads alone first."""

import time
from html import escape

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.errors import OverreadError
from core.review import reading_state
from core.review.cases import neutral_name
from core.review.reading_state import ALONE, REVEAL, WHEN_ANSWERED
from core.review.vocabulary import reviewer_key
from core.review.walkthroughs import Walkthrough
from dashboard.shared import address, reconnect, widgets
from dashboard.shared.address_kinds import Number
from dashboard.shared.case import loader, saliency_overlay, stage
from dashboard.shared.case.blind_mode import draw_blind_switch, is_blind
from dashboard.shared.case.case_view import ReadingSession, draw_case
from dashboard.shared.plain import plain
from dashboard.shared.roles import gate
from dashboard.walkthroughs.opened import Opened
from dashboard.walkthroughs.reading_status import Status, poll_seconds, read_status, status_text
from dashboard.walkthroughs.reveal import draw_reveal

REPORT_SECONDS = 5.0  # seconds between two reports of the reader's presence
UNNAMED = "walk_unnamed"  # the place that was chosen while the reader's name was unknown
AT = "walk_at"  # where the session keeps the place of a reader who neither leads nor follows


def draw_walkthrough(opened: Opened, reader: str, line: DeltaGenerator) -> None:
    """The case of this reader, and who is present and has answered. line: takes the steps and the lead's controls."""
    walkthrough, state = opened.walkthrough, st.session_state
    status = read_status(loader.store(), walkthrough, reader)
    with line:
        follows = _draw_follow(status)
        place = _choose_place(status, follows)
        _draw_steps(walkthrough, status, place, follows)
        study = walkthrough.cases[place - 1].study_id
        hidden = status.state.hides(walkthrough, study)
        if _is_own_choice(walkthrough):
            draw_blind_switch()
            hidden = hidden or is_blind()
        _draw_lead_controls(walkthrough, status, place, hidden)
    state["walk_seen"] = status.state.sequence
    revealed = not hidden and (status.state.finished or study in status.state.revealed)
    # The key is that of the style sheet, which shows the room also in the presenter view.
    with st.container(key="walk_room"):
        every = poll_seconds(status)
        st.fragment(_draw_status, run_every=every)(opened, reader, place, follows)
        if revealed:
            draw_reveal(opened, status, study, every)
    if revealed and state.get("walk_shown") != (place, study):
        # The map is part of a revealed case; a reader can hide it again.
        state["walk_shown"] = place, study
        saliency_overlay.ask_for(study)
    # Each part keeps its place even if it is empty: if the film viewer moved, the browser would replace it.
    with st.container():
        if error := state.pop("walk_error", None):
            st.error(plain(error))
    with st.container():
        if status.moves_all:
            stage.send_stage(walkthrough.id, reader, hidden)
        elif follows:
            stage.show_stage(walkthrough.id, status.state.lead)
    _draw_case_at(opened, opened.session(reader, hidden), place, status, follows)


def _draw_case_at(opened: Opened, session: ReadingSession, place: int, status: Status, follows: bool) -> None:
    walkthrough, case = opened.walkthrough, opened.walkthrough.cases[place - 1]
    # A note may reveal the finding.
    with st.container():
        if case.note and not session.blind:
            widgets.note(case.note)
    if case.study_id not in opened.cases.table.index:
        name = neutral_name(case.study_id) if session.blind else case.study_id[:200]
        widgets.empty(
            f"Case {place} is not in {walkthrough.dataset} any more",
            f"The data set was indexed again without {name!r}. Its verdicts are kept. Go to the next case.",
        )
        return
    draw_case(
        session,
        case.study_id,
        [listed.study_id for listed in walkthrough.cases],
        lambda name: _open_case(walkthrough, status.reader, name),
        stay=status.moves_all or follows,
        steps=not follows,
        hides=lambda study: status.state.hides(walkthrough, study) or (_is_own_choice(walkthrough) and is_blind()),
        walkthrough_id=walkthrough.id,
        round=status.state.round,
        address={"place": (place, 1)},
    )


def _is_own_choice(walkthrough: Walkthrough) -> bool:
    """Whether each reader chooses to read blind: walkthroughs of early releases leave it to them."""
    return "reading" not in walkthrough.record


def _draw_follow(status: Status) -> bool:
    """The switch of a reader who does not lead. Returns whether this page moves with the lead now."""
    if not status.together or status.leads or status.state.finished:
        return False
    wanted = st.toggle("Follow", value=True, key="following", help="Your page shows the case that the lead opens.")
    return bool(wanted and status.lead_present)


def _draw_steps(walkthrough: Walkthrough, status: Status, place: int, follows: bool) -> None:
    cases = len(walkthrough.cases)
    for label, step, shortcut in (("Previous", -1, "Left"), ("Next", 1, "Right")):
        st.button(
            label,
            key=f"walk_{label.lower()}",
            on_click=_go,
            args=(walkthrough, status.reader, place + step),
            disabled=follows or not 1 <= place + step <= cases,
            shortcut=shortcut,
        )
    # A form, since the browser may send the previous place in a field that nobody has confirmed.
    with st.form("place_form", border=False, width="content"):
        address.bound(
            st.number_input, "Case", 1, cases, key="place", label_visibility="collapsed", width=70, disabled=follows
        )
        st.form_submit_button(
            "Go", key="place_go", on_click=_go_to_chosen, args=(walkthrough, status.reader), disabled=follows
        )
    st.markdown(f"of {cases:,}", width="content")


def _draw_lead_controls(walkthrough: Walkthrough, status: Status, place: int, hidden: bool) -> None:
    state, reader, study = status.state, status.reader, walkthrough.cases[place - 1].study_id
    if state.finished:
        return
    if not status.leads:
        other = f" from {plain(state.lead)}" if state.lead and status.lead_present else ""
        st.button(
            f"Take the lead{other}" if state.lead else "Lead",
            key="take_lead",
            icon=":material/co_present:",
            on_click=_act,
            args=(reading_state.take_lead, walkthrough, reader, place),
            **gate(
                "read",
                not reader,
                "Everyone who follows sees the case that you open." if reader else "Type your name first.",
            ),
        )
        return
    if state.round == ALONE:
        st.button(
            "Read together", key="read_together", type="primary", on_click=_act,
            args=(reading_state.start_together, walkthrough, reader, place),
            help="Ends the round in which each reads alone, and opens the first case for everyone.",
        )  # fmt: skip
        return
    if hidden or study not in state.revealed:
        st.button(
            "Reveal", key="reveal", type="primary", shortcut="V", on_click=_act,
            args=(reading_state.reveal_case, walkthrough, reader, place, study),
            help="Shows label, score, map and everyone's verdicts to all.",
        )  # fmt: skip
    stage.draw_mirror_switch(walkthrough.id, reader)
    with st.popover("More", key="lead_more"):
        st.segmented_control(
            "When all have answered",
            WHEN_ANSWERED,
            default=state.when_answered,
            required=True,
            key="when_answered",
            format_func=str.capitalize,
            on_change=_choose_when_answered,
            args=(walkthrough, reader, place),
        )
        st.button(
            "Finish the reading", key="finish", on_click=_act,
            args=(reading_state.finish_reading, walkthrough, reader, place),
            help="Reveals every case. The minutes then have all figures.",
        )  # fmt: skip


def _draw_status(opened: Opened, reader: str, place: int, follows: bool) -> None:
    """The lead, the answers and the time, each second. A step of the lead runs the whole page again."""
    state, store, walkthrough = st.session_state, loader.store(), opened.walkthrough
    try:
        if reader and time.monotonic() - state.get("walk_reported", 0) > REPORT_SECONDS:
            state["walk_reported"] = time.monotonic()
            reading_state.report_presence(store, walkthrough.id, reader, place, follows)
        status = _react(read_status(store, walkthrough, reader), walkthrough)
    except OverreadError as error:
        widgets.note(str(error))
        return
    if status.state.sequence != state.get("walk_seen") or status.lead_present != state.get("walk_lead_present"):
        state["walk_lead_present"] = status.lead_present
        st.rerun()
    st.html(f'<p class="note wide" {reconnect.expected()}>{escape(status_text(status, walkthrough, place))}</p>')


def _react(status: Status, walkthrough: Walkthrough) -> Status:
    """On the lead's page: reveal the case or open the next once all have answered, if the lead chose that."""
    state, store = status.state, loader.store()
    study = walkthrough.cases[state.place - 1].study_id
    waits = not status.leads or not status.together or state.finished or not status.all_answered(study)
    if waits or state.when_answered == reading_state.WAIT:
        return status
    if state.when_answered == REVEAL:
        if study not in state.revealed:
            reading_state.reveal_case(store, walkthrough, status.reader, study)
    elif state.place < len(walkthrough.cases):
        reading_state.move_to(store, walkthrough, status.reader, state.place + 1, after=state.sequence)
    return read_status(store, walkthrough, status.reader)


def _choose_place(status: Status, follows: bool) -> int:
    """The place to draw: the lead's for readers who lead or follow, else that of this reader, or at first of the
    address.

    The field of the place is not asked: until the browser has drawn the new place, it sends the one before.
    """
    state, walkthrough = st.session_state, status.walkthrough
    first = state.get("walk_of") is None
    if state.get("walk_of") != walkthrough.id:
        state["walk_of"], state["walk_reported"] = walkthrough.id, 0
        state.pop(AT, None)
        state.pop(UNNAMED, None)
    # A browser without the cookie gives the name in its second run. The first place is then chosen again.
    if status.reader and UNNAMED in state:
        if state.get(AT) == state[UNNAMED]:
            state.pop(AT)
        state.pop(UNNAMED)
    cases = Number(1, len(walkthrough.cases), whole=True, what="case")
    key = address.key("place", cases)
    asked = status.state.place if follows or status.moves_all else state.get(AT)
    if address.took_nearest(key) and not follows:
        asked = state["place"]
    if asked is None and not (asked := address.value(key, cases) if first else None):
        asked = status.first_unanswered()
        if not status.reader:
            state[UNNAMED] = asked
    state["place"] = state[AT] = min(max(int(asked), 1), len(walkthrough.cases))
    state["walk_lead_present"] = status.lead_present
    return state["place"]


# A run may end a callback at any access to the session, so each of these writes to the database first.


def _go(walkthrough: Walkthrough, reader: str, place: int) -> None:
    """Open a case: for everyone if this reader leads the round together, else on this page only."""
    store, problem = loader.store(), ""
    try:
        state = reading_state.read_state(store, walkthrough)
        leads = reader and reviewer_key(state.lead) == reviewer_key(reader)
        if leads and state.round != ALONE and not state.finished:
            reading_state.move_to(store, walkthrough, reader, place)
            reading_state.report_presence(store, walkthrough.id, reader, place, False)
    except OverreadError as error:
        problem = str(error)
    st.session_state[AT] = place
    if problem:
        st.session_state["walk_error"] = problem


def _go_to_chosen(walkthrough: Walkthrough, reader: str) -> None:
    _go(walkthrough, reader, int(st.session_state.get("place") or 1))


def _act(step, walkthrough: Walkthrough, reader: str, place: int, *more) -> None:
    """A step of this reader: leading, revealing, starting a round, finishing."""
    try:
        step(loader.store(), walkthrough, reader, *more)
        reading_state.report_presence(loader.store(), walkthrough.id, reader, place, False)
    except OverreadError as error:
        st.session_state["walk_error"] = str(error)


def _choose_when_answered(walkthrough: Walkthrough, reader: str, place: int) -> None:
    _act(reading_state.choose_when_answered, walkthrough, reader, place, st.session_state["when_answered"])


def _open_case(walkthrough: Walkthrough, reader: str, name: str) -> None:
    for place, case in enumerate(walkthrough.cases, 1):
        if name in (case.study_id, neutral_name(case.study_id)):
            _go(walkthrough, reader, place)
            return
