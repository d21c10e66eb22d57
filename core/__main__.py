"""`python -m core <command>`: thin; every command calls one function of a room and prints what it returned."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from core.errors import OverreadError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Overread: train, score and read the errors of bone-radiograph classifiers. Research use only.",
)
messages = Console(stderr=True, highlight=False, soft_wrap=True)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output, and nothing else there.")]
Name = Annotated[str, typer.Option("--data", help="Name of an indexed data set.")]
Device = Annotated[str, typer.Option(help="cuda, cpu, mps ... (default: the best there is).")]


@app.command()
def phantom(
    out: Annotated[Path, typer.Option(help="Folder that gets MURA-v1.1/.")],
    patients: Annotated[int, typer.Option(help="How many patients.")] = 300,
    seed: Annotated[int, typer.Option(help="The same seed draws the same phantoms.")] = 0,
    as_json: Json = False,
) -> None:
    """Draw phantoms: synthetic radiographs with known truth, in MURA's folder layout."""
    from core.data.phantom import write_phantoms

    with bar() as progress:
        report = write_phantoms(out, patients, seed, progress=progress)
    facts = {name: getattr(report, name) for name in ("radiographs", "studies", "patients", "wrong_labels")}
    tell(
        {"folder": str(report.folder), **facts},
        as_json,
        f"{report.radiographs} phantoms of {report.studies} studies and {report.patients} patients in {report.folder}; "
        f"{report.wrong_labels} studies labelled wrongly on purpose",
    )


@app.command()
def index(
    path: Annotated[
        Path, typer.Argument(help="A MURA folder, a manifest (CSV, Parquet), or a folder with labels.csv.")
    ],
    name: Annotated[str, typer.Option(help="What to call the data set.")],
    column: Annotated[
        list[str] | None, typer.Option(help="ours=theirs, for a manifest's columns; may be repeated.")
    ] = None,
    valid_fraction: Annotated[
        float, typer.Option(help="Share of patients for 'valid' where the source has no splits.")
    ] = 0.2,
    folds: Annotated[int, typer.Option(help="Folds of train, by patient.")] = 10,
    seed: Annotated[int, typer.Option(help="Decides splits and folds.")] = 0,
    as_json: Json = False,
) -> None:
    """Index radiographs under a name, with every file that cannot be used and why."""
    from core.data.index import build_index, write_dataset
    from core.paths import checked_name
    from core.schema import bone_order

    checked_name(name)
    with bar() as progress:
        indexed = build_index(path, pairs(column or []), valid_fraction, folds, seed, progress)
    dataset, frame = write_dataset(name, indexed), indexed.frame
    for kind in ("unreadable", "stray", "conflicts"):
        listed = getattr(indexed, kind)
        for entry in listed[:10]:
            messages.print(f"[yellow]{kind}[/yellow] ", end="")
            messages.print(f"{entry['path']}: {entry['reason']}", markup=False)
        if len(listed) > 10:
            messages.print(
                f"... and {len(listed) - 10} more {kind}, in {dataset.folder / 'problems.json'}", markup=False
            )
    facts = {
        "name": name,
        "radiographs": len(frame),
        "studies": frame["study_id"].nunique(),
        "patients": dataset.patients_known,
        "bones": {bone: int((frame["bone"] == bone).sum()) for bone in bone_order(frame["bone"])},
        "splits": {split: int(count) for split, count in frame["split"].value_counts().items()},
        "splits_from": dataset.splits_from,
        "radiographs_without_patient": int(frame["patient_id"].isna().sum()),
        "unreadable": indexed.unreadable,
        "stray": indexed.stray,
        "conflicts": indexed.conflicts,
    }
    tell(
        facts,
        as_json,
        f"{name}: {facts['radiographs']} radiographs, {facts['studies']} studies, {facts['patients']} known patients; "
        f"{', '.join(f'{bone} {count}' for bone, count in facts['bones'].items())}; "
        f"{len(indexed.unreadable)} unreadable",
    )


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help="A named recipe; `python -m core recipes` lists them.")],
    data: Name,
    out: Annotated[str, typer.Option(help="Folder, or a name under checkpoints/.")],
    settings: Annotated[list[str] | None, typer.Option("--set", help="key=value, may be repeated.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on after the last full epoch.")] = False,
    device: Device = "",
    as_json: Json = False,
) -> None:
    """Train a recipe on a data set into a checkpoint."""
    from core.data.index import read_dataset
    from core.paths import checkpoint_folder
    from core.training.recipe import named_recipe, with_settings

    chosen, dataset = with_settings(named_recipe(recipe), settings or []), read_dataset(data)
    from core.training.loop import train as run

    with bar() as progress:
        checkpoint = run(
            chosen,
            dataset,
            checkpoint_folder(out),
            resume,
            progress,
            lambda text: messages.print(text, markup=False),
            device,
        )
    facts = {
        "checkpoint": str(checkpoint.folder),
        "reference": checkpoint.reference,
        "epoch": checkpoint.manifest["epoch"],
        "tune_auroc": checkpoint.manifest["tune_auroc"],
    }
    tell(
        facts,
        as_json,
        f"{checkpoint.folder}: best epoch {facts['epoch']}, "
        f"tuning study AUROC {'not estimable' if facts['tune_auroc'] is None else format(facts['tune_auroc'], '.3f')}",
    )


@app.command()
def recipes() -> None:
    """List the named recipes."""
    from core.training.recipe import RECIPES

    for recipe in RECIPES.values():
        typer.echo(f"{recipe.name}: {recipe.architecture}, {recipe.size} px, {recipe.epochs} epochs")


@app.command()
def predict(
    checkpoint: Annotated[str, typer.Argument(help="Folder, or a name under checkpoints/.")],
    data: Name,
    split: Annotated[list[str] | None, typer.Option(help="train, tune, valid or test; may be repeated.")] = None,
    out: Annotated[Path | None, typer.Option(help="Parquet file (default: in the workspace).")] = None,
    device: Device = "",
    as_json: Json = False,
) -> None:
    """Score a data set: one logit per radiograph."""
    from core.data.index import read_dataset
    from core.inference.predict import predict as run
    from core.inference.predictions import store_predictions
    from core.models.checkpoint import read_checkpoint

    described, dataset = read_checkpoint(checkpoint), read_dataset(data)
    with bar() as progress:
        scores = run(described, dataset, split, progress, device)
    file, left_out = store_predictions(scores, described, dataset, out), scores.attrs["left_out"]
    if left_out:
        first = f"{left_out[0]['path']}: {left_out[0]['reason']}"
        messages.print(f"{len(left_out)} radiographs could not be decoded (first: {first})", markup=False)
    tell(
        {"file": str(file), "radiographs": len(scores), "splits": sorted(set(scores["split"])), "left_out": left_out},
        as_json,
        f"{len(scores)} radiographs scored by {described.reference}, in {file}",
    )


@app.command()
def evaluate(
    scored: Annotated[
        str, typer.Argument(metavar="CHECKPOINT_OR_PREDICTIONS", help="A checkpoint, or a predictions file.")
    ],
    data: Annotated[str, typer.Option("--data", help="Score and judge on this data set.")] = "",
    split: Annotated[str, typer.Option(help="train, tune, valid or test (default: valid where there is one).")] = "",
    by: Annotated[str, typer.Option(help="Also per group: bone.")] = "",
    threshold: Annotated[float, typer.Option(help="Positive from this study score on.", min=0, max=1)] = 0.5,
    aggregation: Annotated[str, typer.Option(help="How a study's radiographs become one score.")] = "mean",
    as_json: Json = False,
) -> None:
    """Judge scores by study: AUROC, sensitivity and specificity with intervals."""
    from core.inference.scores import scores_for
    from core.metrics.evaluation import evaluate as judge

    with bar() as progress:
        frame, used = scores_for(scored, data, split, progress)
    facts = judge(frame, threshold, by=by or None, aggregation=aggregation)
    facts = {"split": used, **facts}
    tell(
        facts,
        as_json,
        "\n".join(
            [
                _sentence(f"split {used}", facts),
                *[_sentence(str(group[by]), group) for group in facts.get("groups", [])],
            ]
        ),
    )


@app.command()
def demo() -> None:
    """Make the demo: phantoms, indexed, and scored by the shipped checkpoints. What is there already is kept."""
    from core.demo import ensure_demo

    with bar() as progress:
        ensure_demo(lambda fraction, what: progress(round(1000 * fraction), 1000, what))


def _sentence(name: str, facts: dict) -> str:
    def shown(key: str, digits: int) -> str:
        value, low, high = facts[key], facts[f"{key}_low"], facts[f"{key}_high"]
        interval = f" ({low:.{digits}f}-{high:.{digits}f})" if low is not None else ""
        return "not estimable" if value is None else f"{value:.{digits}f}{interval}"

    return (
        f"{name}: {facts['n']} studies, {facts['n_abnormal']} abnormal; AUROC {shown('auroc', 3)}; "
        f"at {facts['threshold']:g} "
        f"sensitivity {shown('sensitivity', 3)}, specificity {shown('specificity', 3)}"
    )


def tell(facts: dict, as_json: bool, sentence: str) -> None:
    """One JSON object, or one sentence, on standard output."""
    typer.echo(json.dumps(facts, default=plain, allow_nan=False) if as_json else sentence)


def plain(value) -> object:
    """What JSON does not know: numpy's numbers as numbers, paths as text."""
    return value.item() if hasattr(value, "item") else str(value)


def pairs(columns: list[str]) -> dict[str, str]:
    """`ours=theirs` as a mapping. Wrong use exits with 2."""
    if bad := [text for text in columns if "=" not in text]:
        raise typer.BadParameter(f"--column {bad[0]}: expected ours=theirs, as in patient=patient_or_study_id.")
    return dict(text.split("=", 1) for text in columns)


@contextmanager
def bar() -> Iterator:
    """A progress callable (done, total, what), drawn on standard error where that is a terminal."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=messages, transient=True, disable=not messages.is_terminal) as drawn:
        task, last = drawn.add_task("", total=None), ""

        def step(done: int, total: int, what: str) -> None:
            nonlocal last
            if what != last:
                drawn.reset(task)
                last = what
            drawn.update(task, completed=done, total=total, description=what)

        yield step


def main() -> None:
    """Run a command. Exit status: 0, 2 for wrong use, 1 for anything else; a known error is one sentence."""
    try:
        app()
    except OverreadError as error:
        messages.print("[red]overread:[/red] ", end="")
        messages.print(str(error), markup=False)
        sys.exit(1)
    except KeyboardInterrupt:
        messages.print("stopped; what was finished is kept")
        sys.exit(1)


if __name__ == "__main__":
    main()
