"""Errors as problem documents (RFC 9457): the right status, a code, and one sentence without anything of the file."""

from fastapi.responses import JSONResponse

from core.errors import OverreadError
from core.serving.batching import TooLate
from core.serving.service import Busy, NothingUsable

MEDIA_TYPE = "application/problem+json"
_TITLES = {
    400: "The request cannot be read",
    401: "A token is needed",
    403: "The request is not allowed",
    404: "Not found",
    405: "The method is not allowed",
    408: "The request took too long",
    413: "The request is too large",
    415: "The type of the request is not supported",
    422: "The study cannot be read",
    429: "The service is busy",
    500: "The service failed",
    503: "The service is not ready",
    504: "The deadline passed",
}
_STATUS = {
    "model-unknown": 404,
    "study-too-large": 413,
    "request-too-large": 413,
    "batch-too-large": 413,
    "service-busy": 429,
    "service-stopping": 503,
    "deadline-passed": 504,
    "client-left": 400,
    "request-too-slow": 408,
    "request-malformed": 400,
    "media-type-unsupported": 415,
    "deadline-invalid": 400,
    "saliency-busy": 429,
    "file-unwritable": 503,
}


def problem(status: int, detail: str, code: str = "", headers: dict | None = None, **more) -> JSONResponse:
    """A problem document."""
    facts = {"type": "about:blank", "title": _TITLES.get(status, "The request failed"), "status": status}
    facts |= {"detail": detail, "code": code, **more}
    return JSONResponse(facts, status, headers=headers, media_type=MEDIA_TYPE)


def status_of(error: OverreadError) -> int:
    """The HTTP status of an error."""
    return _STATUS.get(error.code, 422)


def problem_of(error: OverreadError) -> JSONResponse:
    """The problem document of a known error."""
    if isinstance(error, NothingUsable):
        views = [view.to_dict() for view in error.answer.views]
        return problem(422, str(error), error.code, views=views)
    headers = {"Retry-After": str(error.seconds)} if isinstance(error, Busy) else None
    if isinstance(error, TooLate):
        headers = {"Retry-After": "1"}
    return problem(status_of(error), str(error), error.code, headers)
