"""Shared by commands that read outside tables: options of joins, and printing of reports and notes."""

from typing import Annotated

import typer

from core.commands.console import messages
from core.data.joins import JoinReport
from core.data.notes import Note, note_rows

AllowUnmatched = Annotated[
    bool, typer.Option("--allow-unmatched", help="Continue even if no row of the table matches anything.")
]
AllowLostLabels = Annotated[
    bool,
    typer.Option(
        "--allow-lost-labels", help="Continue even if labels that this name had before would be lost or changed."
    ),
]
MatchIgnoring = Annotated[
    list[str] | None,
    typer.Option(
        metavar="DIFFERENCE",
        help="Match ids that differ only in this: zeros (leading ones), case, extension, folder or prefix; may be "
        "repeated.",
    ),
]


def print_joins(joins: list[JoinReport], notes: list[Note]) -> dict:
    """Print each report and note in one line on standard error. Returns `joins` and `notes` for JSON."""
    for report in joins:
        messages.print(f"join: {report.sentence()}", markup=False)
    for row in note_rows(notes):
        messages.print(f"note: {row['text']} [{row['code']}]", markup=False)
    return {"joins": [report.to_dict() for report in joins], "notes": note_rows(notes)}
