"""The command over a data set's faults: audit."""

from typing import Annotated

import typer

from core.commands.console import Json, bar, tell


def audit(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of an indexed data set.")],
    as_json: Json = False,
) -> None:
    """What is wrong with a data set: patients on two sides, copies, unreadable files, shortcuts. Exit status 1 if the
    first is found."""
    from core.audit.findings import list_findings
    from core.data.index import read_dataset
    from core.workflows.audit_job import audit_dataset

    dataset = read_dataset(name)
    with bar() as progress:
        found = audit_dataset(dataset, progress)
    facts = found.to_dict()
    lines = [f"{line.mark} {line.title}: {line.words}" for line in list_findings(found)]
    tell(facts, as_json, "\n".join([f"{name}, {found.radiographs} radiographs", *lines]))
    if found.failed:
        raise typer.Exit(1)
