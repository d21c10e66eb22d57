"""Queue a training run."""

from core import jobs
from core.data.index import read_dataset
from core.errors import OverreadError
from core.models.checkpoint import MANIFEST, WEIGHTS
from core.paths import checkpoint_folder
from core.training.recipe import with_settings
from core.training.recipes import named_recipe


def enqueue_run(
    recipe: str, data: str, out: str, settings: list[str] = (), folds: int = 0, resume: bool = False
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
