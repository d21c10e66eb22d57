"""Shared by every command: options, the progress bar, and printing of a result."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as DrawnProgress

from core.paths import write_atomically
from core.plural import count_text
from core.progress import Progress, Tracker

messages = Console(stderr=True, highlight=False, soft_wrap=True)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output and nothing else.")]
Name = Annotated[str, typer.Option("--data", help="Name of an indexed data set.")]
Aggregation = Annotated[
    str,
    typer.Option(help="How the scores of a study's radiographs become one (default: that of the network, else mean)."),
]
LabelLevel = Annotated[
    str,
    typer.Option(
        metavar="image|study",
        help="Whether each radiograph has a label of its own, or the label belongs to its study (default: inferred "
        "from the "
        "data, and stated).",
    ),
]
StudyRule = Annotated[
    str,
    typer.Option(
        metavar="any|all|drop",
        help="With labels of radiographs, a study is abnormal if any or all of its radiographs are, or is left "
        "unlabelled where they differ (drop).",
    ),
]
Device = Annotated[str, typer.Option(help="Device to compute on: cuda, mps or cpu (default: the fastest available).")]


def print_result(facts: dict, as_json: bool, text: str) -> None:
    """Print the facts as one JSON object, or else the text, on standard output."""
    typer.echo(json.dumps(facts, default=json_default, allow_nan=False) if as_json else text)


def json_default(value) -> object:
    """Numpy's numbers as numbers and anything else, such as a path, as text."""
    return value.item() if hasattr(value, "item") else str(value)


class ProgressBar:
    """A progress callable (done, total, what) that draws a line; it can also draw a `Progress` of the queue."""

    def __init__(self, drawn: DrawnProgress):
        self._drawn, self._task = drawn, drawn.add_task("", total=1.0)
        self._tracker, self._before, self._written = Tracker(), (0, 0), 0.0

    def __call__(self, done: int, total: int, what: str) -> None:
        if done < self._before[0] or total != self._before[1]:
            self._tracker = Tracker()  # without a plan of the steps, each count is work of its own
        self._before = done, total
        self.draw(self._tracker.report(done, total, what))

    def draw(self, now: Progress) -> None:
        """Draw a moment of the work."""
        self._drawn.update(self._task, completed=now.fraction, description=now.sentence())
        # A page that watches a run reads its progress from this file.
        if (file := os.environ.get("OVERREAD_PROGRESS")) and time.monotonic() - self._written > 0.5:
            self._written = time.monotonic()
            write_atomically(Path(file), lambda path: path.write_text(now.to_json()))


@contextmanager
def progress_bar() -> Iterator[ProgressBar]:
    """A progress callable (done, total, what), drawn on standard error if that is a terminal."""
    columns = (BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with DrawnProgress(*columns, console=messages, transient=True, disable=not messages.is_terminal) as drawn:
        yield ProgressBar(drawn)


def threshold_text(threshold: float) -> str:
    """The threshold with all its digits, so that typing it again calls the same studies abnormal."""
    return repr(float(threshold))


def studies_text(count: int) -> str:
    """`1 study`, `2 studies`."""
    return count_text(count, "study")
