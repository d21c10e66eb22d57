"""DICOMweb: STOW-RS in, and for each study that was sent a structured report, and its maps, out.

The images of one request with one StudyInstanceUID and body part are one study, so send a study whole. The images are
read and
forgotten. The reports are kept until the configured archive has them.
"""

import asyncio
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from fastapi import Depends, FastAPI, Request, Response
from pydicom import Dataset
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from core.data.dicom import DAMAGE
from core.data.dicom_files import is_dicom
from core.errors import OverreadError
from core.serving.access import Authorize, deadline_of
from core.serving.batching import TooLate
from core.serving.decoding import Upload
from core.serving.dicom_report import ReadStudy, file_bytes, image_header, is_own, make_pictures, make_report
from core.serving.forms import read_body
from core.serving.outbox import Outbox
from core.serving.problems import problem
from core.serving.service import Busy, NothingUsable, Service, StudyReading, StudyRequest

_IDENTITY = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
_MEDIA_TYPE = "application/dicom+json"
_CANNOT_UNDERSTAND, _PROCESSING_FAILURE, _OTHER_STUDY = 0xC000, 0x0110, 0xA901


@dataclass(frozen=True)
class _Sent:
    """One object of a request. study: its StudyInstanceUID and body part."""

    upload: Upload
    header: Dataset
    study: tuple[str, str]


def add_dicomweb(app: FastAPI, service: Service, outbox: Outbox | None, may_score: Authorize) -> None:
    """Add STOW-RS. Without an outbox studies are read, and logged, and nothing is sent."""

    async def store(request: Request, study_uid: str = "") -> Response:
        deadline = deadline_of("", service)
        with service.admission():
            body = await read_body(request, service.limits)
        parts = split_related(request.headers.get("content-type", ""), body)
        sent, failed = _parsed(parts)
        if not sent:
            return problem(422, "The request has no DICOM object.", "study-empty")
        for one in [one for one in sent if study_uid and one.header.StudyInstanceUID != study_uid]:
            failed.append((one.header, _OTHER_STUDY))
            sent.remove(one)
        groups: dict[tuple[str, str], list[_Sent]] = {}
        for one in sent:
            if not is_own(one.header):
                groups.setdefault(one.study, []).append(one)
        with service.admission(max(1, len(groups))):
            for group in groups.values():
                wanted = StudyRequest(tuple(one.upload for one in group), deadline=deadline, maps=outbox is not None)
                try:
                    reading = await read_for_report(service, wanted)
                except Busy:
                    raise
                except OverreadError:
                    failed += [(one.header, _PROCESSING_FAILURE) for one in group]
                    continue
                if outbox:
                    images = tuple(one.header for one in group)
                    study = ReadStudy(images, reading.views, reading.answer, reading.maps)
                    await asyncio.to_thread(partial(_queue, outbox, study))
        refused = {id(header) for header, _ in failed}
        return _response([one.header for one in sent if id(one.header) not in refused], failed)

    for route in ("/dicomweb/studies", "/dicomweb/studies/{study_uid}"):
        app.post(
            route,
            tags=["dicomweb"],
            summary="Store and read studies (STOW-RS)",
            dependencies=[Depends(may_score)],
            openapi_extra={"requestBody": {"content": {"multipart/related": {"schema": {"type": "string"}}}}},
        )(store)


async def read_for_report(service: Service, request: StudyRequest) -> StudyReading:
    """The reading of a study. A report says what could not be used, and waits for no map that takes too long."""
    try:
        return await service.read_views(request)
    except NothingUsable as error:
        return StudyReading(error.answer, error.views, {})
    except (Busy, TooLate):
        if not request.maps:
            raise
        return await service.read_views(replace(request, maps=False, deadline=float("inf")))


def split_related(kind: str, body: bytes) -> list[bytes]:
    """The parts of a multipart/related body. OverreadError for a body of another form."""
    name, options = parse_options_header(kind)
    boundary = options.get(b"boundary", b"")
    if name != b"multipart/related" or not boundary:
        raise OverreadError(
            f"The request is {kind[:60] or 'of no type'}; expected multipart/related with DICOM objects (STOW-RS).",
            code="media-type-unsupported",
        )
    parts: list[list[bytes]] = []
    callbacks: Any = {
        "on_part_begin": lambda: parts.append([]),
        "on_part_data": lambda data, start, end: parts[-1].append(data[start:end]),
    }
    try:
        parser = MultipartParser(boundary, callbacks)
        parser.write(body)
        parser.finalize()
    except (MultipartParseError, IndexError) as error:
        raise OverreadError("The multipart body is malformed.", code="request-malformed") from error
    return [b"".join(part) for part in parts]


def _parsed(parts: list[bytes]) -> tuple[list[_Sent], list[tuple[Dataset, int]]]:
    """The DICOM objects, and those that lack the identity a study needs."""
    sent, failed = [], []
    for number, part in enumerate(parts, 1):
        if not is_dicom(part[:132]):
            failed.append((Dataset(), _CANNOT_UNDERSTAND))
            continue
        try:
            upload = Upload(f"object {number}", part)
            header = image_header(upload)
            if not all(
                header.get(name) for name in ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
            ):
                failed.append((header, _CANNOT_UNDERSTAND))
                continue
            part_of_body = str(header.get("BodyPartExamined") or "").strip().upper()
            sent.append(_Sent(upload, header, (str(header.StudyInstanceUID), part_of_body)))
        except DAMAGE:
            failed.append((Dataset(), _CANNOT_UNDERSTAND))
    return sent, failed


def _queue(outbox: Outbox, read: ReadStudy) -> None:
    """Put the report and the pictures of a study into the outbox."""
    for made in (make_report(read), *make_pictures(read)):
        outbox.put(str(made.SOPInstanceUID), file_bytes(made))


def _response(stored: list[Dataset], failed: list[tuple[Dataset, int]]) -> Response:
    """The response of STOW-RS (PS3.18, 10.5.3): 200 if all were stored, 202 if some, 409 if none."""
    answer = Dataset()
    if stored:
        answer.ReferencedSOPSequence = [_reference(header) for header in stored]
    if failed:
        answer.FailedSOPSequence = [_reference(header, reason) for header, reason in failed]
    status = 200 if not failed else 202 if stored else 409
    return Response(answer.to_json(), status, media_type=_MEDIA_TYPE)


def _reference(header: Dataset, reason: int | None = None) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = header.get("SOPClassUID") or ""
    item.ReferencedSOPInstanceUID = header.get("SOPInstanceUID") or ""
    if reason is not None:
        item.FailureReason = reason
    return item
