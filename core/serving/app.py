"""HTTP: studies in, answers out. Every error is a problem document; logs have no names, ids or words of a file."""

import asyncio
import json
import logging
from collections.abc import Sequence
from contextlib import asynccontextmanager

from fastapi import Depends, FastAPI, Header, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from core.errors import OverreadError
from core.plural import count_text
from core.serving import api_text
from core.serving.access import Authorize, allow, deadline_of
from core.serving.dicomweb import add_dicomweb
from core.serving.forms import group_by_folder, is_true, read_form
from core.serving.inference_protocol import add_protocol
from core.serving.outbox import Outbox
from core.serving.own_pages import OwnPages
from core.serving.problems import problem, problem_of
from core.serving.request_log import RequestLog
from core.serving.service import Service, StudyRequest
from core.serving.tokens import Token
from core.version import VERSION

_log = logging.getLogger("overread.serving")


def create_app(
    service: Service, tokens: Sequence[Token] = (), outbox: Outbox | None = None, local: bool = False
) -> FastAPI:
    """The application. Without tokens every program may use it, so it should then listen on this machine only.

    local: it does.
    """

    @asynccontextmanager
    async def lifespan(_app: FastAPI):
        await asyncio.to_thread(service.start)
        if outbox:
            outbox.start()
        yield
        await service.stop()
        if outbox:
            await asyncio.to_thread(outbox.stop)

    app = FastAPI(
        title="Overread",
        version=VERSION,
        description=api_text.DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,  # its page would load scripts from another host
        redoc_url=None,
        responses=api_text.PROBLEMS,
    )
    app.state.service = service
    _add_errors(app)
    if not tokens:
        app.add_middleware(OwnPages, local=local)
    app.add_middleware(RequestLog, service=service)
    may_see = allow(tokens, "read", "score")  # who may send a study may know the models
    _add_health(app, service, may_see, allow(tokens, "read"))
    _add_studies(app, service, allow(tokens, "score"))

    add_protocol(app, service, may_see, allow(tokens, "score"))
    add_dicomweb(app, service, outbox, allow(tokens, "score"))
    return app


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(OverreadError)
    async def known(_request: Request, error: OverreadError) -> Response:
        return problem_of(error)

    @app.exception_handler(HTTPException)
    async def http(_request: Request, error: HTTPException) -> Response:
        return problem(error.status_code, str(error.detail), f"http-{error.status_code}", dict(error.headers or {}))

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, error: RequestValidationError) -> Response:
        where = ", ".join(str(one["loc"][-1]) for one in error.errors())
        return problem(422, f"The request is not as expected at: {where[:200]}.", "request-invalid")

    @app.exception_handler(Exception)
    async def unknown(_request: Request, error: Exception) -> Response:
        _log.exception("a request failed", exc_info=error)
        return problem(500, "The service failed; its log has the reason.", "service-failed")


def _add_health(app: FastAPI, service: Service, may_see: Authorize, may_read: Authorize) -> None:
    @app.get("/health/live", tags=["health"], summary="Whether the process runs")
    async def live() -> dict:
        return {"live": True}

    @app.get("/health/ready", tags=["health"], summary="Whether studies are answered", responses=api_text.NOT_READY)
    async def ready() -> Response:
        if not service.ready:
            return problem(503, "The service is starting or stopping.", "service-not-ready")
        return Response('{"ready":true}', media_type="application/json")

    @app.get("/v1/models", tags=["models"], summary="The served models", dependencies=[Depends(may_see)])
    async def models() -> dict:
        return {"models": [describe_model(service, name) for name in service.models]}

    @app.get("/metrics", tags=["health"], summary="Measurements for Prometheus", dependencies=[Depends(may_read)])
    async def metrics() -> Response:
        service.measurements.open.set(service.open_requests)
        return Response(service.measurements.text(), media_type="text/plain; version=0.0.4")


def describe_model(service: Service, name: str) -> dict:
    """A served model as JSON values."""
    reader = service.models[name].reader
    thresholds = reader.thresholds()
    return {
        **reader.model,
        "version": reader.version,
        "point": thresholds.to_dict(),
        "why_no_decision": thresholds.unavailable,
        "aggregation": reader.aggregation,
        "runtime": reader.runtime.to_dict(),
        "input": {"size": reader.spec.size, "fit": reader.spec.fit},
        "bones": sorted(reader.bones),
    }


def _add_studies(app: FastAPI, service: Service, may_score: Authorize) -> None:
    @app.post(
        "/v1/studies",
        tags=["studies"],
        summary="Read one study",
        dependencies=[Depends(may_score)],
        openapi_extra=api_text.study_form(),
        responses=api_text.ANSWER,
    )
    async def study(request: Request, x_deadline_ms: str = Header("", description=api_text.DEADLINE)) -> dict:
        deadline = deadline_of(x_deadline_ms, service)
        with service.admission():
            uploads, fields = await read_form(request, service.limits, service.limits.files)
            model, bone, maps = (fields.get(name, "") for name in ("model", "bone", "maps"))
            wanted = StudyRequest(tuple(uploads), model, bone, deadline, is_true("maps", maps))
            answer = await service.read(wanted)
        return answer.to_dict()

    @app.post(
        "/v1/batches",
        tags=["studies"],
        summary="Read many studies",
        dependencies=[Depends(may_score)],
        openapi_extra=api_text.batch_form(),
        responses=api_text.BATCH_ANSWER,
    )
    async def batch(request: Request, x_deadline_ms: str = Header("", description=api_text.DEADLINE)) -> dict:
        deadline = deadline_of(x_deadline_ms, service)
        with service.admission():
            most = service.limits.files * service.limits.studies
            uploads, fields = await read_form(request, service.limits, most)
            studies = group_by_folder(uploads)
        if not studies:
            raise OverreadError("The batch has no files in the field 'files'.", code="study-empty")
        if len(studies) > service.limits.studies:
            raise OverreadError(
                f"The batch has {count_text(len(studies), 'study')}; at most {service.limits.studies} are read at "
                "once.",
                code="batch-too-large",
            )

        async def one(name: str, files: list) -> dict:
            wanted = StudyRequest(tuple(files), fields.get("model", ""), fields.get("bone", ""), deadline)
            try:
                return {"name": name, **(await service.read(wanted)).to_dict()}
            except OverreadError as error:
                return {"name": name, "problem": json.loads(bytes(problem_of(error).body))}

        with service.admission(len(studies)):
            answers = await asyncio.gather(*(one(name, files) for name, files in studies.items()))
        return {"studies": answers}
