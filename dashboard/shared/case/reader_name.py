"""The reader's name: typed and confirmed once on the first page that asks for it, or known from the login.

The field is part of a form, so what is typed counts only when it is confirmed. A known name is text, not a field, so no
key that is meant for a case can change it.
"""

import streamlit as st

from core.errors import OverreadError
from core.review.vocabulary import reviewer_name
from dashboard.shared import visitor, widgets
from dashboard.shared.case import remembered_reader

# The confirmed name. It is not a widget's state, so a page without the field does not drop it.
READER = "reviewer"
FIELD, NEXT = "reader_field", "reader_next"


def draw_reader_field() -> str:
    """Draw the form of the name, or the name. Returns the name, '' while it is unknown."""
    reader = reader_name()
    if not reader:
        _draw_form()
    elif _logged_in_name():
        widgets.note(f"Reader: {reader}")
    else:
        with st.container(horizontal=True, vertical_alignment="center", key="reader", width="content"):
            widgets.note(f"Reader: {reader}")
            _draw_change()
    return reader


def reader_name() -> str:
    """The reader's name, also in a callback; '' while it is unknown."""
    return _logged_in_name() or st.session_state.get(READER) or visitor.stored_name()


def draw_name_field(key: str) -> None:
    """A field for the name within another form; nothing where the name is known."""
    if not reader_name():
        st.text_input("Reader", key=key, max_chars=100, placeholder="Your name")


def known_or_typed(key: str) -> str:
    """The reader's name; while it is unknown, the one typed in `draw_name_field(key)`, which is kept; '' without one.

    OverreadError where what is typed cannot be a name. Call it in a callback.
    """
    known, typed = reader_name(), (st.session_state.get(key) or "").strip()
    if not known and typed:
        known = st.session_state[READER] = reviewer_name(typed)
    return known


def recall_reader() -> None:
    """Store the confirmed name in the browser, or fetch the name stored there before. Draws nothing visible.

    Call it once per run, outside of every fragment.
    """
    if not _logged_in_name():
        known = reader_name()
        with st.container(key="silent_reader"):
            remembered_reader.remember_reader(known, not known, _use)


def _draw_form() -> None:
    with st.form("reader_form", border=False, width=340), st.container(horizontal=True):
        st.text_input(
            "Reader", key=FIELD, max_chars=100, placeholder="Your name", label_visibility="collapsed", width=210
        )
        st.form_submit_button("Read as", key="reader_confirm", on_click=_confirm, args=(FIELD,))
    if st.session_state.pop("reader_refused", False):
        widgets.note("This name cannot be stored. Type another.")


def _draw_change() -> None:
    """The form of another name, which Enter does not send: from then on, verdicts are stored under that name."""
    with (
        st.popover("Change", type="tertiary"),
        st.form("reader_change_form", border=False, enter_to_submit=False, clear_on_submit=True),
    ):
        st.text_input("Another reader", key=NEXT, max_chars=100)
        st.form_submit_button("Read under this name", key="reader_change", on_click=_confirm, args=(NEXT,))


def _confirm(field: str) -> None:
    _use(st.session_state.get(field) or "")


def _use(name: str) -> None:
    try:
        st.session_state[READER] = reviewer_name(name)
    except OverreadError:
        st.session_state["reader_refused"] = True


def _logged_in_name() -> str:
    # Without a configured login provider the user has no attribute `is_logged_in`.
    user = st.user
    if not getattr(user, "is_logged_in", False):
        return ""
    return str(user.get("name") or user.get("email") or user.get("sub") or "")
