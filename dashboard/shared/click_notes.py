"""What a click wrote, kept for the rest of what the page must do after it.

Streamlit may end the run of a page at any access to the session and at any element, if the browser asks for another
run; the click is then forgotten. What the click has written is stored by then, and a page that does not know it offers
the same again. A plain dictionary is changed without such an access: the write and its note stay together.
"""

import streamlit as st


def kept() -> dict:
    """The notes of this browser. Take it before the write, and change it right after the write."""
    return st.session_state.setdefault("kept_by_clicks", {})
