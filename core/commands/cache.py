"""The command that decodes a data set ahead of time."""

from typing import Annotated

import typer

from core.among import among
from core.commands.console import Json, messages, print_result, progress_bar
from core.errors import OverreadError
from core.plural import count_text


def cache(
    name: Annotated[str, typer.Argument(help="Name of an indexed data set.")],
    size: Annotated[int, typer.Option(help="Side of the square in pixels, as in the recipe.")],
    fit: Annotated[
        str, typer.Option(help="How a radiograph fits the square: pad, crop or stretch (stretch distorts).")
    ] = "pad",
    as_json: Json = False,
) -> None:
    """Decode each distinct file once into pixels of this size, a thumbnail and measures.

    Files that were decoded before are skipped; stored pixels that were altered since are made again.
    """
    from core.data.decode import decode, pixels_folder
    from core.data.index import read_dataset, read_index
    from core.data.input_spec import InputSpec
    from core.data.pixel_store import known

    spec, dataset, index = InputSpec(size, fit), read_dataset(name), read_index(name)
    with progress_bar() as progress:
        done = decode(dataset, index, spec, thumbnail=True, measures=True, progress=progress, mend=True)
    image_of = dict(zip(index["sha1"][::-1], index["image_id"][::-1]))
    failed = [{"path": image_of[sha1], "reason": reason} for sha1, reason in done.failed.items()]
    for entry in failed[:10]:
        messages.print("[yellow]failed[/yellow] ", end="")
        messages.print(f"{entry['path']}: {entry['reason']}", markup=False)
    if len(failed) > 10:
        messages.print(f"... and {len(failed) - 10} more; --json lists them all")
    folder = pixels_folder(dataset, spec)
    ready = int(among(index["sha1"], known(folder, size)).sum())
    facts = {
        "name": name,
        "size": size,
        "fit": fit,
        "radiographs": ready,
        "distinct": index["sha1"].nunique(),
        "decoded": done.files,
        "altered": done.altered,
        "seconds": round(done.seconds, 3),
        "images_per_second": round(done.files / done.seconds, 1) if done.files else 0.0,
        "bytes": len(known(folder, size)) * size**2,
        "folder": str(folder),
        "failed": failed,
    }
    print_result(facts, as_json, sentence(facts))
    if failed and not ready:
        raise OverreadError(
            f"None of the {count_text(len(index), 'radiograph')} of {name} could be decoded.", code="nothing-decoded"
        )


def sentence(facts: dict) -> str:
    """The result in words."""
    stored = (
        f"{count_text(facts['radiographs'], 'radiograph')} at {facts['size']} px ({facts['fit']}), "
        f"{facts['bytes'] / 1e6:,.1f} MB"
    )
    failed = f"; {len(facts['failed'])} failed" if facts["failed"] else ""
    if facts["altered"]:
        failed += f"; the stored pixels of {count_text(facts['altered'], 'radiograph')} had been altered"
    if not facts["decoded"]:
        return f"Nothing to do: {stored} are stored already{failed}"
    seconds, pace = f"{facts['seconds']:.1f} s", f"{facts['images_per_second']:.0f} images/s"
    pace = f"{count_text(facts['decoded'], 'file')} decoded in {seconds}, {pace}"
    return f"{stored}; {pace}{failed}"
