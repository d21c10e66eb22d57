"""The Open Inference Protocol, version 2, over HTTP: KServe's and Triton's clients work unchanged.

`core.serving.inference_tensors` has the tensors of a request and of an answer.
"""

import asyncio
import json

from fastapi import Depends, FastAPI, Header, Request, Response

from core.errors import OverreadError
from core.plural import count_text
from core.serving.access import Authorize, deadline_of
from core.serving.answers import StudyAnswer
from core.serving.forms import read_body
from core.serving.inference_tensors import (
    LENGTH_HEADER,
    OUTPUTS,
    encode_answers,
    grouped_by_study,
    parse_request,
)
from core.serving.problems import MEDIA_TYPE, problem, problem_of
from core.serving.service import NothingUsable, Service, StudyRequest
from core.version import VERSION


def add_protocol(app: FastAPI, service: Service, may_see: Authorize, may_score: Authorize) -> None:
    """Add the routes of the protocol."""

    @app.get("/v2", tags=["v2"], summary="Server metadata", dependencies=[Depends(may_see)])
    async def server() -> dict:
        return {"name": "overread", "version": VERSION, "extensions": ["binary_tensor_data"]}

    @app.get("/v2/health/live", tags=["v2"], summary="Whether the process runs")
    async def live() -> dict:
        return {"live": True}

    @app.get("/v2/health/ready", tags=["v2"], summary="Whether studies are answered")
    async def ready() -> Response:
        return _ready(service.ready)

    for route in ("/v2/models/{model}", "/v2/models/{model}/versions/{version}"):
        _add_model(app, service, route, may_see, may_score)


def _add_model(app: FastAPI, service: Service, route: str, may_see: Authorize, may_score: Authorize) -> None:
    @app.get(route, tags=["v2"], summary="Model metadata", dependencies=[Depends(may_see)])
    async def metadata(model: str, version: str = "") -> dict:
        reader = service.find(model, version).reader
        return {
            "name": reader.name,
            "versions": [reader.version],
            "platform": "overread",
            "inputs": [
                {"name": "image", "datatype": "BYTES", "shape": [-1], "parameters": {"optional": True}},
                {
                    "name": "pixels",
                    "datatype": "UINT8",
                    "shape": [-1, reader.spec.size, reader.spec.size],
                    "parameters": {"optional": True},
                },
                {"name": "study", "datatype": "BYTES", "shape": [-1], "parameters": {"optional": True}},
            ],
            "outputs": [{"name": name, "datatype": kind, "shape": [-1]} for name, kind in OUTPUTS.items()],
        }

    @app.get(f"{route}/ready", tags=["v2"], summary="Whether the model answers", dependencies=[Depends(may_see)])
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
        reader = service.find(model, version).reader
        with service.admission():
            body = await read_body(request, service.limits)
        try:
            wanted = parse_request(body, request.headers.get(LENGTH_HEADER, ""), reader.spec.size)
        except OverreadError as error:
            return _error(problem_of(error))
        grouped = grouped_by_study(wanted)
        if len(grouped) > service.limits.studies:
            text = f"The request has {count_text(len(grouped), 'study')}; at most {service.limits.studies} are read."
            return _error(problem(413, text, "batch-too-large"))

        async def one(uploads: tuple, views: tuple) -> StudyAnswer:
            try:
                return await service.read(StudyRequest(uploads, reader.name, deadline=deadline, views=views))
            except NothingUsable as error:
                return error.answer  # this row has the reason instead of a score; the other studies are answered

        try:
            with service.admission(len(grouped)):
                answers = await asyncio.gather(*(one(*parts) for parts in grouped))
        except OverreadError as error:
            return _error(problem_of(error))
        return encode_answers(wanted, answers, reader.version, reader.name)


def _ready(ready: bool) -> Response:
    if ready:
        return Response('{"ready":true}', media_type="application/json")
    return problem(503, "The service is starting or stopping.", "service-not-ready")


def _error(response: Response) -> Response:
    """The problem document with the key `error`, which the protocol's clients read."""
    facts = json.loads(bytes(response.body))
    headers = {key: value for key, value in response.headers.items() if key.lower() == "retry-after"}
    body = json.dumps({"error": facts["detail"], **facts})
    return Response(body, response.status_code, headers, MEDIA_TYPE)
