"""Commands for thresholds: import-predictions, threshold, verify."""

from pathlib import Path
from typing import Annotated

import typer

from core.commands.console import (
    Aggregation,
    Json,
    LabelLevel,
    StudyRule,
    messages,
    print_result,
    progress_bar,
    studies_text,
    threshold_text,
)
from core.commands.joined import AllowLostLabels, AllowUnmatched, MatchIgnoring, print_joins

Who = Annotated[str, typer.Argument(metavar="NAME", help="A checkpoint, or imported scores.")]
Data = Annotated[str, typer.Option("--data", help="Use the checkpoint's scores on this data set.")]
Bound = Annotated[
    str,
    typer.Option(
        help="Confidence bound that must meet a constraint: wilson, clopper-pearson, or none for the rate itself."
    ),
]


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
        bool, typer.Option("--invert", help="The score is that of normal: use 1 minus it (or minus it, for others).")
    ] = False,
    percent: Annotated[bool, typer.Option("--percent", help="The scores are percentages, 0 to 100.")] = False,
    study: Annotated[
        str,
        typer.Option(
            metavar="COLUMN",
            help="Column of study ids; without it each radiograph is a study, except for MURA's paths. Alone, without "
            "--image, where the scores are per study.",
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
    study_rule: StudyRule = "any",
    match_ignoring: MatchIgnoring = None,
    allow_unmatched: AllowUnmatched = False,
    allow_lost_labels: AllowLostLabels = False,
    as_json: Json = False,
) -> None:
    """Import the scores of any model, to evaluate them like those of a checkpoint."""
    from dataclasses import asdict

    from core.data.joins import check_differences
    from core.data.label_levels import LabelRule
    from core.scores.imports import Columns, JoinOptions, import_scores

    columns = Columns(label, score, study, image, patient, bone, split, invert, percent)
    options = JoinOptions(check_differences(match_ignoring or []), allow_unmatched, allow_lost_labels)
    rule = LabelRule(label_level, study_rule)
    imported = import_scores(file, name, columns, logit, data, raw, rule, options)
    outside = print_joins(imported.joins, imported.notes)
    print_result(
        {
            **asdict(imported),
            **outside,
            "reference": imported.reference,
            "folder": str(imported.folder),
        },
        as_json,
        f"{name}: {imported.rows:,} rows, {studies_text(imported.studies)}: {imported.abnormal:,} abnormal, "
        f"{imported.normal:,} normal, {imported.unknown:,} unknown; "
        f"{imported.patients:,} known patients; evaluate them with: python -m core evaluate {name}",
    )


def threshold(
    name: Who,
    rule: Annotated[
        str,
        typer.Option(
            help='Rule that picks the threshold, such as "sensitivity>=0.95" or "cost=5"; see docs/metrics.md.'
        ),
    ],
    bound: Bound = "wilson",
    split: Annotated[
        str, typer.Option(help="Split on which the threshold is chosen (default: tune if it exists, else valid).")
    ] = "",
    by: Annotated[str, typer.Option(help="Also choose for each group; bone is the usual one.")] = "",
    aggregation: Aggregation = "",
    prevalence: Annotated[
        float | None,
        typer.Option(help="Share of abnormal studies where the threshold will be used (default: as in the split)."),
    ] = None,
    data: Data = "",
    lock: Annotated[bool, typer.Option("--lock", help="Lock the threshold as an operating point.")] = False,
    author: Annotated[str, typer.Option(help="Name of the person who locks it.")] = "",
    note: Annotated[str, typer.Option(help="Reason for the choice, in a sentence.")] = "",
    as_json: Json = False,
) -> None:
    """Choose the threshold that meets a rule and report its figures, or the reason why no threshold meets it."""
    from core.metrics.thresholds import parse_rule
    from core.scores.json_values import json_values
    from core.scores.operating_points import POINTS
    from core.scores.operating_points import lock as lock_point
    from core.scores.source import find_source
    from core.scores.view import View
    from core.workflows.thresholds import Criterion, choose_threshold

    parsed, source = parse_rule(rule), find_source(name)
    with progress_bar() as progress:
        view = View(source, split, aggregation=aggregation)
        chosen = choose_threshold(view, Criterion(parsed, bound, prevalence, by), data, progress)
    facts = {**chosen.facts, "name": name}
    if lock:
        point = lock_point(chosen, author, note)
        facts["point"] = {"id": point.id, "hash": point.hash, "date": point.date, "author": point.author}
        facts["file"] = str(source.file_to_write(POINTS))
    print_result(json_values(facts), as_json, _sentence(facts))


def verify(
    name: Who,
    split: Annotated[str, typer.Option(help="Split on which the operating point is verified.")] = "",
    point: Annotated[str, typer.Option(help="Id of the operating point (default: the latest).")] = "latest",
    aggregation: Annotated[
        str, typer.Option(help="Must be the aggregation of the operating point (the default).")
    ] = "",
    data: Data = "",
    as_json: Json = False,
) -> None:
    """Verify a locked operating point on another split, next to the figures it was locked with."""
    from core.scores.json_values import json_values
    from core.scores.source import find_source
    from core.workflows.verify import verify as run

    with progress_bar() as progress:
        found = run(find_source(name), split, point, data, aggregation, progress)
    for note in (found["looked_at"], found["shared"]):
        if note:
            messages.print(f"note: {note}", markup=False)
    print_result(json_values(found), as_json, _side_by_side(found))


def _sentence(facts: dict) -> str:
    from core.metrics.rates import RATES, rates_text

    if not facts["feasible"]:
        return f"split {facts['split']}: not feasible: {facts['reason']}"
    upper = facts["threshold_high"]
    high = f" and {threshold_text(upper)}" if upper == upper else ""
    lines = [f"split {facts['split']}: threshold {threshold_text(facts['threshold'])}{high}; {facts['reason']}"]
    lines.append(f"at {threshold_text(facts['threshold'])}: {rates_text(facts, list(RATES.values()))}")
    for group in facts.get("groups", []):
        answer = (
            f"{threshold_text(group['threshold'])}; {group['reason']}"
            if group["feasible"]
            else f"not feasible: {group['reason']}"
        )
        lines.append(f"{group[facts['by']]}: {answer}")
    if "point" in facts:
        lines.append(f"locked as {facts['point']['id']} in {facts['file']}")
    return "\n".join(lines)


def _side_by_side(found: dict) -> str:
    from core.metrics.rates import RATES, rates_text

    lines = [f"operating point {found['point']['id']}: threshold {threshold_text(found['point']['threshold'])}"]
    for side in ("chosen", "verified"):
        row = found[side]
        rates = rates_text(row, list(RATES.values()))
        lines.append(f"{side} on {row['split']} ({studies_text(row['n'])}, {row['n_abnormal']} abnormal): {rates}")
    return "\n".join(lines)
