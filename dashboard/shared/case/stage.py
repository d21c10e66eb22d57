"""The presenter's view of the films, mirrored to those who follow: about half a second, without a run of the page."""

from pathlib import Path

import streamlit as st

from core.errors import OverreadError
from core.review.stage import Stage, read_stage, set_stage
from core.review.vocabulary import reviewer_key
from dashboard.shared.case import loader

IDLE_SECONDS, LIVE_SECONDS = 1.0, 0.25  # seconds between two updates of a follower, without and with a mirrored view
_SCRIPT = Path(__file__).parent / "films" / "stage.js"


def draw_mirror_switch(walkthrough_id: str, reader: str) -> None:
    """The switch on the presenter's page."""
    st.toggle(
        "Mirror my view",
        key="mirror",
        on_change=_switched,
        args=(walkthrough_id, reader),
        help="Followers see your zoom, window, layout, pointer and boxes. In a blind reading, no pointer and no boxes.",
    )


def send_stage(walkthrough_id: str, reader: str, blind: bool) -> None:
    """On the presenter's page: send each change of the view while it is mirrored. Draws nothing visible."""
    if st.session_state.get("mirror"):
        _send(walkthrough_id, reader, blind)


def show_stage(walkthrough_id: str, lead: str) -> None:
    """On a follower's page: show the view of this presenter, and each change of it. Draws nothing visible."""
    live = _mirrored(walkthrough_id, lead) is not None
    st.fragment(_receive, run_every=LIVE_SECONDS if live else IDLE_SECONDS)(walkthrough_id, lead, live)


@st.fragment
def _send(walkthrough_id: str, reader: str, blind: bool) -> None:
    def changed() -> None:
        view = st.session_state["stage_send"].get("view")
        if isinstance(view, dict):
            _set(walkthrough_id, reader, {**view, "pointer": None, "boxes": []} if blind else view)

    with st.container(key="silent_stage"):
        _mount()(key="stage_send", height=0, data={"receives": False, "blind": blind}, on_view_change=changed)


def _receive(walkthrough_id: str, lead: str, live: bool) -> None:
    stage = _mirrored(walkthrough_id, lead)
    if (stage is not None) != live:
        # The page runs once more, and this fragment then updates at the other interval.
        st.rerun()
    data = {"receives": True, "view": stage.view, "presenter": stage.presenter} if stage else {"receives": True}
    with st.container(key="silent_stage"):
        _mount()(key="stage_receive", height=0, data=data)


def _mirrored(walkthrough_id: str, lead: str) -> Stage | None:
    """The stage while this presenter mirrors; None otherwise, also where the database cannot be read."""
    try:
        stage = read_stage(loader.store(), walkthrough_id)
    except OverreadError:
        return None
    return stage if stage and stage.view and reviewer_key(stage.presenter) == reviewer_key(lead) else None


def _switched(walkthrough_id: str, reader: str) -> None:
    if not st.session_state.get("mirror"):
        _set(walkthrough_id, reader, None)


def _set(walkthrough_id: str, reader: str, view: dict | None) -> None:
    try:
        set_stage(loader.store(), walkthrough_id, reader, view)
    except OverreadError as error:
        st.session_state["walk_error"] = str(error)


def _mount():
    return st.components.v2.component("overread.stage", js=_SCRIPT.read_text(encoding="utf-8"))
