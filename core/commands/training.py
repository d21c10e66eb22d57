"""Commands that train: train, recipes."""

from typing import Annotated

import typer

from core.commands.console import Device, Json, Name, bar, messages, tell


def train(
    recipe: Annotated[str, typer.Argument(help="A named recipe; `python -m core recipes` lists them.")],
    data: Name,
    out: Annotated[str, typer.Option(help="Folder, or a name under checkpoints/.")],
    settings: Annotated[list[str] | None, typer.Option("--set", help="key=value, may be repeated.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on after the last full epoch.")] = False,
    folds: Annotated[
        int,
        typer.Option(min=0, help="Train so many networks, each without its share of patients, and keep them as one."),
    ] = 0,
    allow_overlap: Annotated[
        bool,
        typer.Option(
            "--allow-patient-overlap", help="Train although patients stand in two splits; they count as train."
        ),
    ] = False,
    device: Device = "",
    as_json: Json = False,
) -> None:
    """Train a recipe on a data set into a checkpoint."""
    from core.data.index import read_dataset
    from core.paths import checkpoint_folder
    from core.training.recipe import named_recipe, with_settings

    chosen, dataset = with_settings(named_recipe(recipe), settings or []), read_dataset(data)
    from core.training.folds import train_folds
    from core.training.loop import train as run

    with bar() as progress:
        rest = (resume, progress, lambda text: messages.print(text, markup=False), device, allow_overlap)
        place = checkpoint_folder(out)
        checkpoint = train_folds(chosen, dataset, place, folds, *rest) if folds else run(chosen, dataset, place, *rest)
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


def recipes() -> None:
    """List the named recipes."""
    from core.training.recipe import RECIPES

    for recipe in RECIPES.values():
        typer.echo(f"{recipe.name}: {recipe.architecture}, {recipe.size} px, {recipe.epochs} epochs")
