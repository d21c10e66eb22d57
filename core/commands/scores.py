"""Commands that make scores: predict and import-predictions."""

from pathlib import Path
from typing import Annotated

import typer

from core.commands.console import (
    Device,
    Json,
    LabelLevel,
    Name,
    StudyRule,
    messages,
    print_result,
    progress_bar,
    studies_text,
)
from core.commands.joined import AllowLostLabels, AllowUnmatched, MatchIgnoring, print_joins
from core.plural import count_text


def predict(
    checkpoint: Annotated[str, typer.Argument(help="A checkpoint: its name, or its folder.")],
    data: Name,
    split: Annotated[
        list[str] | None, typer.Option(help="Split to score: train, tune, valid or test; may be repeated.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="File to write: .parquet or .csv (default: in the workspace).")
    ] = None,
    device: Device = "",
    operating_point: Annotated[
        str,
        typer.Option(metavar="ID", help="Also classify each study by this operating point; 'latest' is the newest."),
    ] = "",
    aggregation: Annotated[
        str, typer.Option(help="Only the aggregation of the operating point is accepted (the default).")
    ] = "",
    tta: Annotated[
        str,
        typer.Option(
            metavar="NAME|FILE",
            help="Average the logit over samples of this augmentation, and report the change in AUROC.",
        ),
    ] = "",
    draws: Annotated[int, typer.Option(min=1, help="Number of samples for --tta.")] = 8,
    shard_rows: Annotated[
        int,
        typer.Option(
            min=0,
            help="Write a folder of shards with at most this many radiographs each, for any size of the data set "
            "(default: 2,048 from 50,001 radiographs on, one file below).",
        ),
    ] = 0,
    as_json: Json = False,
) -> None:
    """Score a data set with a checkpoint: one logit per radiograph.

    A run that was stopped or killed continues where it stopped when the same command is given again. Under `accelerate
    launch -m core predict ...` several processes share the work, on one machine or on several with one workspace.
    """
    from core.data.augment import find_augmentation
    from core.data.index import read_dataset
    from core.models.checkpoint import read_checkpoint
    from core.scores.decisions import point_for
    from core.scores.json_values import json_values
    from core.scores.score_table import ScoringOrder
    from core.scores.source import source_of
    from core.scores.test_time_augmentation import AugmentedDraws, gain_sentence
    from core.training.parallel import leads
    from core.workflows.score import score

    source = source_of(read_checkpoint(checkpoint), read_dataset(data))
    if aggregation and not operating_point:
        raise typer.BadParameter("--aggregation needs --operating-point; scores are stored per radiograph.")
    if tta and operating_point:
        raise typer.BadParameter("--operating-point was chosen on scores without --tta; leave one of them out.")
    point = point_for(source.checkpoint, operating_point, aggregation, device) if operating_point else None
    wanted = AugmentedDraws(find_augmentation(tta), draws) if tta else None
    order = ScoringOrder(source, split, device, out, wanted, shard_rows)
    with progress_bar() as progress:
        done = score(order, progress, point)
    if not leads():
        return
    for note in done.notes:
        messages.print(note, markup=False)
    if done.left_out:
        first = f"{done.left_out[0]['path']}: {done.left_out[0]['reason']}"
        messages.print(
            f"{count_text(len(done.left_out), 'radiograph')} could not be decoded (first: {first})", markup=False
        )
    facts = {
        "file": str(done.file),
        "radiographs": done.rows,
        "splits": done.splits,
        "left_out": done.left_out,
        "notes": done.notes,
    }
    lines = [f"{count_text(done.rows, 'radiograph')} scored by {source.reference}, in {done.file}"]
    if wanted and done.gain:
        facts |= {"tta": wanted.augmentation.to_dict(), "tta_hash": wanted.augmentation.hash(), "draws": draws}
        facts["gain"] = json_values(done.gain)
        lines.append(gain_sentence(done.gain))
    if point and done.decisions is not None:
        facts |= {"operating_point": point.id, "threshold": point.threshold, "decisions": done.decisions}
        facts["decisions_file"] = str(done.decisions_file)
        studies = ", ".join(f"{studies_text(count)} {name}" for name, count in done.decisions.items())
        lines.append(f"{studies} at {point.id}, in {done.decisions_file}")
    print_result(facts, as_json, "\n".join(lines))


def import_predictions(
    file: Annotated[Path, typer.Argument(help="Table of scores: CSV with a header line, or Parquet.")],
    name: Annotated[str, typer.Option(help="Name of the imported scores.")],
    score: Annotated[
        str, typer.Option(metavar="COLUMN", help="Column of scores: the probability of abnormal, 0 to 1.")
    ],
    label: Annotated[
        str,
        typer.Option(
            metavar="COLUMN",
            help="Column of labels: 1 abnormal, 0 normal, empty unknown, or words such as positive / negative; not "
            "needed with --data or MURA's paths.",
        ),
    ] = "",
    logit: Annotated[bool, typer.Option("--logit", help="The scores are logits, not probabilities.")] = False,
    raw: Annotated[bool, typer.Option("--raw", help="The scores are any numbers; only their order is kept.")] = False,
    invert: Annotated[
        bool,
        typer.Option(
            "--invert",
            help="The score is that of normal: use 1 minus the score (for other numbers, the score with its sign "
            "changed).",
        ),
    ] = False,
    percent: Annotated[bool, typer.Option("--percent", help="The scores are percentages, 0 to 100.")] = False,
    study: Annotated[
        str,
        typer.Option(
            metavar="COLUMN",
            help="Column of study ids; without it each radiograph is a study, except for MURA's paths. If each row is "
            "a study, leave --image out.",
        ),
    ] = "",
    image: Annotated[
        str, typer.Option(metavar="COLUMN", help="Column of radiograph ids; without it each row is a study.")
    ] = "",
    patient: Annotated[str, typer.Option(metavar="COLUMN", help="Column of patient ids.")] = "",
    bone: Annotated[str, typer.Option(metavar="COLUMN", help="Column of body parts.")] = "",
    split: Annotated[
        str,
        typer.Option(
            metavar="COLUMN", help="Column of splits: train, tune, valid or test; without it all rows are valid."
        ),
    ] = "",
    data: Annotated[str, typer.Option("--data", help="Indexed data set to which the radiographs belong.")] = "",
    label_level: LabelLevel = "",
    study_rule: StudyRule = "",
    match_ignoring: MatchIgnoring = None,
    allow_unmatched: AllowUnmatched = False,
    allow_lost_labels: AllowLostLabels = False,
    as_json: Json = False,
) -> None:
    """Import the scores of any model, to evaluate them like those of a checkpoint.

    Importing again under the same name keeps the label level and the study rule, unless others are given or the labels
    no longer fit.
    """
    from dataclasses import asdict

    from core.data.joins import check_differences
    from core.data.label_levels import LabelRule
    from core.errors import OverreadError
    from core.scores.import_frame import Columns
    from core.scores.import_join import JoinOptions
    from core.scores.json_values import json_values
    from core.workflows.import_scores import first_figures, keep_import, prepare_import

    if logit and raw:
        raise OverreadError("Pass --logit or --raw, not both.", code="options-exclusive")
    scale = "raw" if raw else "logit" if logit else "probability"
    columns = Columns(label, score, study, image, patient, bone, split, invert, percent)
    options = JoinOptions(check_differences(match_ignoring or []), allow_unmatched, allow_lost_labels)
    preview = prepare_import(file, name, columns, scale, data, LabelRule(label_level, study_rule), options)
    imported, figures = keep_import(preview), first_figures(preview.frame)
    outside = print_joins(imported.joins, imported.notes)
    print_result(
        {
            **asdict(imported),
            **outside,
            "first_figures": json_values([asdict(one) for one in figures]),
            "reference": imported.reference,
            "folder": str(imported.folder),
        },
        as_json,
        f"{name}: {count_text(imported.rows, 'row')}, {studies_text(imported.studies)}: "
        f"{imported.abnormal:,} abnormal, {imported.normal:,} normal, {imported.unknown:,} unknown; "
        f"{count_text(imported.patients, 'known patient')}; {'; '.join(map(_first_sentence, figures))}; "
        f"evaluate them with: python -m core evaluate {name}",
    )


def _first_sentence(figures) -> str:
    from core.metrics.rates import interval_text

    found = figures.auroc
    return f"AUROC on {figures.split} " + interval_text(
        {"auroc": found.value, "auroc_low": found.low, "auroc_high": found.high}, "auroc", "ratio"
    )
