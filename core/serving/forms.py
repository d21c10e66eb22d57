"""Multipart forms with files, bounded while they are received; nothing is written to a disk."""

import asyncio
from collections.abc import Iterable

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from core.errors import OverreadError
from core.plural import count_text
from core.serving.decoding import Upload
from core.serving.limits import Limits

_WORDS = {**dict.fromkeys(("1", "true", "yes", "on"), True), **dict.fromkeys(("", "0", "false", "no", "off"), False)}


class _InMemory(MultiPartParser):
    """Starlette's parser, its files kept in memory: what is uploaded is not kept, not even as a temporary file."""

    def __init__(self, *arguments, memory: int, **options):
        super().__init__(*arguments, **options)
        self.spool_max_size = memory


async def read_form(request: Request, limits: Limits, files: int) -> tuple[list[Upload], dict[str, str]]:
    """The files of the field `files`, in the order in which they were sent, and the other fields.

    files: the most that are read. OverreadError where the form is too large, or the body is not a form.
    """
    kind = request.headers.get("content-type", "")
    if not kind.startswith("multipart/form-data"):
        raise OverreadError(
            f"The request is {kind[:60] or 'of no type'}; expected multipart/form-data with the field 'files'.",
            code="media-type-unsupported",
        )
    check_length(request, limits)
    parser = _InMemory(
        request.headers,
        bounded_stream(request, limits),
        max_files=files,
        max_fields=20,
        memory=limits.request_bytes + 1,
    )
    try:
        form = await parser.parse()
    except MultiPartException as error:
        if "Too many files" in error.message:
            raise OverreadError(
                f"The request has more than {count_text(files, 'file')}, the most that are read at once.",
                code="study-too-large",
            ) from error
        raise OverreadError(
            "The form is malformed; expected multipart/form-data with the field 'files'.", code="request-malformed"
        ) from error
    except (KeyError, ValueError, UnicodeError) as error:
        raise OverreadError(
            "The form is malformed; expected multipart/form-data with a boundary.", code="request-malformed"
        ) from error
    uploads: list[Upload] = []
    fields: dict[str, str] = {}
    try:
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                if name == "files":
                    uploads.append(Upload(value.filename or f"file {len(uploads) + 1}", await value.read()))
            else:
                fields[name] = value
    finally:
        await form.close()
    return uploads, fields


async def read_body(request: Request, limits: Limits) -> bytes:
    """The body, bounded while it is received."""
    check_length(request, limits)
    return b"".join([part async for part in bounded_stream(request, limits)])


def check_length(request: Request, limits: Limits) -> None:
    """OverreadError for a request that says it is too large."""
    if (length := request.headers.get("content-length", "")).isdigit() and int(length) > limits.request_bytes:
        raise _too_large(limits)
    if request.headers.get("content-encoding", "identity") != "identity":
        raise OverreadError(
            "The request is compressed; send it without Content-Encoding.", code="media-type-unsupported"
        )


async def bounded_stream(request: Request, limits: Limits):
    """The parts of the body; OverreadError once they are too many or come too slowly, or where the client leaves.

    A request holds a place in the queue while it is received, so a client may not take longer than an answer may.
    """
    received, parts = 0, request.stream()
    ended = asyncio.get_running_loop().time() + limits.seconds
    try:
        while True:
            async with asyncio.timeout_at(ended):
                part = await anext(parts, None)
            if part is None:
                return
            received += len(part)
            if received > limits.request_bytes:
                raise _too_large(limits)
            yield part
    except TimeoutError as error:
        raise OverreadError(
            f"The request was not complete after {limits.seconds:g} s. Send it again over a faster connection, or in "
            "smaller parts.",
            code="request-too-slow",
        ) from error
    except ClientDisconnect as error:
        raise OverreadError("The client left before the request was complete.", code="client-left") from error


def group_by_folder(uploads: Iterable[Upload]) -> dict[str, list[Upload]]:
    """Uploads of many studies by the folder in their names: `study-7/1.png` belongs to `study-7`.

    OverreadError for a name without a folder.
    """
    studies: dict[str, list[Upload]] = {}
    for upload in uploads:
        folder, slash, name = upload.name.replace("\\", "/").rpartition("/")
        if not slash or not folder or not name:
            raise OverreadError(
                "A file of the batch has no study in its name; expected names such as STUDY/1.png.",
                code="request-malformed",
            )
        studies.setdefault(folder, []).append(upload)
    return studies


def is_true(name: str, text: str) -> bool:
    """Whether a field says yes. OverreadError where it says neither yes nor no; '' is no."""
    word = text.strip().lower()
    if word not in _WORDS:
        raise OverreadError(f"The field {name} is {text[:40]!r}; expected true or false.", code="request-malformed")
    return _WORDS[word]


def _too_large(limits: Limits) -> OverreadError:
    most = limits.request_bytes / 1e6
    return OverreadError(f"The request is larger than {most:,.0f} MB, the most that is read.", code="request-too-large")
