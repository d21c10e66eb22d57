"""Commands for thresholds: threshold, verify, decide."""

from typing import Annotated

import typer

from core.commands.console import (
    Aggregation,
    Json,
    messages,
    print_result,
    progress_bar,
    studies_text,
    threshold_text,
)

Who = Annotated[str, typer.Argument(metavar="NAME", help="A checkpoint, or imported scores.")]
Data = Annotated[str, typer.Option("--data", help="Use the checkpoint's scores on this data set.")]
Bound = Annotated[
    str,
    typer.Option(
        help="Confidence bound that must meet a constraint: wilson, clopper-pearson, or none for the rate itself."
    ),
]


def threshold(
    name: Who,
    rule: Annotated[
        str,
        typer.Option(
            help='Rule that chooses the threshold, such as "sensitivity>=0.95" or "cost=5"; see docs/metrics.md.'
        ),
    ] = "",
    bound: Bound = "wilson",
    split: Annotated[
        str, typer.Option(help="Split to choose on (default: tune, else valid:choose, which is one half of valid).")
    ] = "",
    by: Annotated[str, typer.Option(help="Also choose for each group; bone is the usual one.")] = "",
    aggregation: Aggregation = "",
    prevalence: Annotated[
        float | None,
        typer.Option(help="Share of abnormal studies where the threshold will be used (default: as in the split)."),
    ] = None,
    data: Data = "",
    lock: Annotated[bool, typer.Option("--lock", help="Lock the threshold as an operating point.")] = False,
    withdraw: Annotated[
        str, typer.Option(metavar="ID", help="Withdraw this operating point; it stays in the list and is refused.")
    ] = "",
    reason: Annotated[str, typer.Option(help="Reason for the withdrawal, in a sentence.")] = "",
    author: Annotated[
        str, typer.Option(envvar="OVERREAD_READER", help="Name of the person who locks or withdraws it.")
    ] = "",
    note: Annotated[str, typer.Option(help="Reason for the choice, in a sentence.")] = "",
    as_json: Json = False,
) -> None:
    """Choose the threshold that meets a rule and report its figures, or the reason why no threshold meets it."""
    from core.metrics.thresholds import parse_rule
    from core.scores.json_values import json_values
    from core.scores.operating_points import POINTS
    from core.scores.operating_points import lock as lock_point
    from core.scores.source import find_source_on
    from core.scores.view import View
    from core.workflows.thresholds import Criterion, choose_threshold

    if withdraw:
        if rule or lock:
            raise typer.BadParameter("--withdraw ends an operating point; leave out --rule and --lock.")
        _withdraw(name, withdraw, reason, author, as_json)
        return
    if not rule:
        raise typer.BadParameter("--rule is missing; it picks the threshold, such as youden or sensitivity>=0.95.")
    parsed, source = parse_rule(rule), find_source_on(name, data)
    with progress_bar() as progress:
        view = View(source, split, aggregation=aggregation)
        chosen = choose_threshold(view, Criterion(parsed, bound, prevalence, by), progress)
    facts = {**chosen.facts, "name": name}
    if lock:
        point = lock_point(chosen, author, note)
        facts["point"] = {"id": point.id, "hash": point.hash, "date": point.date, "author": point.author}
        facts["file"] = str(source.file_to_write(POINTS))
    print_result(json_values(facts), as_json, _sentence(facts))


def _withdraw(name: str, wanted: str, reason: str, author: str, as_json: bool) -> None:
    from dataclasses import asdict

    from core.scores.operating_points import withdraw
    from core.scores.source import find_source

    ended = withdraw(find_source(name), wanted, reason, author)
    facts = {"name": name, "point": {"id": ended.withdraws[:12], "hash": ended.withdraws, "withdrawn": asdict(ended)}}
    print_result(facts, as_json, ended.sentence)


def verify(
    name: Who,
    split: Annotated[
        str, typer.Option(help="Split to verify on (default: valid, or valid:verify, the other half of it).")
    ] = "",
    point: Annotated[str, typer.Option(help="Id of the operating point (default: the latest).")] = "latest",
    aggregation: Annotated[
        str, typer.Option(help="Only the aggregation of the operating point is accepted (the default).")
    ] = "",
    data: Data = "",
    as_json: Json = False,
) -> None:
    """Verify a locked operating point on another split, next to the figures it was locked with."""
    from core.scores.json_values import json_values
    from core.scores.source import find_source_on
    from core.workflows.verify import verify as run

    with progress_bar() as progress:
        found = run(find_source_on(name, data), split, point, aggregation, progress)
    for note in (found["looked_at"], found["shared"]):
        if note:
            messages.print(f"note: {note}", markup=False)
    print_result(json_values(found), as_json, _side_by_side(found))


def decide(
    name: Who,
    why: Annotated[str, typer.Option(help="Reason for the decision, in a sentence.")],
    author: Annotated[str, typer.Option(envvar="OVERREAD_READER", help="Name of the person who records it.")],
    at: Annotated[
        float | None, typer.Option("--threshold", help="The threshold that was decided on.", min=0, max=1)
    ] = None,
    point: Annotated[
        str, typer.Option(metavar="ID", help="The operating point that was decided on, instead of a threshold.")
    ] = "",
    present: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Another person who was present; may be repeated.")
    ] = None,
    split: Annotated[
        str, typer.Option(help="Split of the figures (default: that of the point, else the one for choosing).")
    ] = "",
    prevalence: Annotated[
        float | None, typer.Option(help="Share of abnormal studies where the threshold will be used.")
    ] = None,
    data: Data = "",
    aggregation: Aggregation = "",
    as_json: Json = False,
) -> None:
    """Record the threshold that a meeting decided on, with its figures, its reason and the people present."""
    from dataclasses import asdict

    from core.data.index import read_dataset
    from core.data.references import name_in
    from core.review.minutes import decision_words
    from core.review.store import open_store
    from core.scores.json_values import json_values
    from core.scores.operating_points import find_point
    from core.scores.source import find_source
    from core.scores.view import View
    from core.workflows.decide_threshold import decide_threshold

    if (at is None) == (not point):
        raise typer.BadParameter("Name the threshold with --threshold, or the operating point with --point.")
    source = find_source(name)
    if data or source.belongs_to:
        source = find_source(name, read_dataset(data or name_in(source.belongs_to)))
    elif source.kind == "checkpoint":
        raise typer.BadParameter("--data is missing; it names the data set that the decision is about.")
    found = find_point(source, point) if point else None
    if found:
        at, split, aggregation = found.threshold, split or found.split, aggregation or found.aggregation
    view = View(source, split, aggregation=aggregation, threshold=at or 0.0, point=found.id if found else "")
    made = decide_threshold(open_store(), view, why, author, prevalence, view.point, present or ())
    print_result(json_values(asdict(made)), as_json, "\n".join(decision_words(made)))


def _sentence(facts: dict) -> str:
    from core.metrics.rates import RATES, rates_text

    if not facts["feasible"]:
        return f"split {facts['split']}: not feasible: {facts['reason']}"
    upper = facts["threshold_high"]
    high = f" and {threshold_text(upper)}" if upper == upper else ""
    lines = [f"split {facts['split']}: threshold {threshold_text(facts['threshold'])}{high}; {facts['reason']}"]
    lines.append(f"at {threshold_text(facts['threshold'])}: {rates_text(facts, list(RATES.values()))}")
    lines += [facts["cost_in_words"], *([facts["warning"]] if facts["warning"] else [])]
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
    return "\n".join([*lines, *found["held"]])
