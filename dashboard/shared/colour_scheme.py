"""Dialogues and popovers in the colours of the page.

Streamlit sets the colour scheme on the page's element, and draws dialogues, popovers and menus beside that element.
Without a scheme of their own, `light-dark()` gives them the colours of the light theme.
"""

import streamlit as st

from dashboard.shared.one_listener import ONE_AT_A_TIME

_SCRIPT = (
    ONE_AT_A_TIME
    + """
export default function () {
  const app = document.querySelector('.stApp');
  const copy = () => { document.documentElement.style.colorScheme = getComputedStyle(app).colorScheme; };
  return oneAtATime('colour scheme', () => {
    copy();
    // A change of theme, by the system or in the menu, changes the class.
    const watch = new MutationObserver(copy);
    watch.observe(app, { attributes: true, attributeFilter: ['class'] });
    return () => watch.disconnect();
  });
}
"""
)


def for_overlays() -> None:
    """Give the whole document the colour scheme of the page. Draws nothing visible."""
    copy = st.components.v2.component("overread.colour_scheme", js=_SCRIPT)
    with st.container(key="silent_scheme"):
        copy(key="colour_scheme", height=0)
