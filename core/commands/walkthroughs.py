"""Commands for walkthroughs: walkthrough make, walkthrough list, walkthrough minutes."""

from pathlib import Path
from typing import Annotated

import typer

from core.commands.console import Json, Name, print_result, progress_bar
from core.plural import count_text

walkthrough = typer.Typer(no_args_is_help=True, help="Lists of studies that readers go through together.")


@walkthrough.command("make")
def make(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the walkthrough.")],
    model: Annotated[str, typer.Option(metavar="NAME", help="Checkpoint or imported scores whose errors are read.")],
    data: Name,
    author: Annotated[str, typer.Option(help="Name of the person who makes it.")],
    split: Annotated[str, typer.Option(help="Split of the studies: train, tune, valid or test.")] = "valid",
    bone: Annotated[str, typer.Option(help="Bone of the studies (default: all bones).")] = "",
    threshold: Annotated[
        float, typer.Option(help="A study with at least this score is called abnormal.", min=0, max=1)
    ] = 0.5,
    outcome: Annotated[
        str, typer.Option(help="Outcome of the studies: missed, false-alarm, found, cleared, or near the threshold.")
    ] = "missed",
    cases: Annotated[int, typer.Option(help="Number of studies with this outcome.", min=1)] = 20,
    controls: Annotated[
        int, typer.Option(help="Number of correctly classified studies to mix in, drawn at random.")
    ] = 0,
    at_random: Annotated[
        bool, typer.Option("--at-random", help="Draw the studies at random (default: the most confident first).")
    ] = False,
    seed: Annotated[int | None, typer.Option(help="Seed of the draw (default: from the number of studies).")] = None,
    studies: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Use these studies instead, one per line; a note may follow: study | note."),
    ] = None,
    blind: Annotated[
        bool, typer.Option("--blind", help="Hide label, score and others' verdicts until the lead reveals a case.")
    ] = False,
    alone_first: Annotated[
        bool, typer.Option("--alone-first", help="Each reads all cases alone and blind before all read together.")
    ] = False,
    counts_only: Annotated[
        bool, typer.Option("--counts-only", help="Show how many readers have answered, not their names.")
    ] = False,
    seconds: Annotated[int, typer.Option(help="Time for a case in seconds (default: no limit).", min=0)] = 0,
    as_json: Json = False,
) -> None:
    """Make a walkthrough of a model's errors, or of studies named in a file."""
    from dataclasses import asdict

    from core.data.index import read_dataset, read_index
    from core.review.store import open_store
    from core.review.walkthroughs import ReadingPlan
    from core.scores.source import find_source
    from core.scores.view import View
    from core.workflows.walkthroughs import (
        Draw,
        candidates_of,
        make_walkthrough,
        make_walkthrough_of,
        read_cases,
    )

    view = View(find_source(model, read_dataset(data)), split, bone, threshold=threshold)
    plan = ReadingPlan(blind, alone_first, not counts_only, seconds)
    if studies:
        known = set(read_index(data)["study_id"])
        cases_read = read_cases(studies.read_text("utf-8"))
        made = make_walkthrough_of(open_store(), view, name, author, cases_read, known, plan)
    else:
        with progress_bar() as progress:
            candidates = candidates_of(view, outcome, progress)
        draw = Draw(cases, controls, at_random, seed)
        made = make_walkthrough(open_store(), view, name, author, candidates, draw, plan)
    print_result(
        asdict(made), as_json, f"{made.name}: {count_text(len(made.cases), 'case')}; made from: {made.made_from}"
    )


@walkthrough.command("list")
def list_all(data: Name, as_json: Json = False) -> None:
    """List the walkthroughs of a data set, the newest first."""
    from core.review.store import open_store
    from core.review.walkthroughs import list_walkthroughs
    from core.workflows.walkthroughs import broken_walkthroughs

    store = open_store()
    broken = broken_walkthroughs(store, data)
    rows = [
        {**row, **({"broken": broken[row["id"]]} if row["id"] in broken else {})}
        for row in list_walkthroughs(store, data).to_dict("records")
    ]
    lines = [
        f"{row['name']}: broken. {row['broken']}"
        if "broken" in row
        else f"{row['name']}: {count_text(row['cases'], 'case')}, by {row['author']} on {row['created'][:10]}"
        for row in rows
    ]
    print_result({"walkthroughs": rows}, as_json, "\n".join(lines) or f"There is no walkthrough of {data}.")


@walkthrough.command("minutes")
def write_minutes(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the walkthrough.")],
    data: Name,
    out: Annotated[Path, typer.Option(help="HTML file to write; a CSV file is written beside it.")],
    as_json: Json = False,
) -> None:
    """Write the minutes of a walkthrough: the readers, each case with its films and verdicts, and changed figures."""
    from core.data.index import read_dataset
    from core.review.store import open_store
    from core.scores.source import find_source
    from core.workflows import minutes
    from core.workflows.walkthroughs import find_walkthrough

    store = open_store()
    with progress_bar() as progress:
        collected = minutes.collect_minutes(
            store,
            find_walkthrough(store, data, name),
            lambda named, model: find_source(model, read_dataset(named)),
            progress,
        )
    page, table = minutes.write_minutes(collected, out)
    facts = {
        "file": str(page),
        "table": str(table),
        "cases": len(collected.cases),
        "hidden": collected.hidden,
        "participants": list(collected.participants),
    }
    counts = f"{count_text(len(collected.cases), 'case')}, {count_text(len(collected.participants), 'participant')}"
    print_result(facts, as_json, f"{counts}, in {page} and {table.name}")
