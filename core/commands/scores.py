"""Commands over scores: predict, evaluate."""

from pathlib import Path
from typing import Annotated

import typer

from core.commands.console import Aggregation, Device, Json, Name, bar, messages, tell


def predict(
    checkpoint: Annotated[str, typer.Argument(help="Folder, or a name under checkpoints/.")],
    data: Name,
    split: Annotated[list[str] | None, typer.Option(help="train, tune, valid or test; may be repeated.")] = None,
    out: Annotated[Path | None, typer.Option(help="Parquet file (default: in the workspace).")] = None,
    device: Device = "",
    operating_point: Annotated[
        str, typer.Option(metavar="ID", help="Also call each study by this locked point; 'latest' is the newest.")
    ] = "",
    aggregation: Annotated[str, typer.Option(help="Must be the operating point's (default).")] = "",
    tta: Annotated[
        str, typer.Option(metavar="NAME|FILE", help="Mean logit over draws of this augmentation, with its gain.")
    ] = "",
    draws: Annotated[int, typer.Option(min=1, help="How many draws.")] = 8,
    as_json: Json = False,
) -> None:
    """Score a data set: one logit per radiograph."""
    from core.data.augment import find_augmentation
    from core.data.index import read_dataset
    from core.models.checkpoint import read_checkpoint
    from core.scores.decisions import point_for
    from core.scores.predict import predict as run
    from core.scores.predictions import store_predictions, tta_path

    described, dataset = read_checkpoint(checkpoint), read_dataset(data)
    if aggregation and not operating_point:
        raise typer.BadParameter("--aggregation belongs to --operating-point; scores are kept per radiograph.")
    if tta and operating_point:
        raise typer.BadParameter("--operating-point was chosen on scores without --tta; leave one of them out.")
    point = point_for(described, operating_point, aggregation, device) if operating_point else None
    augmentation = find_augmentation(tta) if tta else None
    with bar() as progress:
        scores = run(described, dataset, split, progress, device, tta=augmentation, draws=draws)
        gain = _gain(described, dataset, scores, progress) if augmentation else None
    place = out or (tta_path(described, dataset, augmentation.hash(), draws) if augmentation else None)
    file, left_out = store_predictions(scores, described, dataset, place), scores.attrs["left_out"]
    if left_out:
        first = f"{left_out[0]['path']}: {left_out[0]['reason']}"
        messages.print(f"{len(left_out)} radiographs could not be decoded (first: {first})", markup=False)
    facts = {
        "file": str(file),
        "radiographs": len(scores),
        "splits": sorted(set(scores["split"])),
        "left_out": left_out,
    }
    said = f"{len(scores)} radiographs scored by {described.reference}, in {file}"
    if gain is not None:
        facts |= {"tta": augmentation.to_dict(), "tta_hash": augmentation.hash(), "draws": draws, "gain": gain[0]}
        said += f"\n{gain[1]}"
    if point is not None:
        from core.scores.decisions import write_decisions

        called, table = write_decisions(point, scores, file)
        counts = {name: int(count) for name, count in table["decision"].value_counts().items()}
        facts |= {"operating_point": point.id, "threshold": point.threshold, "decisions": counts}
        facts["decisions_file"] = str(called)
        said += f"\n{', '.join(f'{count} studies {name}' for name, count in counts.items())} at {point.id}, in {called}"
    tell(facts, as_json, said)


def _gain(described, dataset, scores, progress) -> tuple[dict, str]:
    """What test-time augmentation changed, on valid where it was scored, else on the first split; and in words."""
    from core.scores.json_values import json_values
    from core.scores.loading import split_scores
    from core.scores.tta import gain_sentence, tta_gain

    there = sorted(set(scores["split"]))
    split = "valid" if "valid" in there else there[0]
    before, _ = split_scores(str(described.folder), dataset.name, split, progress)
    found = tta_gain(before, scores, split)
    return json_values(found), gain_sentence(found)


def evaluate(
    scored: Annotated[
        str, typer.Argument(metavar="NAME", help="A checkpoint, imported scores, or a predictions file.")
    ],
    data: Annotated[str, typer.Option("--data", help="Score and judge on this data set.")] = "",
    split: Annotated[str, typer.Option(help="train, tune, valid or test (default: valid where there is one).")] = "",
    by: Annotated[str, typer.Option(help="Also per group: bone.")] = "",
    threshold: Annotated[float, typer.Option(help="Positive from this study score on.", min=0, max=1)] = 0.5,
    aggregation: Aggregation = "",
    labels: Annotated[
        str,
        typer.Option(metavar="REVISION", help="Judge by labels after review, beside the given ones: number, 'latest'."),
    ] = "",
    as_json: Json = False,
) -> None:
    """Judge scores by study: AUROC, sensitivity and specificity with intervals."""
    from core.metrics.evaluation import evaluate as judge
    from core.metrics.rates import further_rates, rates_text
    from core.scores.loading import split_scores

    with bar() as progress:
        frame, used = split_scores(scored, data, split, progress)
    facts = judge(frame, threshold, by=by or None, aggregation=aggregation)
    lines = [
        _sentence(f"split {used}", facts),
        f"also: {rates_text(facts, further_rates())}",
        *[_sentence(str(group[by]), group) for group in facts.get("groups", [])],
    ]
    if labels:
        from core.review.label_revisions import with_revised_labels

        revision, corrected = with_revised_labels(frame, labels, data)
        given, facts = facts, judge(corrected, threshold, by=by or None, aggregation=aggregation)
        facts |= {"labels": revision, "as_labelled": given}
        lines = [f"as labelled, {line}" for line in lines] + [
            _sentence(f"as adjudicated ({revision}), split {used}", facts)
        ]
        lines += [_sentence(f"as adjudicated, {group[by]}", group) for group in facts.get("groups", [])]
    tell({"split": used, **facts}, as_json, "\n".join(lines))


def _sentence(name: str, facts: dict) -> str:
    from core.metrics.rates import headline_rates, interval_text, rates_text

    # Studies of one patient are not independent, as the first interval assumes.
    low, high = facts.get("auroc_patient_low"), facts.get("auroc_patient_high")
    by_patient = f", by patient ({low:.3f}-{high:.3f})" if low is not None and facts["patients"] < facts["n"] else ""
    return (
        f"{name}: {facts['n']} studies, {facts['n_abnormal']} abnormal; AUROC {interval_text(facts, 'auroc', 'ratio')}"
        f"{by_patient}; at {facts['threshold']:g} {rates_text(facts, headline_rates())}"
    )
