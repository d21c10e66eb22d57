"""One line of the log and one measurement for each request, without names, ids or words of a file."""

import json
import logging
import time
import uuid

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.serving.service import Service

_log = logging.getLogger("overread.serving")


class RequestLog:
    """A layer around the application, which gives each answer an `X-Request-Id`.

    It speaks ASGI itself: Starlette's decorator for such layers runs each request in a group of tasks, which costs a
    quarter of a millisecond.
    """

    def __init__(self, app: ASGIApp, service: Service):
        self.app, self.service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, number, status = time.monotonic(), uuid.uuid4().hex[:12], 0

        async def numbered(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-Id"] = number
            await send(message)

        await self.app(scope, receive, numbered)
        # The pattern of the route, since the address itself may contain names.
        route = getattr(scope.get("route"), "path", "unknown")
        self.service.measurements.request(route, status)
        facts = {"request": number, "method": scope["method"], "route": route, "status": status}
        _log.info(json.dumps(facts | {"ms": round((time.monotonic() - started) * 1e3, 1)}))
