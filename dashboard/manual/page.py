"""The Manual page: the documentation, served from this machine."""

import streamlit as st

from dashboard.manual import loader
from dashboard.shared import address, widgets
from dashboard.shared.address_kinds import Choice
from dashboard.shared.cache import stamp


def draw_page() -> None:
    pages = loader.pages()
    widgets.heading("Manual", None, "served from this machine, without a network")
    if len(pages) == 1:
        widgets.note("This installation has no folder docs; only the glossary is here.")
    left, right = st.columns([1, 3], gap="large")
    with left:
        names = list(pages)
        chosen = address.bound(
            st.radio,
            "Page",
            names,
            key=address.key("doc", Choice(names, "page of the manual")),
            label_visibility="collapsed",
        )
    with right:
        st.markdown(loader.text_of(stamp(pages[chosen or names[0]])))


draw_page()
