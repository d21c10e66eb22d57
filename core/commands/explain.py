"""Commands for saliency maps: explain, trust."""

from pathlib import Path
from typing import Annotated

import typer

from core.commands.console import Device, Json, Name, messages, print_result, progress_bar


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
        str, typer.Option(help="What replaces a part of the radiograph: black, blur, grey, or mean (of --data).")
    ] = "black",
    data: Annotated[
        str,
        typer.Option(help="Data set on which the network's AUROC is measured (default: the one recorded in training)."),
    ] = "",
    device: Device = "",
    as_json: Json = False,
) -> None:
    """Map which parts of one radiograph change the logit, and check whether each map can be trusted."""
    from core.data.index import read_dataset
    from core.errors import OverreadError
    from core.explain.attribution import DEFAULT_PAIR, MapSettings, attribute
    from core.explain.export import write_npz
    from core.explain.faithfulness import Evidence, check_map
    from core.explain.method_registry import MethodRefused
    from core.explain.trust_sample import known_auroc, mean_radiograph
    from core.models.checkpoint import read_checkpoint
    from core.scores.classifier import load_classifier

    described = read_checkpoint(checkpoint)
    pixels, classifier = described.input_spec.pixels(image), load_classifier(described, device)
    dataset = read_dataset(data) if data else None
    if baseline == "mean" and not dataset:
        raise OverreadError(
            "The baseline 'mean' is the mean radiograph of a data set; name the data set with --data.",
            code="mean-without-data",
        )
    with progress_bar() as progress:
        auroc = known_auroc(described, dataset, progress=progress)
        nothing = mean_radiograph(dataset, described.input_spec, progress) if baseline == "mean" else baseline
    settings = MapSettings(layer, nothing)
    results, maps = [], []
    for name in method or DEFAULT_PAIR:
        try:
            found = attribute(classifier, pixels, name, settings)
        except MethodRefused as error:
            results.append({"method": name, "refused": str(error)})
            continue
        maps.append(found)
        trust = check_map(classifier, pixels, found, Evidence(model_auroc=auroc), settings)
        results.append(
            {"method": name, "logit": found.value, "note": found.note, "layer": found.layer, **trust.to_dict()}
        )
    if out:
        write_npz(out, pixels, maps)
    lines = [
        f"{facts['method']}: {facts.get('refused') or facts['verdict'] + ', ' + facts['why']}; "
        f"better than an edge detector: {_yes(facts.get('better_than_edges'))}"
        for facts in results
    ]
    print_result({"image": str(image), "checkpoint": described.reference, "maps": results}, as_json, "\n".join(lines))


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
    messages.print(f"{rows['image_id'].nunique()} radiographs of {data}, {split}", markup=False)
    listed = [{key: _json(value) for key, value in row.items()} for row in table.to_dict("records")]
    lines = [
        f"{row['method']}: {row['verdict']}{', ' + row['why'] if row['why'] else ''}; better than an edge detector on "
        f"{row['better']} of {row['judged']}; similarity to maps of shuffled weights {row['randomisation']:.2f}; "
        f"points at the finding {row['hits']} of {row['pointed']}"
        for row in table.to_dict("records")
    ]
    print_result(
        {"checkpoint": described.reference, "data": data, "split": split, "methods": listed}, as_json, "\n".join(lines)
    )


def _json(value) -> object:
    return None if isinstance(value, float) and value != value else value


def _yes(better: bool | None) -> str:
    return "not judged" if better is None else "yes" if better else "no"
