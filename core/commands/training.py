"""Commands for training: train, sweep, recipes."""

from typing import Annotated

import typer

from core.commands.console import Device, Json, Name, messages, print_result, progress_bar
from core.plural import count_text


def train(
    recipe: Annotated[str, typer.Argument(help="A named recipe; `python -m core recipes` lists them.")],
    data: Name,
    out: Annotated[str, typer.Option(help="Name of the checkpoint, in OVERREAD_HOME/checkpoints, or its folder.")],
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Setting of the recipe, as key=value; may be repeated.")
    ] = None,
    augmentation: Annotated[
        str,
        typer.Option(
            metavar="NAME|FILE", help="A preset, a saved augmentation or a JSON file; NAME@HASH also checks its hash."
        ),
    ] = "",
    resume: Annotated[bool, typer.Option("--resume", help="Continue a run after its last complete epoch.")] = False,
    folds: Annotated[
        int,
        typer.Option(
            min=0,
            help="Train an ensemble of this many networks, each without one fold of the patients (0: one network).",
        ),
    ] = 0,
    allow_overlap: Annotated[
        bool,
        typer.Option(
            "--allow-patient-overlap",
            help="Train even if patients are in two splits; all their studies count as train.",
        ),
    ] = False,
    labels: Annotated[
        str, typer.Option(metavar="REVISION", help="Train on this revision of the labels: a number, or 'latest'.")
    ] = "",
    tensorboard: Annotated[
        bool,
        typer.Option(
            "--tensorboard", help="Also write TensorBoard event files, to events/ in the checkpoint's folder."
        ),
    ] = False,
    queue: Annotated[
        bool, typer.Option("--queue", help="Queue the run like the Runs page, and return at once.")
    ] = False,
    device: Device = "",
    as_json: Json = False,
) -> None:
    """Train a recipe on a data set and write a checkpoint."""
    from dataclasses import replace

    if queue:
        if augmentation or labels or tensorboard or allow_overlap or device:
            raise typer.BadParameter(
                "--queue takes --set, --folds and --resume only; leave the other options out, or train without it."
            )
        _queue(recipe, data, out, settings or [], folds, resume, as_json)
        return
    from core.data.index import read_dataset
    from core.paths import checkpoint_folder
    from core.training.recipe import with_settings
    from core.training.recipes import named_recipe, with_augmentation

    chosen = with_augmentation(with_settings(named_recipe(recipe), settings or []), augmentation, settings or [])
    dataset = read_dataset(data)
    if labels:
        from core.review.label_revisions import find_revision
        from core.review.store import open_store

        chosen = replace(chosen, labels=find_revision(open_store(), data, labels).reference)
    if tensorboard and folds:
        raise typer.BadParameter("--tensorboard records one network; leave out --folds.")
    from core.training.folds import train_folds
    from core.training.loop import train as run
    from core.training.options import RunOptions
    from core.training.parallel import leads
    from core.training.tensorboard import event_files

    folder = checkpoint_folder(out)
    with event_files(folder / "events" if tensorboard and leads() else None) as watch, progress_bar() as progress:
        options = RunOptions(resume, device, allow_overlap, progress, print_message, watch)
        if folds:
            checkpoint = train_folds(chosen, dataset, folder, folds, options)
        else:
            checkpoint = run(chosen, dataset, folder, options)
    if not leads():
        return
    facts = {
        "checkpoint": str(checkpoint.folder),
        "reference": checkpoint.reference,
        "epoch": checkpoint.manifest["epoch"],
        "tune_auroc": checkpoint.manifest["tune_auroc"],
    }
    print_result(
        facts,
        as_json,
        f"{checkpoint.folder}: best epoch {facts['epoch']}, "
        f"tuning study AUROC {'not estimable' if facts['tune_auroc'] is None else format(facts['tune_auroc'], '.3f')}",
    )


def _queue(recipe: str, data: str, out: str, settings: list[str], folds: int, resume: bool, as_json: bool) -> None:
    from dataclasses import asdict

    from core.workflows.runs import enqueue_run

    job = enqueue_run(recipe, data, out, settings, folds, resume)
    print_result({"job": asdict(job)}, as_json, f"queued as {job.id}; watch it on the Runs page")


def sweep(
    recipe: Annotated[str, typer.Argument(help="A named recipe; `python -m core recipes` lists them.")],
    data: Name,
    name: Annotated[str, typer.Option(help="Name of the sweep; the names of its runs begin with it.")],
    grid: Annotated[
        list[str] | None,
        typer.Option(help="Values to try, as key=value,value; may be repeated. Every combination is trained."),
    ] = None,
    question: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Answer a question instead of a grid: labels, pooling, balance or suspects. Its variants are "
            "trained, and each figure is compared with that of the first.",
        ),
    ] = "",
    truth_data: Annotated[
        str,
        typer.Option(
            metavar="DATA",
            help="With --question labels or suspects: the same radiographs indexed with --label-level image, for the "
            "variant that trains on labels of radiographs.",
        ),
    ] = "",
    weights: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME@HASH",
            help="With --question suspects: weights of radiographs that label-audit --weights stored; may be repeated.",
        ),
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Setting of every run, as key=value; may be repeated.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Number of seeds for each combination.")] = 1,
    split: Annotated[str, typer.Option(help="Split on which the combinations are compared.")] = "tune",
    resume: Annotated[bool, typer.Option("--resume", help="Continue a sweep of this name that was stopped.")] = False,
    device: Device = "",
    as_json: Json = False,
) -> None:
    """Train every combination of settings, and report which differences are larger than chance."""
    from core.data.index import read_dataset
    from core.scores.json_values import json_values
    from core.training.recipe import with_settings
    from core.training.recipes import named_recipe

    if bool(grid) == bool(question):
        raise typer.BadParameter("Pass --grid key=value,value, or --question NAME, and not both.")
    if grid and weights:
        raise typer.BadParameter("--weights belongs to --question suspects; leave it out with --grid.")
    chosen, dataset = with_settings(named_recipe(recipe), settings or []), read_dataset(data)
    from core.training.options import RunOptions
    from core.training.questions import Scope, find_question, run_question
    from core.training.sweep import run_sweep

    own = read_dataset(truth_data) if truth_data else None
    with progress_bar() as progress:
        options = RunOptions(resume, device, progress=progress, say=print_message)
        if question:
            scope = Scope(seeds, split, own, tuple(weights or ()))
            table = run_question(chosen, dataset, name, find_question(question), scope, options)
        else:
            table = run_sweep(chosen, dataset, name, grid or [], seeds, split, options)
    if question:
        rows = table.to_dict("records")
        facts = {"name": name, "question": question, "split": split, "rows": rows}
        print_result(json_values(facts), as_json, "\n".join(map(_figure_line, rows)))
        return
    keys = [entry.partition("=")[0].strip() for entry in grid or []]
    print_result(
        json_values({"name": name, "split": split, "rows": table.to_dict("records")}),
        as_json,
        "\n".join(line_of(row, keys) for row in table.to_dict("records")),
    )


def estimate(
    recipe: Annotated[str, typer.Argument(help="A named recipe; `python -m core recipes` lists them.")],
    data: Name,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Setting of the recipe, as key=value; may be repeated.")
    ] = None,
    folds: Annotated[int, typer.Option(min=0, help="Number of networks of an ensemble (0: one network).")] = 0,
    device: Device = "",
    as_json: Json = False,
) -> None:
    """Estimate the time and memory of a training run from a few of its steps, before it starts."""
    from dataclasses import asdict

    from core.data.index import read_dataset
    from core.training.recipe import with_settings
    from core.training.recipes import named_recipe
    from core.workflows.runs import estimate as measure

    chosen, dataset = with_settings(named_recipe(recipe), settings or []), read_dataset(data)
    with progress_bar() as progress:
        found = measure(chosen, dataset, device, progress)
    print_result({**asdict(found), "seconds": found.seconds(folds)}, as_json, f"{found.text(folds)} {found.basis}")


def print_message(text: str) -> None:
    """Print a message of a run on standard error."""
    messages.print(text, markup=False)


def line_of(row: dict, keys: list[str]) -> str:
    """One combination in one line."""
    interval = f" ({row['auroc_low']:.3f}-{row['auroc_high']:.3f})" if row["auroc_low"] == row["auroc_low"] else ""
    behind = (
        f", {row['behind']:.3f} ({row['behind_low']:.3f}-{row['behind_high']:.3f}) behind, p = {row['p_holm']:.3g}"
        if row["p"] == row["p"]
        else ""
    )
    settings = " ".join(f"{key}={row[key]}" for key in keys)
    return f"{settings}: AUROC {row['auroc']:.3f}{interval}{behind}: {row['verdict']}"


def _figure_line(row: dict) -> str:
    """One figure of one variant of a question in one line."""
    from core.metrics.compare import p_words

    known, other = row["low"] == row["low"], row["difference"] == row["difference"]
    interval = f" ({row['low']:.3f}-{row['high']:.3f})" if known else ""
    change = (
        f", difference {row['difference']:+.3f} ({row['difference_low']:+.3f} to {row['difference_high']:+.3f}), "
        f"adjusted {p_words(row['p_holm'])}"
        if other
        else ""
    )
    return f"{row['figure']}, {row['variant']}: {row['value']:.3f}{interval}{change}"


def recipes() -> None:
    """List the named recipes."""
    from core.training.recipes import DESCRIPTIONS, RECIPES

    for recipe in RECIPES.values():
        facts = f"{recipe.architecture}, {recipe.size} px, {count_text(recipe.epochs, 'epoch')}"
        typer.echo(f"{recipe.name}: {facts}. {DESCRIPTIONS[recipe.name]}")
