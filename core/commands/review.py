"""Commands over what reviewers said: verdicts export, verdicts import."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from core.commands.console import Device, Json, Name, bar, messages, tell

verdicts = typer.Typer(no_args_is_help=True, help="Reviewers' verdicts as CSV and back.")
Data = Annotated[str, typer.Option("--data", help="Name of a data set.")]


@verdicts.command("export")
def export_verdicts(
    out: Annotated[Path, typer.Option(help="CSV file to write.")], data: Data = "", as_json: Json = False
) -> None:
    """Write every entry, undos as well, as CSV (of one data set, or of all)."""
    from core.review.exchange import export_csv
    from core.review.store import open_store

    count = export_csv(open_store(), out, data)
    tell({"file": str(out), "entries": count}, as_json, f"{count:,} entries in {out}")


@verdicts.command("import")
def import_verdicts(
    file: Annotated[Path, typer.Argument(help="CSV file, as `verdicts export` writes it or with fewer columns.")],
    data: Data = "",
    skip: Annotated[bool, typer.Option("--skip", help="Leave bad rows out and list them.")] = False,
    keep_unknown: Annotated[
        bool, typer.Option("--keep-unknown", help="Take entries on studies that no index here holds.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Enter the verdicts of a CSV: all of it or, where a row is bad, nothing. The same entry never enters twice."""
    from core.review.exchange import import_csv
    from core.review.store import open_store

    done = import_csv(open_store(), file, data, skip=skip, keep_unknown=keep_unknown)
    for row in done.skipped[:20]:
        messages.print(f"line {row['line']} left out: {row['reason']}", markup=False)
    readers = f"; new reviewers: {', '.join(done.new_reviewers)}" if done.new_reviewers else ""
    tell(
        asdict(done),
        as_json,
        f"{done.imported:,} entries imported, {done.already:,} known before, {len(done.skipped):,} left out{readers}",
    )


def embed(
    checkpoint: Annotated[str, typer.Argument(help="Folder, or a name under checkpoints/.")],
    data: Name,
    device: Device = "",
    as_json: Json = False,
) -> None:
    """Keep what a network sees in each radiograph, so that the pages can show similar studies."""
    from core.data.index import read_dataset
    from core.inference.embeddings import compute_embeddings, embeddings_files
    from core.models.checkpoint import read_checkpoint

    described, dataset = read_checkpoint(checkpoint), read_dataset(data)
    with bar() as progress:
        found = compute_embeddings(described, dataset, progress, device)
    file = embeddings_files(described, dataset)[0]
    facts = {"file": str(file), "radiographs": len(found.rows), "width": found.vectors.shape[1]}
    tell(facts, as_json, f"{facts['radiographs']:,} radiographs as {facts['width']} numbers each, in {file}")
