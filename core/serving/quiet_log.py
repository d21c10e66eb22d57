"""The log of a service, without a word that could come from a file: only Overread's own sentences are written.

Other libraries write values of DICOM headers into their warnings, and exceptions have them in their messages. Of those
the place and the type are logged, and nothing else.
"""

import logging
import sys
import threading
import traceback
from pathlib import Path

_OWN = ("overread", "uvicorn")


class _WithoutWords(logging.Formatter):
    """Formats records of other loggers by their place alone, and every exception by its type and its calls."""

    def formatException(self, ei) -> str:
        kind, error, _ = ei
        names = [] if error is None else [f"{name(one)} in {place(one)}" for one in causes(error)]
        return "\n".join(names) or str(kind)

    def format(self, record: logging.LogRecord) -> str:
        record.exc_text = None  # an earlier formatter may have stored the text of the exception
        if not is_own(record):
            record = logging.makeLogRecord(record.__dict__ | {"args": None, "msg": _place_alone(record)})
        return super().format(record)


def set_up_log() -> None:
    """Write the log of this process to standard error. Warnings, and errors of threads, are written there as well."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(lambda record: is_own(record) or record.levelno >= logging.WARNING)
    handler.setFormatter(_WithoutWords("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.captureWarnings(True)
    log = logging.getLogger("overread.serving")
    threading.excepthook = lambda found: log.error(
        "a thread failed",
        exc_info=(found.exc_type, found.exc_value, found.exc_traceback),  # type: ignore[arg-type]
    )


def is_own(record: logging.LogRecord) -> bool:
    """Whether a record is Overread's or the server's own."""
    return record.name.split(".")[0] in _OWN


def causes(error: BaseException) -> list[BaseException]:
    """An exception and those that led to it, the first one first."""
    found: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in found:
        found.append(current)
        current = current.__cause__ or current.__context__
    return found[::-1]


def name(error: BaseException) -> str:
    """The type of an exception."""
    return f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")


def place(error: BaseException) -> str:
    """The calls that led to an exception: files, lines and functions."""
    frames = traceback.extract_tb(error.__traceback__)
    return " < ".join(f"{Path(one.filename).name}:{one.lineno} {one.name}" for one in reversed(frames)) or "no call"


def _place_alone(record: logging.LogRecord) -> str:
    return f"a message of {record.name} ({record.module}:{record.lineno}), its text left out"
