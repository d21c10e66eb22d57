"""The reader's name in the browser's storage, so that it is typed only once."""

from collections.abc import Callable

import streamlit as st

_SCRIPT = """
export default function ({ data, setTriggerValue }) {
  try {
    if (data.name) {
      localStorage.setItem('overread.reviewer', data.name);
      // With the cookie, the first run of the next visit knows the name.
      document.cookie = `overread_reader=${encodeURIComponent(data.name)}; path=/; max-age=31536000; SameSite=Lax`;
    } else if (data.ask) {
      const name = localStorage.getItem('overread.reviewer');
      if (name) setTriggerValue('name', name);
    }
  } catch (error) { /* storage may be switched off; the reader then types the name again */ }
}
"""


def remember_reader(name: str, ask: bool, use: Callable[[str], None], key: str = "who") -> None:
    """Store `name` in the browser. Without a name, and with `ask`, call `use(name)` with the name stored there."""
    mount = st.components.v2.component("overread.who", js=_SCRIPT)
    # A new number each run makes the browser answer again if a click cancelled the run with its answer.
    turn = st.session_state["who_turn"] = st.session_state.get("who_turn", 0) + 1
    data = {"name": name, "ask": ask, "turn": turn if ask else 0}
    mount(key=key, height=0, data=data, on_name_change=lambda: _receive(use, key))


def _receive(use: Callable[[str], None], key: str) -> None:
    name = st.session_state[key].get("name")
    if isinstance(name, str) and name:
        use(name)
