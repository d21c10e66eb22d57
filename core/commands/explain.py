"""Commands for saliency maps: explain, trust."""

from pathlib import Path
from typing import Annotated

import typer

from core.commands.console import Device, Json, Name, messages, print_result, progress_bar
from core.plural import count_text


def explain(
    checkpoint: Annotated[str, typer.Argument(help="A checkpoint: its name, or its folder.")],
    image: Annotated[Path, typer.Argument(help="Image file of a radiograph.")],
    method: Annotated[
        list[str] | None, typer.Option(help="Saliency method; may be repeated (default: hires_cam and occlusion).")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="NPZ file to write, with the pixels and each map in float32.")
    ] = None,
    layer: Annotated[str, typer.Option(help="Layer for a CAM method (default: the last suitable one).")] = "",
    baseline: Annotated[
        str,
        typer.Option(
            help="Picture that replaces removed parts of the radiograph: black, blur, grey, or mean (of --data)."
        ),
    ] = "black",
    data: Annotated[
        str,
        typer.Option(
            help="Data set on which the network's AUROC is measured (default: the one that has the radiograph)."
        ),
    ] = "",
    device: Device = "",
    as_json: Json = False,
) -> None:
    """Map which parts of one radiograph change the logit, and check whether each map can be trusted."""
    from core.data.attribution import attribution_line
    from core.data.index import read_dataset
    from core.errors import OverreadError
    from core.explain.export import write_npz
    from core.explain.map_record import MapRecord
    from core.explain.map_values import DEFAULT_PAIR, MapSettings
    from core.models.checkpoint import read_checkpoint
    from core.scores.loading import split_scores
    from core.scores.source import source_of
    from core.workflows import trust as maps

    if baseline == "mean" and not data:
        raise OverreadError(
            "The baseline 'mean' is the mean radiograph of a data set; name the data set with --data.",
            code="mean-without-data",
        )
    described = read_checkpoint(checkpoint)
    known = maps.find_radiograph(image, source_of(described, read_dataset(data) if data else None))
    pixels = described.input_spec.pixels(image)
    if data:
        with progress_bar() as progress:
            split_scores(known.source, progress=progress)
    # Read again, for the scores that were written now are a part of it.
    source, settings = source_of(described, known.source.dataset), MapSettings(layer, baseline)
    if source.dataset and maps.network_auroc(source) is None:
        messages.print(
            f"{described.name} has no scores of {source.data}, so no map is trusted; --data {source.data} scores it.",
            markup=False,
        )
    finding = maps.known_finding(source, known.image_id)
    records: list[MapRecord] = []
    for name in method or DEFAULT_PAIR:
        task = maps.radiograph_task(source, (str(image), known.sha1), name, settings)
        records += maps.make_records(source, task, device).values()
    if out:
        write_npz(out, pixels, records, finding, attribution_line(source.data))
    lines = [f"{record.key.method}: {_line(record.to_dict(finding))}" for record in records]
    facts = {"image": str(image), "checkpoint": described.reference, "data": source.data}
    results = {**facts, "maps": [record.to_dict(finding) for record in records]}
    print_result(results, as_json, "\n".join(lines))


def _line(facts: dict) -> str:
    """The verdict on a map, its reason, and whether it points at the known finding."""
    if facts.get("refused"):
        return facts["refused"]
    pointing = [check["words"] for check in facts["checks"] if check["name"] == "pointing"]
    better = f"better than an edge detector: {_yes(facts['better_than_edges'])}"
    return "; ".join([f"{facts['verdict']}, {facts['why']}", better, *pointing])


def trust(
    checkpoint: Annotated[str, typer.Argument(help="A checkpoint: its name, or its folder.")],
    data: Name,
    split: Annotated[str, typer.Option(help="Split from which radiographs are sampled.")] = "valid",
    sample: Annotated[int, typer.Option(help="Number of radiographs, half of them abnormal.", min=1)] = 40,
    method: Annotated[
        list[str] | None, typer.Option(help="Saliency method; may be repeated (default: six methods).")
    ] = None,
    device: Device = "",
    as_json: Json = False,
) -> None:
    """Check each saliency method on a sample of radiographs. A run that was stopped continues where it stopped."""
    from core.data.index import read_dataset
    from core.explain.cohort import DEFAULT_METHODS, trust_table
    from core.models.checkpoint import read_checkpoint
    from core.scores.source import source_of
    from core.workflows.trust import TrustSample, check_methods

    described, dataset = read_checkpoint(checkpoint), read_dataset(data)
    wanted = TrustSample(split, sample, tuple(method or DEFAULT_METHODS))
    with progress_bar() as progress:
        rows = check_methods(source_of(described, dataset), wanted, device, progress)
    table = trust_table(rows)
    messages.print(f"{count_text(rows['image_id'].nunique(), 'radiograph')} of {data}, {split}", markup=False)
    listed = [{key: _json(value) for key, value in row.items()} for row in table.to_dict("records")]
    lines = [
        f"{row['method']}: {row['verdict']}{', ' + row['why'] if row['why'] else ''}; better than an edge detector on "
        f"{row['better']} of {row['judged']}; similarity to maps of shuffled weights {row['randomisation']:.2f}; "
        f"points at the finding in {row['hits']} of {row['pointed']}, of maps that hold up "
        f"{row['held_hits']} of {row['held']}"
        for row in table.to_dict("records")
    ]
    print_result(
        {"checkpoint": described.reference, "data": data, "split": split, "methods": listed}, as_json, "\n".join(lines)
    )


def pointing(
    sources: Annotated[list[str], typer.Argument(metavar="CHECKPOINT=DATA...", help="Models, each with a data set.")],
    split: Annotated[str, typer.Option(help="Split from which radiographs are sampled.")] = "valid",
    sample: Annotated[int, typer.Option(help="Largest number of radiographs of each data set.", min=1)] = 40,
    method: Annotated[
        list[str] | None, typer.Option(help="Saliency method; may be repeated (default: hires_cam and occlusion).")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="CSV file to write with the table.")] = None,
    device: Device = "",
    as_json: Json = False,
) -> None:
    """Compare maps that hold up with the others: how often each kind points right, over several models and data sets.

    A map points right where its peak is on the known finding. Where only the truth of each view is known, the map of
    the view that drives a study's score is right if that view is abnormal. A run that was stopped continues.
    """
    from core.data.index import read_dataset
    from core.data.spreadsheet import csv_for_spreadsheets
    from core.explain.map_values import DEFAULT_PAIR
    from core.explain.sample_choice import TrustSample
    from core.models.checkpoint import read_checkpoint
    from core.paths import write_atomically
    from core.scores.source import source_of
    from core.workflows.trust import compare_pointing

    pairs = [given.rpartition("=")[::2] for given in sources]
    if any(not name or not data for name, data in pairs):
        raise typer.BadParameter("Pass each model with its data set, as CHECKPOINT=DATA.")
    named = [source_of(read_checkpoint(name), read_dataset(data)) for name, data in pairs]
    with progress_bar() as progress:
        table = compare_pointing(named, TrustSample(split, sample, tuple(method or DEFAULT_PAIR)), device, progress)
    if out:
        write_atomically(out, lambda path: path.write_text(csv_for_spreadsheets(table), encoding="utf-8", newline=""))
    rows = table.to_dict("records")
    listed = [{key: _json(value) for key, value in row.items()} for row in rows]
    print_result(
        {"split": split, "rows": listed, "file": str(out or "")}, as_json, "\n".join(map(_pointing_line, rows))
    )


def _pointing_line(row: dict) -> str:
    """One row of the table in a sentence."""
    parts = [f"{row['network']} on {row['data']}, {row['method']}, right by {row['truth']}"]
    for name, words in (("held", "hold up"), ("others", "do not hold up")):
        known = row[name] > 0
        share = f" ({row[f'{name}_share_low']:.0%}-{row[f'{name}_share_high']:.0%})" if known else ""
        parts.append(f"of maps that {words} {row[f'{name}_right']} of {row[name]}{share}")
    if row["difference"] == row["difference"]:
        low, high = row["difference_low"], row["difference_high"]
        parts.append(f"difference {row['difference']:+.0%} ({low:+.0%} to {high:+.0%})")
    return f"{parts[0]}: {', '.join(parts[1:])}; {row['chance']:.0%} by chance"


def _json(value) -> object:
    return None if isinstance(value, float) and value != value else value


def _yes(better: bool | None) -> str:
    return "not judged" if better is None else "yes" if better else "no"
