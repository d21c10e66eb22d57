"""The reviewer's name, remembered by the browser, so that it is typed once."""

from collections.abc import Callable

import streamlit as st

_SCRIPT = """
export default function ({ data, setTriggerValue }) {
  try {
    if (data.name) localStorage.setItem('overread.reviewer', data.name);
    else if (data.ask) {
      const name = localStorage.getItem('overread.reviewer');
      if (name) setTriggerValue('name', name);
    }
  } catch (error) { /* a browser that keeps nothing: the name is typed again */ }
}
"""


def remembered(name: str, ask: bool, known: Callable[[str], None], key: str = "who") -> None:
    """Keep `name` in the browser; where there is none and `ask`, call `known(name)` with what it kept before."""
    mount = st.components.v2.component("overread.who", js=_SCRIPT)
    # Another number each time, so that the browser is asked again where its answer was lost to a click.
    turn = st.session_state["who_turn"] = st.session_state.get("who_turn", 0) + 1
    data = {"name": name, "ask": ask, "turn": turn if ask else 0}
    mount(key=key, height=0, data=data, on_name_change=lambda: _sent(known, key))


def _sent(known: Callable[[str], None], key: str) -> None:
    name = st.session_state[key].get("name")
    if isinstance(name, str) and name:
        known(name)
