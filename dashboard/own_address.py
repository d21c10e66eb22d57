"""The address of this server, printed at its start without asking any other host for it.

Streamlit prints one too, but where the server listens on every interface, and whenever a page of another host opens a
connection, it asks a host on the internet for the public address of this machine, and all sessions wait for the answer.
`.streamlit/config.toml` switches its message off; `ask_no_other_host` takes the question away.
"""

import sys

import streamlit as st
from streamlit import net_util
from streamlit.web.server import server_util

EVERY_INTERFACE = (None, "", "0.0.0.0", "::")


def ask_no_other_host() -> None:
    """Let Streamlit take the public address of this machine for unknown."""
    net_util.get_external_ip = lambda: None


def print_addresses() -> None:
    """Print where a browser finds the pages: on this machine, and in its network where the server listens there."""
    listening = st.get_option("server.address")
    hosts = ["localhost"] if listening in EVERY_INTERFACE else [listening]
    if listening in EVERY_INTERFACE and (inside := net_util.get_internal_ip()):
        hosts.append(inside)
    for host in hosts:
        print(f"  URL: {server_util.get_url(host)}", file=sys.stdout, flush=True)
