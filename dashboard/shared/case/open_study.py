"""The open study: its name is in the address, and buttons and keys step through the list."""

from collections.abc import Callable

import streamlit as st

from core.review.cases import Cases, neutral_name
from dashboard.shared import address, pending, widgets
from dashboard.shared.address_kinds import Choice, Text
from dashboard.shared.plain import plain


def choose_study(cases: Cases, blind: bool, listed: list[str]) -> str:
    """Draw the study field and the buttons of the list. Returns the open study, or '' where none is open.

    In blind mode the field and the address have the neutral name.
    """
    state = st.session_state
    pending.reapply("study")
    typed = (state["study"] if "study" in state else address.value("study", Text())) or ""
    study = typed if typed in cases.table.index else cases.by_neutral_name.get(typed, "")
    if study:
        # Set before the field is drawn: the study's name may contain the label and must not reach the address.
        state["study"] = neutral_name(study) if blind else study
    with st.container(horizontal=True, vertical_alignment="center"):
        address.bound(
            st.text_input,
            "Open a study",
            key="study",
            placeholder="Open a study by its name",
            label_visibility="collapsed",
            width=360,
        )
        if study:
            _draw_steps(study, listed, neutral_name if blind else str)
    if typed and not study:
        state["study_missing"] = typed
        known = Choice(cases.by_neutral_name if blind else cases.table.index)
        state["study_nearest"] = known.nearest(typed)
    return study


def draw_missing_study() -> bool:
    """Show a message if the study of the address is not among the cases. Returns whether it is missing."""
    if missing := st.session_state.pop("study_missing", ""):
        widgets.empty(
            "This study is not here",
            f"{missing[:200]!r} is not among the scored studies of this split. It may be in another split, or no "
            "longer in the data set. Its verdicts are kept.",
        )
        near = st.session_state.pop("study_nearest", "")
        with st.container(horizontal=True):
            if near:
                st.button(f"Open the nearest: {plain(near)}", key="study_near", on_click=open_study, args=(near,))
            st.button("Back to the list", key="study_list", on_click=close_study)
    return bool(missing)


def open_study(study: str) -> None:
    """Open a study by its name. Call it only before its field is drawn, as in a callback."""
    pending.put("study", study)


def close_study() -> None:
    """Return to the list. Call it only in a callback."""
    pending.put("study", "")


def _draw_steps(study: str, listed: list[str], name_of: Callable[[str], str]) -> None:
    place = listed.index(study) if study in listed else None
    st.button("Back to the list", key="back", icon=":material/grid_view:", on_click=_leave, shortcut="Esc")
    for label, step, shortcut in (("Previous", -1, "Left"), ("Next", 1, "Right")):
        other = place + step if place is not None else -1
        st.button(
            label,
            key=label.lower(),
            on_click=_step,
            args=(listed, place, step, name_of),
            disabled=not 0 <= other < len(listed),
            shortcut=shortcut,
        )
    st.markdown(f"{place + 1:,} of {len(listed):,}" if place is not None else "not in this list", width="content")


def _step(listed: list[str], place: int, step: int, name_of: Callable[[str], str]) -> None:
    """Open the neighbour of the study that is open now, so that two presses are two steps even if they arrive late."""
    here = st.session_state.get("study")
    # The study is usually at the place of its button or one further, so the whole list is searched last.
    likely = [at for at in (place, place + step) if 0 <= at < len(listed)]
    now = next((at for at in (*likely, *range(len(listed))) if name_of(listed[at]) == here), None)
    if now is not None and 0 <= now + step < len(listed):
        open_study(name_of(listed[now + step]))


def _leave() -> None:
    close_study()
    # The whole page runs again, since new verdicts may have changed the list.
    st.rerun()
