"""Access to a route, and the deadline of an answer."""

import time
from collections.abc import Awaitable, Callable, Sequence

from fastapi import Header
from starlette.exceptions import HTTPException

from core.errors import OverreadError
from core.serving.service import Service
from core.serving.tokens import Token, find_token

Authorize = Callable[..., Awaitable[None]]


def allow(tokens: Sequence[Token], *scopes: str) -> Authorize:
    """A dependency that lets a request pass if its token has one of the scopes, or if no tokens are configured."""

    async def check(authorization: str = Header("", include_in_schema=False)) -> None:
        if not tokens:
            return
        token = find_token(tokens, authorization)
        if token is None:
            raise HTTPException(401, "Send a known token: Authorization: Bearer TOKEN.", {"WWW-Authenticate": "Bearer"})
        if not any(token.allows(scope) for scope in scopes):
            raise HTTPException(403, f"This token does not have the scope {' or '.join(map(repr, scopes))}.")

    return check


def deadline_of(milliseconds: str, service: Service) -> float:
    """The deadline by `time.monotonic`. milliseconds: of the header X-Deadline-Ms, '' for the service's own limit.

    OverreadError for an invalid header.
    """
    most = service.limits.seconds
    if milliseconds:
        try:
            wanted = float(milliseconds) / 1e3
        except ValueError:
            wanted = -1.0
        if not 0 < wanted < float("inf"):
            raise OverreadError(
                f"X-Deadline-Ms is {milliseconds[:20]!r}; expected milliseconds above 0.", code="deadline-invalid"
            )
        most = min(most, wanted)
    return time.monotonic() + most
