"""The first start: without a data set, Overread makes, indexes and scores the demo before it draws a page."""

import threading

import streamlit as st

from core.roles import require
from dashboard.shared import widgets

# One visitor makes the demo; other visitors wait for it.
_MAKING = threading.Lock()


def make_demo() -> None:
    """Make the demo with a progress bar, then run the app again. OverreadError where it cannot be made."""
    widgets.heading(
        "Setting up",
        None,
        "There is no data set yet. Overread makes and scores a small set of phantoms; this happens once.",
    )
    require("data")
    advance = widgets.progress("Starting")
    # Imported here, since making the demo scores it, which needs torch.
    from core.demo import ensure_demo

    with _MAKING:
        ensure_demo(advance, wait=False)
    st.rerun()
