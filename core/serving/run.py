"""Run the service: uvicorn on one port, logs on standard error, a graceful stop."""

import logging
import os
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from core.device import in_a_passing_thread
from core.errors import OverreadError
from core.host_names import is_loopback
from core.paths import home
from core.serving.app import create_app
from core.serving.decision_log import DecisionLog, default_folder
from core.serving.limits import Limits
from core.serving.outbox import Outbox, post_to_archive
from core.serving.points import NO_POINT
from core.serving.quiet_log import set_up_log
from core.serving.reader import Reader, load
from core.serving.runtime import AUTO
from core.serving.service import Service, served_models
from core.serving.tokens import read_tokens

_log = logging.getLogger("overread.serving")
ARCHIVE_TOKEN = "OVERREAD_ARCHIVE_TOKEN"
_GRACE = 60  # seconds for requests in progress, after a stop was asked for


@dataclass(frozen=True)
class ServiceOptions:
    """The options of the command `serve`. points: of each served checkpoint. archive: a DICOMweb address."""

    checkpoints: tuple[str, ...]
    points: tuple[str, ...]
    shadows: tuple[str, ...]
    host: str
    port: int
    tokens: Path | None
    log: bool
    waiting: int
    device: str
    archive: str = ""
    runtime: str = AUTO


def make_service(options: ServiceOptions) -> Service:
    """The service, its networks loaded. OverreadError where a checkpoint or an operating point cannot be used."""
    limits = Limits(waiting=options.waiting)

    def loaded(names: tuple[str, ...], points: tuple[str, ...]) -> list[Reader]:
        return in_a_passing_thread(
            lambda: [load(name, points, options.device, limits, options.runtime) for name in names]
        )

    readers = loaded(options.checkpoints, options.points)
    # A shadow's own decisions are in the log where it has an operating point.
    shadows = loaded(options.shadows, ("latest",))
    names = [reader.name for reader in readers]
    if len(set(names)) < len(names):
        raise OverreadError(
            f"Two checkpoints have the name {next(name for name in names if names.count(name) > 1)}; "
            "expected different names.",
            code="model-repeated",
        )
    models = {served.reader.name: served for served in served_models(readers)}
    log = DecisionLog(default_folder()) if options.log else None
    return Service(models, tuple(served_models(shadows)), limits, log)


def run_service(options: ServiceOptions) -> None:
    """Serve until the process is asked to stop; requests in progress are finished."""
    set_up_log()
    tokens = read_tokens(options.tokens)
    service = make_service(options)
    for served in service.models.values():
        thresholds = served.reader.pinned
        point = ", ".join(one.id for one in thresholds.points)
        _log.info("serving %s, %s", served.reader.checkpoint.reference, f"operating point {point}" if point else (
            "without decisions" if options.points == (NO_POINT,) else thresholds.unavailable
        ))  # fmt: skip
        _log.info("scored by %s: %s", served.reader.runtime.name, served.reader.runtime.why)
    if not tokens and not is_loopback(options.host):
        _log.warning(
            "%s can be reached from other machines and no tokens are configured: everyone can send studies. "
            "Pass --tokens FILE.",
            options.host,
        )
    outbox = None
    if options.archive:
        post = post_to_archive(options.archive, os.environ.get(ARCHIVE_TOKEN, ""))
        outbox = Outbox(home() / "outbox", post)
    config = uvicorn.Config(
        create_app(service, tokens, outbox, is_loopback(options.host)),
        host=options.host,
        port=options.port,
        log_config=None,  # its messages go through our log, which contains no text of a file
        log_level="warning",
        access_log=False,  # its log would contain addresses, and in them any name of a model that a client invents
        timeout_graceful_shutdown=_GRACE,
        timeout_keep_alive=30,
        h11_max_incomplete_event_size=64 * 1024,
        server_header=False,
    )
    _log.info("listening on http://%s:%s", options.host, options.port)
    uvicorn.Server(config).run()
