"""What every command shares: its options, its progress bar, and how it tells what it found."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from core.paths import write_atomically

messages = Console(stderr=True, highlight=False, soft_wrap=True)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output, and nothing else there.")]
Name = Annotated[str, typer.Option("--data", help="Name of an indexed data set.")]
Aggregation = Annotated[
    str,
    typer.Option(
        help="How a study's views become one score (default: mean, or the attention of a network that tells it)."
    ),
]
Device = Annotated[str, typer.Option(help="cuda, cpu, mps ... (default: the best there is).")]


def tell(facts: dict, as_json: bool, sentence: str) -> None:
    """One JSON object, or one sentence, on standard output."""
    typer.echo(json.dumps(facts, default=plain, allow_nan=False) if as_json else sentence)


def plain(value) -> object:
    """What JSON does not know: numpy's numbers as numbers, paths as text."""
    return value.item() if hasattr(value, "item") else str(value)


class _Speed(ProgressColumn):
    """How many a second, once that is known."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:,.0f}/s" if task.speed else "", style="progress.data.speed")


@contextmanager
def bar() -> Iterator:
    """A progress callable (done, total, what), drawn on standard error where that is a terminal."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Speed(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=messages, transient=True, disable=not messages.is_terminal) as drawn:
        task, last, told = drawn.add_task("", total=None), "", 0.0

        def step(done: int, total: int, what: str) -> None:
            nonlocal last, told
            if what != last:
                drawn.reset(task)
                last = what
            drawn.update(task, completed=done, total=total, description=what)
            # Whoever watches from another process, a page for one, reads it here.
            if (file := os.environ.get("OVERREAD_PROGRESS")) and time.monotonic() - told > 0.5:
                told, now = time.monotonic(), json.dumps({"done": done, "total": total, "what": what})
                write_atomically(Path(file), lambda path: path.write_text(now))

        yield step
