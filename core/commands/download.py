"""The command that gets a public data set: download."""

from pathlib import Path
from typing import Annotated

import typer

from core.commands.console import Json, print_result, progress_bar
from core.commands.joined import print_joins
from core.plural import count_text


def download(
    wanted: Annotated[
        str, typer.Argument(metavar="SET", help="fracatlas, or mura to print the steps by which it is obtained.")
    ],
    name: Annotated[str, typer.Option(help="Name of the new data set (default: that of the set).")] = "",
    file: Annotated[
        Path | None,
        typer.Option(help="Zip of the set that was downloaded before; it is checked and not downloaded again."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Download a public data set, check it, index it, and store its authors and licence.

    An interrupted download continues where it stopped. MURA must be requested from its authors; the steps
    for that are printed.
    """
    from dataclasses import asdict

    from core.data.attribution import read_attribution
    from core.data.datasets import study_label_counts
    from core.workflows.download import MURA_STEPS, SETS, download_set

    if wanted == "mura":
        print_result({"set": "mura", "steps": list(MURA_STEPS)}, as_json, "\n".join(MURA_STEPS))
        return
    if wanted not in SETS:
        raise typer.BadParameter(f"SET is {wanted!r}: expected {', '.join(SETS)} or mura.")
    with progress_bar() as progress:
        prepared = download_set(SETS[wanted], name or wanted, progress, file)
    frame = prepared.indexed.frame
    outside = print_joins(prepared.indexed.joins, prepared.indexed.notes)
    attribution = read_attribution(name or wanted) or SETS[wanted].attribution
    facts = {
        "name": name or wanted,
        "radiographs": len(frame),
        "studies": frame["study_id"].nunique(),
        "unreadable": prepared.indexed.unreadable,
        "attribution": asdict(attribution),
        **study_label_counts(frame),
        **outside,
    }
    unreadable = count_text(len(prepared.indexed.unreadable), "unreadable file")
    print_result(
        facts,
        as_json,
        f"{facts['name']}: {count_text(len(frame), 'radiograph')}, studies: {facts['abnormal']:,} abnormal and "
        f"{facts['normal']:,} normal, {unreadable}. {attribution.line()}",
    )
