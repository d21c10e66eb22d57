"""The first start: nothing is there yet, so the demo set is made, indexed and scored before anything is shown."""

import threading

import streamlit as st

from dashboard.shared import widgets

# The set is made once, however many visitors come while it is being made.
_MAKING = threading.Lock()


def make_demo() -> None:
    """Make the demo set with progress, then start again with it. OverreadError where it cannot be made."""
    widgets.heading("Setting up", None, "There is no data set yet: a small set of phantoms is made and scored, once.")
    tell = widgets.progress("Starting")
    # Imported here: making the demo scores it, and that needs torch.
    from core.demo import ensure_demo

    with _MAKING:
        ensure_demo(tell)
    st.rerun()
