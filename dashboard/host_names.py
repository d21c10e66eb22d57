"""Host names under which a server without a login may be opened while only this machine can reach it.

`core.host_names` says which page would otherwise read it.
"""

import streamlit as st
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from core.host_names import is_foreign
from dashboard.shared import exposure


class OwnHostNames:
    """Refuses a request under a foreign name with 403, before a page or a connection is given."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # The headers first: whether a login is configured is looked up on the disk.
        if scope["type"] not in ("http", "websocket") or not _is_foreign(scope["headers"]) or not is_guarded():
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


def _is_foreign(headers: list[tuple[bytes, bytes]]) -> bool:
    return is_foreign(headers, own=st.get_option("server.address") or "")
