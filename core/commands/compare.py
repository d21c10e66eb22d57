"""The command that compares two models: compare."""

from typing import Annotated

import typer

from core.commands.console import Aggregation, Json, print_result, progress_bar, studies_text, threshold_text

Threshold = Annotated[
    float | None, typer.Option(help="Threshold of this model (default: its operating point, else 0.5).", min=0, max=1)
]


def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="A checkpoint, or imported scores.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Another checkpoint or imported scores, for the same studies.")],
    threshold_a: Threshold = None,
    threshold_b: Threshold = None,
    split: Annotated[
        str,
        typer.Option(
            help="Split to compare on (default: valid, or valid:verify where a threshold was chosen on the other half)."
        ),
    ] = "",
    by: Annotated[str, typer.Option(help="Also compare within each group; bone is the usual one.")] = "",
    data: Annotated[str, typer.Option("--data", help="Compare the checkpoints' scores on this data set.")] = "",
    aggregation: Aggregation = "",
    as_json: Json = False,
) -> None:
    """Compare two models on the same studies: paired differences, and the studies that only one calls correctly."""
    from core.scores.json_values import json_values
    from core.workflows.compare import Side, compare_sources, find_pair

    with progress_bar() as progress:
        first, second = find_pair(a, b, data)
        sides = Side(first, threshold_a), Side(second, threshold_b)
        facts = compare_sources(*sides, split, by or None, aggregation, progress)
    print_result(json_values(facts), as_json, "\n".join(_lines(facts)))


def _lines(facts: dict) -> list[str]:
    from core.metrics.compare import p_text, p_words, sentences
    from core.metrics.rates import RATES, interval_text

    models = facts["a"], facts["b"]
    names = [f"{one['name']} at {threshold_text(one['threshold'])} ({one['threshold_from']})" for one in models]
    lines = [
        f"split {facts['split']}: {studies_text(facts['n'])}, {facts['n_abnormal']} abnormal; {' and '.join(names)}"
    ]
    lines += [note for note in (facts["split_note"], facts["left_out"]) if note]
    lines += sentences(facts, facts["a"]["name"], facts["b"]["name"])
    change = (
        f"classified correctly by {facts['b']['name']} only: {studies_text(facts['fixed'])}, "
        f"by {facts['a']['name']} only: {studies_text(facts['broken'])}"
    )
    lines.append(f"{change} (McNemar, exact: {p_words(facts['accuracy_p'])})")
    for rate in RATES.values():
        both = " and ".join(interval_text(facts, f"{rate.name}_{side}", rate.format) for side in "ab")
        lines.append(f"{rate.title}: {both}")
    for group in facts.get("groups", []):
        lines.append(
            f"{group[facts['by']]}: {studies_text(group['n'])}, {group['fixed']} fixed, {group['broken']} broken, "
            f"{p_words(group['accuracy_p'])}, adjusted {p_text(group['accuracy_p_holm'])}"
        )
    return lines
