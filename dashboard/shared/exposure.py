"""Exposure of this server: a warning where nobody has to log in, or where everyone who logs in is an owner."""

import streamlit as st

from core.host_names import is_loopback
from dashboard.shared import widgets

SENTENCE = (
    "This server can be reached from the network, without a login: anyone there can see every radiograph, "
    "enter verdicts under any name and start trainings. Configure a login in .streamlit/secrets.toml, or start it "
    "with --server.address 127.0.0.1."
)


NO_ROLES = (
    "Everyone who logs in is an owner, who may lock thresholds, train and add data: .streamlit/secrets.toml has no "
    'section [roles]. Add one with the owners\' addresses, or with default = "owner" to leave it so.'
)


def warning() -> str:
    """The sentence for a server that anyone on a network can use, or on which every visitor is an owner; else ''."""
    if has_login():
        return "" if "roles" in st.secrets else NO_ROLES
    return "" if is_local(st.get_option("server.address")) else SENTENCE


def draw_warning() -> None:
    """The same above the page."""
    if sentence := warning():
        with st.container(key="exposed"):
            widgets.empty("Open to the network" if sentence == SENTENCE else "No roles are set", sentence)


def is_local(address: str | None) -> bool:
    """Whether a server that listens on this address is reached by its own machine only."""
    # Without an address, Streamlit listens on every interface.
    return bool(address) and (address.startswith("unix:") or is_loopback(address))


def has_login() -> bool:
    """Whether a login is configured."""
    return st.secrets.load_if_toml_exists() and "auth" in st.secrets
