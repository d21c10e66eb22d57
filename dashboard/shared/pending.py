"""Values that a click sets, kept until the browser has them.

A click on a card sets the field of the open study in its callback. If the browser asks for another run before it has
drawn this one, it still sends the field's old value, and the click would be lost without a message. Such a request is
known by its address, which is also the old one.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import streamlit as st
from streamlit.runtime.scriptrunner import RerunException

_KEY = "pending_values"


@dataclass(frozen=True)
class _Pending:
    """A value that replaces another. asked: what the address had of it at the click. drawn: the page that drew it."""

    before: object
    value: object
    asked: tuple[str, ...]
    drawn: str | None = None


def put(name: str, value: object) -> None:
    """Set the value of a widget in a callback, so that it survives runs that are interrupted."""
    state = st.session_state
    state.setdefault(_KEY, {})[name] = _Pending(state.get(name), value, _address(name))
    state[name] = value


def reapply(*names: str) -> None:
    """Set the values again that the browser did not have yet. Call before the widgets are drawn.

    A widget that holds neither its old nor its new value was changed by the reader since; that change counts.
    """
    state = st.session_state
    for name, one in list(state.get(_KEY, {}).items()):
        if names and name not in names:
            continue
        if one.drawn is not None and (_address(name) != one.asked or _page() != one.drawn):
            # The browser has drawn the value, so what it sends now is the reader's.
            del state[_KEY][name]
        elif state.get(name) != one.value and (state.get(name) or None) == (one.before or None):
            state[name] = one.value


@contextmanager
def until_drawn() -> Iterator[None]:
    """Around the body of a run: when it ends by itself, a value counts as drawn; until then it is set again."""
    try:
        yield
    except RerunException:
        raise
    except BaseException:
        _note_drawn()
        raise
    _note_drawn()


def _note_drawn() -> None:
    """Keep the values that the browser's address will confirm; nothing confirms a value that is in no address."""
    held = st.session_state.get(_KEY, {})
    for name, one in list(held.items()):
        if _address(name) == one.asked:
            del held[name]
        else:
            held[name] = replace(one, drawn=_page())


def _address(name: str) -> tuple[str, ...]:
    return tuple(st.query_params.get_all(name))


def _page() -> str:
    return st.session_state.get("address_path", "")
