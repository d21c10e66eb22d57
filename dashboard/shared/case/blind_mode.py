"""Blind mode: a reader judges a case without its score, its label or the verdicts of others."""

import streamlit as st

from dashboard.shared import address
from dashboard.shared.address_kinds import Switch


def is_blind() -> bool:
    """Whether blind mode is on, also before its switch is drawn."""
    switch = st.session_state.get("blind")
    return bool(switch if switch is not None else address.value("blind", Switch()))


def draw_blind_switch() -> None:
    """The switch of blind mode. It is in the address, so that a link can turn it on."""
    address.bound(
        st.toggle,
        "Blind",
        key="blind",
        persist_state="session",
        help="Hides score, label, outcome, file names and other readers' verdicts, and lists cases in a random order. "
        "Verdicts are stored as blind.",
    )
