"""The reader's name: typed once on the first review page, or known from the login."""

import streamlit as st

from core.errors import OverreadError
from core.review.vocabulary import reviewer_name
from dashboard.shared import widgets
from dashboard.shared.case import remembered_reader

KEY, KEPT = "reviewer", "reviewer_kept"


def draw_reader_field() -> str:
    """Draw the name field, or the name of a logged-in reader. Returns the name, '' while it is unknown."""
    if logged_in := _logged_in_name():
        widgets.note(f"Reader: {logged_in}")
        return logged_in
    # Set again, since a page that opens another one by itself drops the state of its fields.
    if known := st.session_state.get(KEY) or st.session_state.get(KEPT):
        st.session_state[KEY] = known
    typed = st.text_input(
        "Your name",
        key=KEY,
        max_chars=100,
        persist_state="session",
        placeholder="Your name",
        label_visibility="collapsed",
        width=210,
    )
    st.session_state[KEPT] = reader = reader_name()
    if not reader and typed and typed.strip():
        widgets.note("This name cannot be stored. Type another.")
    return reader


def reader_name() -> str:
    """The reader's name, also in a callback; '' while it is unknown."""
    if logged_in := _logged_in_name():
        return logged_in
    try:
        return reviewer_name(st.session_state.get(KEY) or "")
    except OverreadError:
        return ""


def recall_reader() -> None:
    """Store the typed name in the browser, or fetch the name stored there before. Draws nothing visible."""
    if not _logged_in_name():
        typed = st.session_state.get(KEY) or st.session_state.get(KEPT) or ""
        remembered_reader.remember_reader(typed, not typed, _use_stored_name)


def _logged_in_name() -> str:
    # Without a configured login provider the user has no attribute `is_logged_in`.
    user = st.user
    if not getattr(user, "is_logged_in", False):
        return ""
    return str(user.get("name") or user.get("email") or user.get("sub") or "")


def _use_stored_name(name: str) -> None:
    st.session_state[KEY] = name
