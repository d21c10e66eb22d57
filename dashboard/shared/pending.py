"""Values that a click sets, kept until the browser has them.

A click on a card sets the field of the open study in its callback. If the browser asks for another run before this
one is drawn, it still sends the field's old value, and the click would be lost without a word.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st
from streamlit.runtime.scriptrunner import RerunException

_KEY = "pending_values"


def put(name: str, value: object) -> None:
    """Set the value of a widget in a callback, so that it survives runs that are interrupted."""
    state = st.session_state
    state.setdefault(_KEY, {})[name] = (state.get(name), value)
    state[name] = value


def reapply(*names: str) -> None:
    """Set the values again that an interrupted run has lost. Call before the widgets are drawn.

    A widget that holds neither its old nor its new value was changed by the reader since; that change counts.
    """
    state = st.session_state
    for name, (before, value) in state.get(_KEY, {}).items():
        if (not names or name in names) and state.get(name) != value and state.get(name) == before:
            state[name] = value


@contextmanager
def until_drawn() -> Iterator[None]:
    """Around the body of a run: when it ends by itself, the browser gets the values, and none is pending."""
    try:
        yield
    except RerunException:
        raise
    except BaseException:
        st.session_state.pop(_KEY, None)
        raise
    st.session_state.pop(_KEY, None)
