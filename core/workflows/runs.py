"""Queue a training run, continue it, or estimate what it would cost."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict

from core import jobs
from core.data.index import Dataset, read_dataset
from core.errors import OverreadError
from core.models.checkpoint import MANIFEST, WEIGHTS, Checkpoint
from core.paths import checkpoint_folder, checkpoint_roots
from core.training.recipe import Recipe, with_settings
from core.training.recipes import RECIPES, named_recipe
from core.training.run_estimate import RunEstimate, read_estimate, write_estimate


def enqueue_run(
    recipe: str, data: str, out: str, settings: Sequence[str] = (), folds: int = 0, resume: bool = False
) -> jobs.Job:
    """Queue `python -m core train` with these arguments.

    OverreadError before anything is queued: an unknown recipe, setting or data set, a folder that holds a checkpoint,
    or a run into the same folder that is waiting or running.
    """
    with_settings(named_recipe(recipe), list(settings))
    dataset, folder = read_dataset(data), checkpoint_folder(out)
    if not resume and ((folder / MANIFEST).exists() or (folder / WEIGHTS).exists()):
        raise OverreadError(
            f"{folder} already holds a checkpoint; resume it, or choose another name.", code="checkpoint-exists"
        )
    arguments = {
        "recipe": recipe,
        "data": data,
        "out": out,
        "settings": list(settings),
        "folds": folds,
        "resume": resume,
    }
    return jobs.enqueue("training", arguments, {"data": data, "index_hash": dataset.index_hash})


def resume_run(job: jobs.Job) -> jobs.Job:
    """Queue a stopped, failed or interrupted run again: resumed where it left a folder, else from the beginning."""
    return enqueue_run(**{**job.arguments, "resume": checkpoint_folder(job.arguments["out"]).exists()})


def continue_run(job: jobs.Job, epochs: int) -> jobs.Job:
    """Queue more epochs of a finished run: a new run with its settings that begins from its weights.

    The new checkpoint is called `OUT-more`, or -more-2 and so on. OverreadError for an ensemble, which has no weights
    that one network could begin from.
    """
    asked = job.arguments
    if asked["folds"]:
        raise OverreadError(
            f"{asked['out']} is an ensemble of {asked['folds']} networks; only a run of one network can be continued. "
            "Train it with more epochs instead.",
            code="continue-ensemble",
        )
    kept = [line for line in asked["settings"] if line.partition("=")[0].strip() not in ("epochs", "weights")]
    settings = [*kept, f"epochs={epochs}", f"weights={asked['out']}"]
    return enqueue_run(asked["recipe"], asked["data"], free_name(f"{asked['out']}-more"), settings)


def free_name(wanted: str) -> str:
    """The name, or the name with the first number that no checkpoint has."""
    name, number = wanted, 2
    while any((root / name).exists() for root in checkpoint_roots()):
        name, number = f"{wanted}-{number}", number + 1
    return name


def settings_between(recipe: Recipe, changed: Recipe) -> list[str]:
    """The `key=value` settings that make `changed` of a recipe: the inverse of `with_settings`, the name aside."""
    before, after = asdict(recipe), asdict(changed)
    settings = []
    for name, value in after.items():
        if name == "augmentation":
            settings += [
                f"augmentation.{key}={json.dumps(one)}" for key, one in value.items() if one != before[name][key]
            ]
        elif name != "name" and value != before[name]:
            settings.append(f"{name}={value if isinstance(value, str) else json.dumps(value)}")
    return settings


def estimate(
    recipe: Recipe,
    dataset: Dataset,
    device: str = "",
    progress: Callable[[int, int, str], None] | None = None,
) -> RunEstimate:
    """Time and memory of a run, measured on a few of its steps and stored; a job that every page can see and stop."""
    from core.training.estimate import estimate_run  # torch

    settings = settings_between(RECIPES[recipe.name], recipe) if recipe.name in RECIPES else []
    with jobs.at_work("estimate", _estimate_arguments(recipe.name, dataset, settings), dataset.record()) as reporter:
        found = estimate_run(recipe, dataset, device, jobs.stoppable(reporter, progress))
    write_estimate(recipe, dataset, found)
    return found


def enqueue_estimate(recipe: str, dataset: Dataset, settings: list[str]) -> jobs.Job:
    """Queue `python -m core estimate`. OverreadError where it is being estimated already, or a setting is unknown."""
    with_settings(named_recipe(recipe), settings)
    return jobs.enqueue("estimate", _estimate_arguments(recipe, dataset, settings), dataset.record())


def find_estimate(recipe: Recipe, dataset: Dataset) -> RunEstimate | None:
    """The stored estimate of a recipe on an index; None without one."""
    return read_estimate(recipe, dataset)


def find_estimate_job(dataset: Dataset) -> jobs.Job | None:
    """The newest job that estimates a run on this index, running or ended; None without one."""
    return jobs.find("estimate", **dataset.record())


def finished_checkpoint(job: jobs.Job, whole: dict[str, Checkpoint]) -> Checkpoint | None:
    """The checkpoint that a finished training job wrote, among these; None for other jobs."""
    if job.state != "done":
        return None
    folder = checkpoint_folder(job.arguments["out"])
    return next((found for found in whole.values() if found.folder == folder), None)


def _estimate_arguments(recipe: str, dataset: Dataset, settings: list[str]) -> dict:
    return {"recipe": recipe, "data": dataset.name, "settings": list(settings)}
