"""Enter leaves a field, so that the next key is a command of the page and not a letter of the field."""

import streamlit as st

from dashboard.shared.one_listener import ONE_AT_A_TIME

_SCRIPT = (
    ONE_AT_A_TIME
    + """
export default function () {
  const leave = (event) => {
    const field = event.target;
    if (event.key !== 'Enter' || event.isComposing || !(field instanceof HTMLInputElement)) return;
    // A list that is open takes Enter for itself.
    if (field.getAttribute('role') === 'combobox' || field.getAttribute('aria-expanded') === 'true') return;
    setTimeout(() => field.blur(), 0);
  };
  return oneAtATime('leave field', () => {
    document.addEventListener('keydown', leave);
    return () => document.removeEventListener('keydown', leave);
  });
}
"""
)


def on_enter() -> None:
    """Listen on this page. Draws nothing visible."""
    listen = st.components.v2.component("overread.leave_field", js=_SCRIPT)
    with st.container(key="silent_enter"):
        listen(key="leave_field", height=0)
