"""The routes that take pieces of an upload, for a browser with a ticket of a page that it has open."""

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import streamlit as st
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from core.data.arriving import PIECE, Announced, add_piece, begin_arrival, forget_arrival, remove_abandoned
from core.errors import OverreadError

_MOST_LIST = 2 << 20  # bytes of a list of files
_TICKET_SECONDS = 24 * 3600
_SWEEP_SECONDS = 600
_STATUS = {"upload-too-large": 413, "disk-full": 507}


@dataclass
class _Ticket:
    """The permission to upload, the time of its last use, and the uploads that were begun with it."""

    visitor: str
    used: float = field(default_factory=time.monotonic)
    begun: set[str] = field(default_factory=set)


# One process serves all pages, and a restart ends their sessions, so tickets need no disk.
_TICKETS: dict[str, _Ticket] = {}


def place_of_routes() -> str:
    """The path of the routes, below the path of the server's pages."""
    base = (st.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{base}/arriving" if base else "/arriving"


def renewed_ticket(ticket: str, visitor: str) -> str:
    """This ticket if the server knows it as the visitor's, else a new one. Only an open page can hand one out."""
    now = time.monotonic()
    for old in [name for name, held in list(_TICKETS.items()) if now - held.used > _TICKET_SECONDS]:
        _TICKETS.pop(old, None)
    known = _TICKETS.get(ticket)
    if known is None or known.visitor != visitor:
        ticket, known = secrets.token_urlsafe(24), _Ticket(visitor)
        _TICKETS[ticket] = known
    known.used = now
    return ticket


def upload_routes() -> list[Route]:
    """POST a list of files to begin or continue, PUT a piece of one of them, DELETE what was begun."""
    place = place_of_routes()
    return [
        Route(f"{place}/{{ticket}}", _begin, methods=["POST"]),
        Route(f"{place}/{{ticket}}/{{arrival}}", _forget, methods=["DELETE"]),
        Route(f"{place}/{{ticket}}/{{arrival}}/{{place:int}}", _add, methods=["PUT"]),
    ]


@asynccontextmanager
async def removing_abandoned(_app: object) -> AsyncIterator[None]:
    """While the server runs, uploads that nobody continues are removed."""

    async def sweep() -> None:
        while True:
            await run_in_threadpool(remove_abandoned)
            await asyncio.sleep(_SWEEP_SECONDS)

    task = asyncio.create_task(sweep())
    try:
        yield
    finally:
        task.cancel()


async def _begin(request: Request) -> JSONResponse:
    try:
        held = _held(request)
        files = _announced(await _body(request, _MOST_LIST, "The list of files"))
        found = await run_in_threadpool(begin_arrival, held.visitor, files)
    except OverreadError as error:
        return _refusal(error)
    held.begun.add(found.id)
    return JSONResponse({"id": found.id, "have": list(found.have)})


async def _add(request: Request) -> JSONResponse:
    try:
        _held(request, request.path_params["arrival"])
        offset = request.query_params.get("offset", "")
        if not offset.isdecimal():
            raise OverreadError(f"offset is {offset[:20]!r}; expected a number of bytes.", code="upload-offset")
        # Read whole before it is written, so that a connection that breaks leaves no part of a piece.
        piece = await _body(request, PIECE, "A piece")
        have = await run_in_threadpool(
            add_piece, request.path_params["arrival"], request.path_params["place"], int(offset), piece
        )
    except OverreadError as error:
        return _refusal(error)
    return JSONResponse({"have": have})


async def _forget(request: Request) -> JSONResponse:
    try:
        _held(request, request.path_params["arrival"])
        await run_in_threadpool(forget_arrival, request.path_params["arrival"])
    except OverreadError as error:
        return _refusal(error)
    return JSONResponse({})


def _held(request: Request, arrival: str = "") -> _Ticket:
    """The ticket of a request. OverreadError for one that no page has handed out, or that did not begin `arrival`."""
    held = _TICKETS.get(request.path_params["ticket"])
    if held is None or (arrival and arrival not in held.begun):
        raise OverreadError(
            "The page was opened before the server was started again. Reload it and choose the same files: what has "
            "arrived "
            "is kept for an hour.",
            code="upload-ticket",
        )
    held.used = time.monotonic()
    return held


async def _body(request: Request, most: int, what: str) -> bytes:
    """The body of a request, at most `most` bytes; the length in its header is not trusted."""
    found = bytearray()
    async for chunk in request.stream():
        found += chunk
        if len(found) > most:
            raise OverreadError(f"{what} has more than {most:,} bytes. Send it in parts.", code="upload-too-large")
    return bytes(found)


def _announced(body: bytes) -> list[Announced]:
    try:
        rows = json.loads(body)["files"]
        files = [Announced(str(row["name"]), int(row["size"]), int(row["modified"])) for row in rows]
    except (ValueError, TypeError, KeyError):
        files = []
    if any(file.size < 0 for file in files):
        files = []
    if not files:
        raise OverreadError(
            "The request names no files; expected name, size and modified of each. Choose the files again.",
            code="no-file",
        )
    return files


def _refusal(error: OverreadError) -> JSONResponse:
    status = 403 if error.code == "upload-ticket" else _STATUS.get(error.code, 400)
    return JSONResponse({"error": str(error), "code": error.code}, status)
