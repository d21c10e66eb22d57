"""The visitor of the pages: the reader's name or, while it is unknown, a random word that the browser keeps.

Both are cookies, so the first run of a session knows them. Nothing is asked from the browser in a second run, which
could cancel the run of a click.
"""

from urllib.parse import unquote
from uuid import uuid4

import streamlit as st

from core.errors import OverreadError
from core.review.vocabulary import reviewer_key, reviewer_name

NAME, WORD = "overread_reader", "overread_visitor"
_SCRIPT = """
export default function ({ data }) {
  if (document.cookie.split('; ').some((cookie) => cookie.startsWith('overread_visitor='))) return;
  document.cookie = `overread_visitor=${data.word}; path=/; max-age=31536000; SameSite=Lax`;
}
"""


def stored_name() -> str:
    """The reader's name as the browser keeps it; '' where it keeps none that can be stored with a verdict."""
    try:
        return reviewer_name(unquote(_cookie(NAME)))
    except OverreadError:
        return ""


def visitor(reader: str) -> str:
    """Under which word the choices of this visitor are kept: the reader's, or that of the browser."""
    return f"reader:{reviewer_key(reader)}" if reader else f"browser:{_word()}"


def remember_browser() -> None:
    """Give a browser that has none its random word. Draws nothing visible."""
    if _cookie(WORD):
        return
    mark = st.components.v2.component("overread.visitor", js=_SCRIPT)
    with st.container(key="silent_visitor"):
        mark(key="visitor", height=0, data={"word": _word()})


def _word() -> str:
    if kept := _cookie(WORD):
        return kept[:64]
    return st.session_state.setdefault("visitor_word", uuid4().hex)


def _cookie(name: str) -> str:
    kept = st.context.cookies.get(name, "")
    # Outside of a browser, as in Streamlit's own test of pages, the context holds no text.
    return kept if isinstance(kept, str) else ""
