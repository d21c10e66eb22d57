"""Exposure of this server: a warning where it listens on a network and asks nobody to log in."""

import ipaddress

import streamlit as st

from dashboard.shared import widgets

SENTENCE = (
    "This server can be reached from the network, without a login: anyone there can see every radiograph, "
    "enter verdicts under any name and start trainings. Configure a login in .streamlit/secrets.toml, or start it "
    "with --server.address 127.0.0.1."
)


def warning() -> str:
    """The sentence for a server that is open to a network without a login; '' for any other."""
    return "" if _is_local(st.get_option("server.address")) or _has_login() else SENTENCE


def draw_warning() -> None:
    """The same above the page."""
    if sentence := warning():
        with st.container(key="exposed"):
            widgets.empty("Open to the network", sentence)


def _is_local(address: str | None) -> bool:
    if not address:
        return False  # Streamlit then listens on every interface
    if address == "localhost" or address.startswith("unix:"):
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _has_login() -> bool:
    return st.secrets.load_if_toml_exists() and "auth" in st.secrets
