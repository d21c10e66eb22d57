"""The command that audits a data set: audit."""

from typing import Annotated

import typer

from core.commands.console import Json, print_result, progress_bar
from core.plural import count_text


def audit(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of an indexed data set.")],
    as_json: Json = False,
) -> None:
    """Audit a data set: patients in two splits, copies, unreadable files, shortcuts. Exit status 1 if a patient is in
    two splits."""
    from core.audit.findings import list_findings
    from core.data.index import read_dataset
    from core.workflows.audit_job import audit_dataset

    dataset = read_dataset(name)
    with progress_bar() as progress:
        found = audit_dataset(dataset, progress)
    facts = found.to_dict()
    lines = [f"{line.mark} {line.title}: {line.words}" for line in list_findings(found)]
    print_result(facts, as_json, "\n".join([f"{name}, {count_text(found.radiographs, 'radiograph')}", *lines]))
    if found.failed:
        raise typer.Exit(1)
