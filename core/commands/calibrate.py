"""The command that calibrates probabilities: calibrate."""

from typing import Annotated

import typer

from core.commands.console import Aggregation, Json, messages, print_result, progress_bar
from core.plural import count_text


def calibrate(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A checkpoint, or imported scores.")],
    method: Annotated[str, typer.Option(help="Calibration to fit: temperature or platt.")] = "temperature",
    fit_split: Annotated[
        str, typer.Option(help="Split on which the calibration is fitted (default: tune, else one half of valid).")
    ] = "",
    split: Annotated[
        str, typer.Option(help="Split on which it is evaluated (default: valid, or its other half).")
    ] = "",
    data: Annotated[str, typer.Option("--data", help="Use the checkpoint's scores on this data set.")] = "",
    aggregation: Aggregation = "",
    bins: Annotated[
        int, typer.Option(help="Number of bins of the reliability curve and the calibration errors.", min=1)
    ] = 10,
    as_json: Json = False,
) -> None:
    """Fit a calibration on one split and compare the probabilities before and after on another."""
    from core.scores.json_values import json_values
    from core.scores.source import find_source_on
    from core.workflows.calibrate import calibrate as run

    with progress_bar() as progress:
        facts = run(find_source_on(name, data), method, (fit_split, split), aggregation, bins, progress)
    if facts["note"]:
        messages.print(f"note: {facts['note']}", markup=False)
    print_result(json_values(facts), as_json, "\n".join(_lines(facts)))


def _lines(facts: dict) -> list[str]:
    keys = ("temperature",) if facts["method"] == "temperature" else ("slope", "intercept")
    fitted = ", ".join(f"{key} {_interval(facts, key)}" for key in keys)
    lines = [f"{fitted}, fitted on {facts['fit']['split']} ({count_text(facts['fit']['n'], 'study')})"]
    for side in ("before", "after"):
        part = facts[side]
        lines.append(
            f"{side} on {facts['split']} ({count_text(part['n'], 'study')}): slope {_interval(part, 'slope')}, "
            "intercept "
            f"{_interval(part, 'intercept')}, Brier {part['brier']:.4f}, log-loss {part['log_loss']:.4f}, "
            f"ECE {part['ece']:.4f} ({part['bins']} bins)"
        )
    return [*lines, f"log-loss lower by {_interval(facts, 'log_loss_gain', 4)}"]


def _interval(facts: dict, key: str, digits: int = 3) -> str:
    value, low, high = (facts[f"{key}{end}"] for end in ("", "_low", "_high"))
    if value != value:
        return "not estimable"
    return f"{value:.{digits}f}" + (f" ({low:.{digits}f} to {high:.{digits}f})" if low == low else "")
