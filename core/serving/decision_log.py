"""The log of decisions: append-only JSON lines, each with the hash of the line before it. No pixels, no names.

`decisions.jsonl` has the lines and `decisions.head.json` the number of lines and the last hash, so that a line that
was altered, removed, moved or cut off at the end is found. Someone who recomputes both files can forge them.
"""

import hashlib
import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from core.data.spreadsheet import csv_for_spreadsheets
from core.errors import OverreadError, reason_of
from core.parquet_files import write_parquet
from core.paths import home, unwritable, write_atomically
from core.plural import count_clause
from core.scores.sealed_list import file_lock
from core.serving.answers import StudyAnswer

LINES, HEAD = "decisions.jsonl", "decisions.head.json"
_FIELDS = (
    "number", "time", "model", "digest", "precision", "point", "threshold", "threshold_high", "aggregation", "input",
    "views", "unusable", "brightness", "contrast", "score", "logit", "decision", "shadow", "bone",
    "latency_ms", "version", "previous", "runtime", "side",
)  # fmt: skip
# The fields of a line; lines of earlier versions lack two.
_WRITTEN = ({*_FIELDS, "hash"}, {*_FIELDS, "hash"} - {"runtime", "side"})


@dataclass(frozen=True)
class LogReport:
    """The result of a verification. problem: what is wrong with the first bad line, '' where nothing is."""

    lines: int
    problem: str = ""


def default_folder() -> Path:
    """The folder of the log in the workspace."""
    return home() / "decisions"


class DecisionLog:
    """Appends decisions to the log of a folder; safe for several threads and processes."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._thread_lock = threading.Lock()

    def append(self, answer: StudyAnswer, shadow: bool = False, bone: str = "") -> None:
        """Append one decision; it is on the disk when this returns. OverreadError where it cannot be written."""
        with self._thread_lock, file_lock(self.folder / LINES):
            number, previous = self._end()
            record = {**_record(answer, shadow, bone), "number": number + 1, "previous": previous}
            record = {name: record[name] for name in _FIELDS}
            record["hash"] = _hash(record)
            line = json.dumps(record, separators=(",", ":")) + "\n"
            try:
                with open(self.folder / LINES, "a", encoding="utf-8") as file:
                    file.write(line)
                    file.flush()
                    os.fsync(file.fileno())
            except OSError as error:
                raise unwritable(self.folder / LINES, error) from error
            head = json.dumps({"lines": record["number"], "hash": record["hash"]}) + "\n"
            write_atomically(self.folder / HEAD, lambda new: new.write_text(head, encoding="utf-8"))

    def _end(self) -> tuple[int, str]:
        """The number of lines and the hash of the last one. A line without its head is counted: a kill came between."""
        file = self.folder / LINES
        size = file.stat().st_size if file.exists() else 0
        if not size:
            return 0, ""
        with open(file, "rb") as opened:
            opened.seek(max(0, size - 65_536))
            rest = opened.read()
        if not rest.endswith(b"\n"):
            # A killed process left part of a line. No client had received its answer.
            os.truncate(file, size - len(rest.rpartition(b"\n")[2]))
            rest = rest.rpartition(b"\n")[0] + b"\n"
        last = rest.rstrip(b"\n").rpartition(b"\n")[2]
        if not last:
            return 0, ""
        try:
            record = json.loads(last)
            return int(record["number"]), str(record["hash"])
        except (ValueError, KeyError, TypeError) as error:
            raise OverreadError(
                f"The last line of {file} cannot be read ({reason_of(error)}); run: python -m core decisions verify",
                code="decision-log-damaged",
            ) from error


def read_log(folder: Path) -> Iterator[dict]:
    """The records of a log, oldest first. OverreadError names the first line that is not a record."""
    file = folder / LINES
    if not file.exists():
        raise OverreadError(
            f"{folder} has no {LINES}. A service writes it when it is started with --log.", code="decision-log-missing"
        )
    with open(file, encoding="utf-8", errors="replace") as opened:
        for number, line in enumerate(opened, 1):
            try:
                record = json.loads(line)
                if set(record) not in _WRITTEN:
                    raise ValueError("it lacks fields or has others")
            except (ValueError, TypeError, RecursionError) as error:
                raise OverreadError(
                    f"Line {number} of {file} is not a decision ({reason_of(error)}); it was altered.",
                    code="decision-log-damaged",
                ) from error
            yield record


def verify_log(folder: Path) -> LogReport:
    """Check every line, the chain, and the head. The report names the first line that was altered or is missing."""
    previous, lines = "", 0
    try:
        for record in read_log(folder):
            lines += 1
            if not _is_as_written(record):
                return LogReport(lines, f"line {lines} was altered: it does not have the hash that it was written with")
            if record["previous"] != previous or record["number"] != lines:
                return LogReport(
                    lines, f"line {lines} does not follow the one before it: a line is missing, moved or added"
                )
            previous = record["hash"]
    except OverreadError as error:
        if error.code != "decision-log-damaged":
            raise
        return LogReport(lines + 1, str(error))
    try:
        head = json.loads((folder / HEAD).read_text(encoding="utf-8"))
        expected = int(head["lines"])
    except (OSError, ValueError, KeyError, TypeError):
        return LogReport(lines, f"{HEAD} cannot be read, so lines may be missing at the end")
    if lines < expected:
        return LogReport(lines, f"lines are missing at the end: the log has {lines:,}, expected {expected:,}")
    if lines == expected and previous != head["hash"]:
        return LogReport(lines, "the last line is not the one that was written last")
    # One line more than in the head: the process was killed between the two writes.
    return LogReport(
        lines, "" if lines <= expected + 1 else f"{count_clause(lines - expected, 'line', 'were')} added by hand"
    )


def _is_as_written(record: dict) -> bool:
    return record["hash"] == _hash({name: record[name] for name in _FIELDS if name in record})


def _chained(folder: Path) -> Iterator[dict]:
    """The records of a log, each with the hash that it was written with, after the one before it."""
    previous = ""
    for number, record in enumerate(read_log(folder), 1):
        if not _is_as_written(record) or record["previous"] != previous:
            raise OverreadError(
                f"Line {number} of {folder / LINES} is not as it was written, or a line before it is missing. Run: "
                "python -m core decisions verify",
                code="decision-log-damaged",
            )
        previous = record["hash"]
        yield record


def log_table(folder: Path) -> pd.DataFrame:
    """The log as a table, one row per decision; `time` in UTC. OverreadError names a line that was altered."""
    frame = pd.DataFrame(list(_chained(folder)), columns=[*_FIELDS, "hash"])
    return frame.assign(
        time=pd.to_datetime(frame["time"], utc=True),
        runtime=frame["runtime"].fillna("torch"),
        side=frame["side"].astype(float),
    )


def _record(answer: StudyAnswer, shadow: bool, bone: str) -> dict:
    from core.version import VERSION

    point = answer.thresholds.to_dict() or {}
    digests = sorted(view.digest for view in answer.views)
    return {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "model": answer.model["name"],
        "digest": answer.model["digest"],
        "precision": answer.model["precision"],
        "point": point.get("id", ""),
        "threshold": point.get("threshold"),
        "threshold_high": point.get("threshold_high"),
        "aggregation": point.get("aggregation", ""),
        "input": hashlib.sha256("".join(digests).encode()).hexdigest(),
        "views": [[view.digest, view.sha1, view.logit] for view in answer.views],
        "brightness": _mean([view.grey[0] for view in answer.views if view.grey]),
        "contrast": _mean([view.grey[1] for view in answer.views if view.grey]),
        "unusable": sorted(view.code for view in answer.views if not view.usable),
        "score": answer.score,
        "logit": answer.logit,
        "decision": answer.decision,
        "shadow": shadow,
        "bone": bone,
        "latency_ms": answer.timing_ms.get("total"),
        "version": VERSION,
        "runtime": answer.model["runtime"],
        "side": _mean([float(view.side) for view in answer.views if view.side]),
    }


def _mean(values: list[float]) -> float | None:
    return round(sum(values) / len(values), 6) if values else None


def _hash(record: dict) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def write_log_table(folder: Path, out: Path) -> int:
    """Write the log as Parquet, or as CSV where the name ends so. Returns the number of decisions."""
    frame = log_table(folder)
    frame["views"] = [json.dumps(views) for views in frame["views"]]
    frame["unusable"] = [", ".join(codes) for codes in frame["unusable"]]
    if out.suffix.lower() == ".csv":
        text = csv_for_spreadsheets(frame)
        write_atomically(out, lambda new: new.write_text(text, encoding="utf-8", newline=""))
    else:
        write_parquet(out, frame, beside=False)
    return len(frame)
