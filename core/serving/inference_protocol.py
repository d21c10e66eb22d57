"""The Open Inference Protocol, version 2, over HTTP: KServe's and Triton's clients work unchanged.

One input, `image`: BYTES [n], each element a PNG, JPEG or DICOM file. An optional input `study`, BYTES [n], names the
study of each; without it all are one study. Outputs have one row a study, in the order in which studies first appear,
but `view_score` one a file. Raw binary tensors follow the JSON header, as in the binary extension.
"""

import asyncio
import base64
import binascii
import json
import struct
from dataclasses import dataclass

import numpy as np
from fastapi import Depends, FastAPI, Header, Request, Response

from core.errors import OverreadError
from core.plural import count_text
from core.serving.access import Authorize, deadline_of
from core.serving.answers import StudyAnswer
from core.serving.decoding import Upload
from core.serving.forms import read_body
from core.serving.problems import MEDIA_TYPE, problem, problem_of
from core.serving.service import NothingUsable, Service, StudyRequest
from core.version import VERSION

_HEADER = "inference-header-content-length"
OUTPUTS = {"score": "FP64", "logit": "FP64", "decision": "BYTES", "why": "BYTES", "view_score": "FP64"}


@dataclass(frozen=True)
class InferenceRequest:
    """A parsed request. images: the files; studies: the study of each; outputs: {name: whether it is wanted raw}."""

    id: str
    images: list[bytes]
    studies: list[str]
    outputs: dict[str, bool]


def add_protocol(app: FastAPI, service: Service, may_read: Authorize, may_score: Authorize) -> None:
    """Add the routes of the protocol."""

    @app.get("/v2", tags=["v2"], summary="Server metadata", dependencies=[Depends(may_read)])
    async def server() -> dict:
        return {"name": "overread", "version": VERSION, "extensions": ["binary_tensor_data"]}

    @app.get("/v2/health/live", tags=["v2"], summary="Whether the process runs")
    async def live() -> dict:
        return {"live": True}

    @app.get("/v2/health/ready", tags=["v2"], summary="Whether studies are answered")
    async def ready() -> Response:
        return _ready(service.ready)

    for route in ("/v2/models/{model}", "/v2/models/{model}/versions/{version}"):
        _add_model(app, service, route, may_read, may_score)


def _add_model(app: FastAPI, service: Service, route: str, may_read: Authorize, may_score: Authorize) -> None:
    @app.get(route, tags=["v2"], summary="Model metadata", dependencies=[Depends(may_read)])
    async def metadata(model: str, version: str = "") -> dict:
        reader = service.find(model, version).reader
        return {
            "name": reader.name,
            "versions": [reader.version],
            "platform": "overread",
            "inputs": [
                {"name": "image", "datatype": "BYTES", "shape": [-1]},
                {"name": "study", "datatype": "BYTES", "shape": [-1], "parameters": {"optional": True}},
            ],
            "outputs": [{"name": name, "datatype": kind, "shape": [-1]} for name, kind in OUTPUTS.items()],
        }

    @app.get(f"{route}/ready", tags=["v2"], summary="Whether the model answers", dependencies=[Depends(may_read)])
    async def model_ready(model: str, version: str = "") -> Response:
        service.find(model, version)
        return _ready(service.ready)

    @app.post(
        f"{route}/infer",
        tags=["v2"],
        summary="Read studies",
        dependencies=[Depends(may_score)],
        openapi_extra={"requestBody": {"content": {"application/json": {"schema": {"type": "object"}}}}},
    )
    async def infer(
        request: Request, model: str, version: str = "", x_deadline_ms: str = Header("", include_in_schema=False)
    ) -> Response:
        deadline = deadline_of(x_deadline_ms, service)
        name = service.find(model, version).reader.name
        with service.admission():
            body = await read_body(request, service.limits)
        try:
            wanted = parse_request(body, request.headers.get(_HEADER, ""))
        except OverreadError as error:
            return _error(problem_of(error))
        grouped: dict[str, list[Upload]] = {}
        for number, (study, image) in enumerate(zip(wanted.studies, wanted.images)):
            grouped.setdefault(study, []).append(Upload(str(number), image))
        if len(grouped) > service.limits.studies:
            text = f"The request has {count_text(len(grouped), 'study')}; at most {service.limits.studies} are read."
            return _error(problem(413, text, "batch-too-large"))

        async def one(uploads: list[Upload]) -> StudyAnswer:
            try:
                return await service.read(StudyRequest(tuple(uploads), name, deadline=deadline))
            except NothingUsable as error:
                return error.answer  # its row has no score, and says why; the other studies are answered

        try:
            with service.admission(len(grouped)):
                answers = await asyncio.gather(*(one(uploads) for uploads in grouped.values()))
        except OverreadError as error:
            return _error(problem_of(error))
        return encode_answers(wanted, answers, service.find(model).reader.version, name)


def parse_request(body: bytes, header_length: str = "") -> InferenceRequest:
    """A request from its body. OverreadError if it is malformed.

    header_length: that of the JSON part, where raw tensors follow it.
    """
    if header_length and not header_length.isdigit():
        raise _malformed("Inference-Header-Content-Length is not a number")
    length = int(header_length) if header_length else len(body)
    if length > len(body):
        raise _malformed("Inference-Header-Content-Length is larger than the request")
    try:
        facts = json.loads(body[:length])
        inputs = {str(one["name"]): one for one in facts["inputs"]}
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise _malformed("it is not JSON with a list 'inputs' of named tensors") from error
    if unknown := sorted(set(inputs) - {"image", "study"}):
        raise _malformed(f"it has the input {unknown[0][:40]!r}; expected 'image' and, if wanted, 'study'")
    if "image" not in inputs:
        raise _malformed("it lacks the input 'image'")
    raw, tensors = body[length:], {}
    for name, one in inputs.items():
        values, raw = _elements(one, name, raw)
        tensors[name] = values
    images = tensors["image"]
    studies = (
        [value.decode("utf-8", "replace") for value in tensors["study"]] if "study" in tensors else [""] * len(images)
    )
    if not images:
        raise _malformed("its input 'image' is empty")
    if len(studies) != len(images):
        raise _malformed(f"'study' has {len(studies)} elements and 'image' has {len(images)}; expected as many")
    return InferenceRequest(str(facts.get("id") or "")[:200], images, studies, _wanted_outputs(facts))


def _elements(one: dict, name: str, raw: bytes) -> tuple[list[bytes], bytes]:
    """The elements of a BYTES tensor, and what is left of the raw data."""
    try:
        parameters = one.get("parameters") or {}
        shape = [int(size) for size in one["shape"]]
        if one["datatype"] != "BYTES":
            raise _malformed(f"the input {name!r} is {str(one['datatype'])[:20]}; expected BYTES")
        if "binary_data_size" in parameters:
            size = int(parameters["binary_data_size"])
            if not 0 <= size <= len(raw):
                raise _malformed(f"the raw data of {name!r} are {len(raw)} bytes; expected {size}")
            values, raw = _split(raw[:size], name), raw[size:]
        else:
            decode = base64.b64decode if parameters.get("content_type") == "base64" else None
            values = [decode(text, validate=True) if decode else text.encode() for text in _flat(one["data"])]
    except (KeyError, TypeError, ValueError, AttributeError, binascii.Error) as error:
        if isinstance(error, OverreadError):
            raise
        raise _malformed(f"the input {name!r} is not a tensor with datatype, shape and data") from error
    if int(np.prod(shape)) != len(values) or any(size < 0 for size in shape):
        raise _malformed(f"the input {name!r} has {len(values)} elements; its shape is {shape[:4]}")
    return values, raw


def _split(raw: bytes, name: str) -> list[bytes]:
    """Elements that are each preceded by their length, four bytes, little endian."""
    values, place = [], 0
    while place < len(raw):
        if place + 4 > len(raw):
            raise _malformed(f"the raw data of {name!r} end within a length")
        (size,) = struct.unpack_from("<I", raw, place)
        place += 4 + size
        if place > len(raw):
            raise _malformed(f"the raw data of {name!r} end within an element")
        values.append(raw[place - size : place])
    return values


def _flat(data) -> list[str]:
    if isinstance(data, list):
        return [text for one in data for text in _flat(one)]
    if not isinstance(data, str):
        raise TypeError(type(data).__name__)
    return [data]


def _wanted_outputs(facts: dict) -> dict[str, bool]:
    try:
        everywhere = bool((facts.get("parameters") or {}).get("binary_data_output"))
        listed = facts.get("outputs") or [{"name": name} for name in OUTPUTS]
        wanted = {
            str(one["name"]): bool((one.get("parameters") or {}).get("binary_data", everywhere)) for one in listed
        }
    except (TypeError, KeyError, AttributeError) as error:
        raise _malformed("its 'outputs' are not a list of named tensors") from error
    if unknown := sorted(set(wanted) - set(OUTPUTS)):
        raise _malformed(f"there is no output {unknown[0][:40]!r}; expected {', '.join(OUTPUTS)}")
    return wanted


def encode_answers(wanted: InferenceRequest, answers: list[StudyAnswer], version: str, model: str) -> Response:
    """The response for the answers; a study that could not be scored has NaN, which JSON writes as null."""
    # Files were numbered in the order of the request; studies may be mixed in it.
    views = {int(view.file): view.score for answer in answers for view in answer.views}
    columns: dict[str, list] = {
        "score": [answer.score for answer in answers],
        "logit": [answer.logit for answer in answers],
        "decision": [answer.decision or "" for answer in answers],
        "why": [answer.why for answer in answers],
        "view_score": [views[number] for number in sorted(views)],
    }
    outputs, raw = [], b""
    for name, binary in wanted.outputs.items():
        values = columns[name]
        facts: dict = {"name": name, "datatype": OUTPUTS[name], "shape": [len(values)]}
        if binary:
            part = _raw(values, OUTPUTS[name])
            facts["parameters"] = {"binary_data_size": len(part)}
            raw += part
        else:
            facts["data"] = values
        outputs.append(facts)
    head = {"model_name": model, "model_version": version, "outputs": outputs}
    text = json.dumps(head | ({"id": wanted.id} if wanted.id else {})).encode()
    if not raw:
        return Response(text, media_type="application/json")
    return Response(text + raw, media_type="application/octet-stream", headers={_HEADER: str(len(text))})


def _raw(values: list, kind: str) -> bytes:
    if kind == "FP64":
        return np.array([np.nan if value is None else value for value in values], "<f8").tobytes()
    texts = [value.encode() for value in values]
    return b"".join(struct.pack("<I", len(text)) + text for text in texts)


def _ready(ready: bool) -> Response:
    if ready:
        return Response('{"ready":true}', media_type="application/json")
    return problem(503, "The service is starting or stopping.", "service-not-ready")


def _malformed(why: str) -> OverreadError:
    return OverreadError(f"The inference request is malformed: {why}.", code="request-malformed")


def _error(response: Response) -> Response:
    """The problem document with the key `error`, which the protocol's clients read."""
    facts = json.loads(bytes(response.body))
    headers = {key: value for key, value in response.headers.items() if key.lower() == "retry-after"}
    body = json.dumps({"error": facts["detail"], **facts})
    return Response(body, response.status_code, headers, MEDIA_TYPE)
