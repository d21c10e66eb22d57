"""The Add data page: choose radiographs, look at what was found, add them, and score them."""

import streamlit as st

from core.workflows import adding
from dashboard.add_data import download, preview, scoring, sources
from dashboard.shared import address, click_notes, loaders, pending, widgets
from dashboard.shared.address_kinds import Choice


def draw_page() -> None:
    widgets.heading("Add data", None, "Radiographs become a data set that every page can show.")
    name = choose_name()
    if not name:
        draw_sources()
        return
    waiting = {request.name: request for request in adding.unfinished()}
    if name in waiting:
        preview.draw_request(waiting[name])
    elif name in loaders.datasets():
        scoring.draw_added(loaders.datasets()[name])
    with st.expander("Add another data set", icon=":material/add_photo_alternate:"):
        draw_sources()


def draw_sources() -> None:
    """Draw the ways to radiographs: an upload, a place on the server, a public data set."""
    sources.draw_sources()
    download.draw_download()


def choose_name() -> str:
    """The data set that is being added, or was just added; '' where there is none.

    A new visit begins with the only unfinished one, so that an addition whose browser was closed continues.
    """
    state = st.session_state
    waiting = [request.name for request in adding.unfinished()]
    added = [name for name in adding.lately_added() if name in loaders.datasets() and name not in waiting]
    options, first = [*waiting, *added], not state.get("adding_begun")
    state["adding_begun"] = True
    if first and len(waiting) == 1 and address.value("adding", Choice(options, "name")) is None:
        state["adding"] = waiting[0]
    kept = click_notes.kept()
    if "data_set_to_show" in kept:
        pending.put("adding", kept["data_set_to_show"])
        del kept["data_set_to_show"]
    key = address.key("adding", Choice(options, "name"))
    if not options:
        return ""
    if state.get("adding") not in options:
        state["adding"] = None
    return (
        address.bound(
            st.selectbox,
            "Being added, or just added",
            options,
            index=None,
            key=key,
            placeholder="Choose one to continue",
            width=360,
        )
        or ""
    )


draw_page()
