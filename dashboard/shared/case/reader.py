"""Who is reading, and whether blind: asked once, on whichever review page comes first."""

import streamlit as st

from core.errors import OverreadError
from core.review.vocabulary import reviewer_name
from dashboard.shared import widgets
from dashboard.shared.case import remembered_reader

KEY = "reviewer"


def draw() -> str:
    """The reviewer's name, '' while it is not known. Whoever is logged in is known already."""
    if found := _logged_in():
        widgets.note(f"Reading as {found}")
        return found
    typed = st.text_input(
        "Your name",
        key=KEY,
        max_chars=100,
        persist_state="session",
        placeholder="Your name, typed once",
        label_visibility="collapsed",
        width=210,
    )
    if not name() and typed and typed.strip():
        widgets.note("This cannot be a name; type another.")
    return name()


def name() -> str:
    """The name as far as it is known, also in a callback; '' while it is not."""
    if found := _logged_in():
        return found
    try:
        return reviewer_name(st.session_state.get(KEY) or "")
    except OverreadError:
        return ""


def recall() -> None:
    """Let the browser remember the name that was typed, and give it back on another day. Draws nothing."""
    if not _logged_in():
        typed = st.session_state.get(KEY) or ""
        remembered_reader.remembered(typed, not typed, _take)


def is_blind() -> bool:
    """Whether score and label are hidden, also before the switch is drawn."""
    asked = st.session_state.get("blind")
    return bool(asked) if asked is not None else st.query_params.get("blind", "").lower() == "true"


def blind_switch() -> None:
    """Hides score and label. In the address, so that a link can ask for it."""
    st.toggle(
        "Blind",
        key="blind",
        bind="query-params",
        persist_state="session",
        help="Hides score, label, outcome, file names and what others said; the order of cases then says nothing. "
        "Blind reads are kept as such.",
    )


def _logged_in() -> str:
    # Without a configured provider the user has no such attribute.
    user = st.user
    if not getattr(user, "is_logged_in", False):
        return ""
    return str(user.get("name") or user.get("email") or user.get("sub") or "")


def _take(kept: str) -> None:
    st.session_state[KEY] = kept
