"""The first start: without a data set, the demo set is made, indexed and scored before any page is drawn."""

import threading

import streamlit as st

from dashboard.shared import widgets

# One visitor makes the set; others who come meanwhile wait for it.
_MAKING = threading.Lock()


def make_demo() -> None:
    """Make the demo set with progress, then run the app again. OverreadError where it cannot be made."""
    widgets.heading(
        "Setting up",
        None,
        "There is no data set yet. A small set of phantoms is being made and scored; this happens once.",
    )
    advance = widgets.progress("Starting")
    # Imported here, since making the demo scores it, which needs torch.
    from core.demo import ensure_demo

    with _MAKING:
        ensure_demo(advance)
    st.rerun()
