"""Host names under which a server without a login may be opened while only this machine can reach it.

Any page on the internet can let its own name point to this machine once a browser has loaded it (DNS rebinding), and
would then read the dashboard as if it were its own. The browser still sends that page's name as the host, which tells
it apart. A proxy on this machine says for whom it asks.
"""

import ipaddress

import streamlit as st
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from dashboard.shared import exposure

FORWARDED = (b"x-forwarded-for", b"x-forwarded-host", b"forwarded")


class OwnHostNames:
    """Refuses a request under a foreign name with 403, before a page or a connection is given."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # The headers first: whether a login is configured is looked up on the disk.
        if scope["type"] not in ("http", "websocket") or not is_foreign(scope["headers"]) or not is_guarded():
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            host = dict(scope["headers"]).get(b"host", b"").decode("latin-1")[:100]
            text = (
                f"This server is for its own machine, as http://localhost; the browser asked for {host!r}. Name that "
                "host with --server.allowedHosts, or let the proxy in front of it send X-Forwarded-For."
            )
            await PlainTextResponse(text, 403)(scope, receive, send)


def is_guarded() -> bool:
    """Whether foreign names are refused: only this machine reaches the server, nobody logs in, no names are given."""
    return exposure.is_local(st.get_option("server.address")) and not (
        exposure.has_login() or st.get_option("server.allowedHosts")
    )


def is_foreign(headers: list[tuple[bytes, bytes]]) -> bool:
    """Whether a request names another host than this machine and comes from no proxy."""
    given = dict(headers)
    if any(name in given for name in FORWARDED):
        return False
    host = given.get(b"host", b"").decode("latin-1").strip().lower()
    name = host.partition("]")[0][1:] if host.startswith("[") else host.partition(":")[0]
    if name in ("", "localhost", str(st.get_option("server.address")).lower()) or name.endswith(".localhost"):
        return False
    try:
        return not ipaddress.ip_address(name).is_loopback
    except ValueError:
        return True
