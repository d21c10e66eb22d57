"""The command that compares the aggregations of given scores: poolings."""

from typing import Annotated

import typer

from core.commands.console import Json, print_result, progress_bar


def poolings(
    scored: Annotated[str, typer.Argument(metavar="NAME|FILE", help="A checkpoint, imported scores, or their file.")],
    data: Annotated[str, typer.Option("--data", help="Data set to score on, for a checkpoint.")] = "",
    split: Annotated[str, typer.Option(help="Split to compare on (default: valid if it exists).")] = "",
    as_json: Json = False,
) -> None:
    """Compare every way to make a study's score from those of its radiographs: paired differences from the mean."""
    from core.scores.json_values import json_values
    from core.scores.loading import find_scores, split_scores
    from core.workflows.poolings import compare_poolings, poolings_text

    with progress_bar() as progress:
        frame, used = split_scores(find_scores(scored, data), split, progress)
    facts = compare_poolings(frame)
    print_result(json_values({"split": used, **facts}), as_json, f"split {used}: {poolings_text(facts)}")
