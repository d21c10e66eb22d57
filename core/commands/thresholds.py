"""Commands over thresholds: import-predictions, threshold, verify."""

from pathlib import Path
from typing import Annotated

import typer

from core.commands.console import Aggregation, Json, bar, messages, tell

Who = Annotated[str, typer.Argument(metavar="NAME", help="A checkpoint, or imported scores.")]
Data = Annotated[str, typer.Option("--data", help="A checkpoint's scores on this data set.")]
Bound = Annotated[str, typer.Option(help="wilson, clopper-pearson or none: what a constraint is held against.")]


def import_predictions(
    file: Annotated[Path, typer.Argument(help="CSV in UTF-8 with a header line, or Parquet.")],
    name: Annotated[str, typer.Option(help="What to call these scores.")],
    label: Annotated[str, typer.Option(metavar="COLUMN", help="1 abnormal, 0 normal, empty unknown.")],
    score: Annotated[str, typer.Option(metavar="COLUMN", help="Probability of abnormal, 0 to 1.")],
    logit: Annotated[bool, typer.Option("--logit", help="The score is a logit, not a probability.")] = False,
    raw: Annotated[bool, typer.Option("--raw", help="The score is any number; only its order is kept.")] = False,
    study: Annotated[str, typer.Option(metavar="COLUMN", help="Study id; else a radiograph is a study.")] = "",
    image: Annotated[str, typer.Option(metavar="COLUMN", help="Radiograph id; else a row is a study.")] = "",
    patient: Annotated[str, typer.Option(metavar="COLUMN", help="Patient id.")] = "",
    bone: Annotated[str, typer.Option(metavar="COLUMN", help="Body part.")] = "",
    split: Annotated[str, typer.Option(metavar="COLUMN", help="train, tune, valid or test; else all valid.")] = "",
    data: Annotated[str, typer.Option("--data", help="The indexed data set whose radiographs these are.")] = "",
    as_json: Json = False,
) -> None:
    """Take the scores of any model, to be judged as a checkpoint's are."""
    from dataclasses import asdict

    from core.scores.imports import Columns, import_scores

    columns = Columns(label, score, study, image, patient, bone, split)
    imported = import_scores(file, name, columns, logit, data, raw)
    for note in imported.notes:
        messages.print(f"note: {note}", markup=False)
    tell(
        {**asdict(imported), "reference": imported.reference, "folder": str(imported.folder)},
        as_json,
        f"{name}: {imported.rows:,} rows, {imported.studies:,} studies, {imported.abnormal:,} of them abnormal, "
        f"{imported.patients:,} known patients; judge them with: python -m core evaluate {name}",
    )


def threshold(
    name: Who,
    rule: Annotated[str, typer.Option(help='"sensitivity>=0.95", "cost=5", ...; see docs/metrics.md.')],
    bound: Bound = "wilson",
    split: Annotated[str, typer.Option(help="Chosen on this split (default: tune where there is one).")] = "",
    by: Annotated[str, typer.Option(help="Also per group: bone.")] = "",
    aggregation: Aggregation = "",
    prevalence: Annotated[float | None, typer.Option(help="Share abnormal where it will be used.")] = None,
    data: Data = "",
    lock: Annotated[bool, typer.Option("--lock", help="Write it down as an operating point.")] = False,
    author: Annotated[str, typer.Option(help="Who locks it.")] = "",
    note: Annotated[str, typer.Option(help="Why, in a sentence.")] = "",
    as_json: Json = False,
) -> None:
    """Choose the threshold that meets a rule, with its figures; infeasible is an answer."""
    from core.metrics.thresholds import parse_rule
    from core.scores.json_values import json_values
    from core.scores.operating_points import POINTS
    from core.scores.operating_points import lock as lock_point
    from core.scores.source import find_source
    from core.workflows.thresholds import choose_threshold

    parsed, source = parse_rule(rule), find_source(name)
    with bar() as progress:
        chosen = choose_threshold(source, parsed, bound, prevalence, split, by, aggregation, data, progress)
    facts = {**chosen.facts, "name": name}
    if lock:
        point = lock_point(chosen, author, note)
        facts["point"] = {"id": point.id, "hash": point.hash, "date": point.date, "author": point.author}
        facts["file"] = str(source.folder / POINTS)
    tell(json_values(facts), as_json, _sentence(facts))


def verify(
    name: Who,
    split: Annotated[str, typer.Option(help="The split to read the locked point on.")] = "",
    point: Annotated[str, typer.Option(help="Its id (default: the latest).")] = "latest",
    aggregation: Annotated[str, typer.Option(help="Must be the point's (default).")] = "",
    data: Data = "",
    as_json: Json = False,
) -> None:
    """Read a locked operating point on another split, beside the figures it was locked with."""
    from core.scores.json_values import json_values
    from core.scores.source import find_source
    from core.workflows.verify import verify as run

    with bar() as progress:
        found = run(find_source(name), split, point, data, aggregation, progress)
    for said in (found["looked_at"], found["shared"]):
        if said:
            messages.print(f"note: {said}", markup=False)
    tell(json_values(found), as_json, _side_by_side(found))


def _sentence(facts: dict) -> str:
    from core.metrics.rates import RATES, rates_text

    if not facts["feasible"]:
        return f"split {facts['split']}: not feasible: {facts['reason']}"
    high = f" and {facts['threshold_high']:.6g}" if facts["threshold_high"] == facts["threshold_high"] else ""
    lines = [f"split {facts['split']}: threshold {facts['threshold']:.6g}{high}; {facts['reason']}"]
    lines.append(f"at {facts['threshold']:.6g}: {rates_text(facts, list(RATES.values()))}")
    for group in facts.get("groups", []):
        said = (
            f"{group['threshold']:.6g}; {group['reason']}" if group["feasible"] else f"not feasible: {group['reason']}"
        )
        lines.append(f"{group[facts['by']]}: {said}")
    if "point" in facts:
        lines.append(f"locked as {facts['point']['id']} in {facts['file']}")
    return "\n".join(lines)


def _side_by_side(found: dict) -> str:
    from core.metrics.rates import RATES, rates_text

    lines = [f"operating point {found['point']['id']}: threshold {found['point']['threshold']:.6g}"]
    for side in ("chosen", "verified"):
        row = found[side]
        rates = rates_text(row, list(RATES.values()))
        lines.append(f"{side} on {row['split']} ({row['n']} studies, {row['n_abnormal']} abnormal): {rates}")
    return "\n".join(lines)
