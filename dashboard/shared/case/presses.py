"""Presses of keys on a case: each has an id made in the browser, names the page it was made on, and counts once.

The browser keeps a press, and sends it again, until the page has reported it as taken. So a press survives a run that
is interrupted and a server that restarts, and it never reaches another case than the one that was on screen.
"""

from collections.abc import Callable, Iterable
from hashlib import blake2b
from uuid import UUID

import streamlit as st

Act = Callable[[str], None]  # takes the id of the press
_OFFERED, _TAKEN = "presses_offered", "presses_taken"
PAGES_KEPT = 20  # drawn cases whose presses are still taken
TAKEN_KEPT = 200
MOST = 50  # presses in one message


def token_of(*identity: object) -> str:
    """The name of what is on screen. identity: must not reveal what is hidden from a blind reader."""
    return blake2b(repr(identity).encode(), digest_size=8).hexdigest()


def offer(token: str, acts: dict[str, Act]) -> dict:
    """Register what each key does on a drawn case; returns what the browser needs to send presses of them."""
    state = st.session_state
    offered = {name: kept for name, kept in state.get(_OFFERED, {}).items() if name != token}
    state[_OFFERED] = dict([*offered.items(), (token, acts)][-PAGES_KEPT:])
    taken = state.get(_TAKEN, {})
    return {
        "token": token,
        "keys": list(acts),
        "taken": [name for name, acted in taken.items() if acted][-MOST:],
        "refused": [name for name, acted in taken.items() if not acted][-MOST:],
    }


def take(sent: object) -> bool:
    """Act on each press that was not taken yet. Returns whether there was one. Call it only in a callback.

    The first run of a new session has no callbacks and takes nothing: Streamlit would not write the study that a press
    opens into the address, and the next request of the browser would open the study of before. The browser sends the
    press again after that run.

    A run may be interrupted at any access to the session. A press counts as taken only after its act, and is repeated
    with the same id otherwise, so an act must have no further effect when its id comes again.
    """
    state = st.session_state
    fresh = [one for one in _checked(sent) if one[0] not in state.get(_TAKEN, {})]
    for name, token, key in fresh:
        act = state.get(_OFFERED, {}).get(token, {}).get(key)
        if act:
            act(name)
        state[_TAKEN] = dict([*state.get(_TAKEN, {}).items(), (name, bool(act))][-TAKEN_KEPT:])
    return bool(fresh)


def _checked(sent: object) -> Iterable[tuple[str, str, str]]:
    """The presses of a message of the browser as (id, token, key); anything else is left out."""
    presses = sent.get("presses") if isinstance(sent, dict) else None
    for one in presses[:MOST] if isinstance(presses, list) else []:
        if not isinstance(one, dict):
            continue
        try:
            name = UUID(hex=one["id"]).hex
        except (KeyError, ValueError, TypeError, AttributeError):
            continue
        token, key = one.get("token"), one.get("key")
        if isinstance(token, str) and isinstance(key, str):
            yield name, token, key
