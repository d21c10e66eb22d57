"""What must hold before a run starts: rows to learn from, a folder of its own, a state to go on from."""

import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import torch
from filelock import FileLock, Timeout

from core.data.index import Dataset, conflicting_studies, read_index
from core.data.labels import read_labels, relabelled
from core.data.split import overlap_table
from core.errors import OverreadError
from core.models.checkpoint import MANIFEST, RECIPE, WEIGHTS, file_hash, read_manifest
from core.paths import unwritable
from core.training.recipe import Recipe
from core.training.state import FILE, read_facts


def trainable(dataset: Dataset, allow_overlap: bool = False, labels: str = "") -> pd.DataFrame:
    """The labelled rows of train; with `labels` by that revision after review.

    OverreadError where patients stand in two splits, unless that is allowed, or where nothing can be learned.
    """
    index = read_index(dataset.name)
    crossing = overlap_table(index)
    if len(crossing) and not allow_overlap:
        shown = ", ".join(f"{row.group_id} in {row.splits}" for row in crossing.head(5).itertuples())
        more = f" and {len(crossing) - 5} more" if len(crossing) > 5 else ""
        raise OverreadError(
            f"{len(crossing)} patients of {dataset.name} stand in more than one split ({shown}{more}); expected each "
            "in one. Put all of a patient's radiographs on one side and index again, or train all the same with "
            "--allow-patient-overlap."
        )
    if labels:
        index = relabelled(index, read_labels(dataset.name, labels))
    index = index[
        (index["split"] == "train") & index["label"].notna() & ~index["study_id"].isin(conflicting_studies(index))
    ]
    if index["label"].nunique() < 2:
        raise OverreadError(
            f"Data set {dataset.name} has {len(index)} labelled radiographs to train on, all of one kind or none; "
            "expected normal and abnormal ones in the split train."
        )
    return index.reset_index(drop=True)


def considered(index: pd.DataFrame, recipe: Recipe) -> pd.DataFrame:
    """The rows of the bones and folds that the recipe looks at. OverreadError where a bone is not there."""
    if absent := sorted(set(recipe.bones) - set(index["bone"])):
        raise OverreadError(
            f"The recipe asks for {', '.join(absent)} and train has {', '.join(sorted(set(index['bone'])))}; choose "
            "bones that are there."
        )
    rows = index[index["bone"].isin(recipe.bones)] if recipe.bones else index
    rows = rows[~rows["fold"].isin(recipe.left_out)].reset_index(drop=True)
    if rows["label"].nunique() < 2:
        raise OverreadError(
            f"{len(rows)} labelled radiographs are left to train on, all of one kind or none; expected normal and "
            "abnormal ones. Leave out fewer folds, or name other bones."
        )
    return rows


def check_place(out: Path, recipe: Recipe, dataset: Dataset, resume: bool) -> None:
    """OverreadError where the folder holds another run, or a resumed one that began differently.

    A run that was killed before its first epoch was kept has no state: resumed, it begins again.
    """
    if resume:
        begun = (out / FILE).exists() or not (out / RECIPE).exists() or _complete(out)
        facts = read_facts(out) if begun else {"index_hash": dataset.index_hash}
        try:
            before = Recipe.from_json((out / RECIPE).read_text())
        except (OSError, ValueError) as error:
            raise OverreadError(f"{out / RECIPE} cannot be read ({error}); restore it, or train again.") from error
        if before.augmentation != recipe.augmentation:
            raise OverreadError(
                f"{out} was begun with the augmentation {before.augmentation.hash()}, and the one named now is "
                f"{recipe.augmentation.hash()}; resume with the same one, or train into a new folder."
            )
        if before != recipe:
            raise OverreadError(
                f"{out} was begun with another recipe ({before.name}); resume with the same recipe and settings, "
                "or train into a new folder."
            )
        if facts["index_hash"] != dataset.index_hash:
            raise OverreadError(
                f"{out} was begun on another index than {dataset.name} has now; train into a new folder."
            )
    elif (out / MANIFEST).exists() or (out / FILE).exists():
        raise OverreadError(f"{out} already holds a checkpoint; go on with --resume, or choose another --out.")


def _complete(out: Path) -> bool:
    return (out / MANIFEST).exists() and bool(read_manifest(out).get("complete"))


@contextmanager
def alone(out: Path) -> Iterator[None]:
    """Keep the folder to this run. OverreadError where another one has it."""
    lock = FileLock(out / ".lock", timeout=0)
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise OverreadError(f"Another run is writing to {out}; wait for it, or choose another --out.") from error
    except OSError as error:
        raise unwritable(out, error) from error
    for half in out.glob(".*.tmp"):  # what a killed run was writing; nobody else writes here now
        with suppress(OSError):
            half.unlink()
    try:
        yield
    finally:
        lock.release()
        with suppress(OSError):
            (out / ".lock").unlink()
            out.rmdir()  # where nothing was written; a folder that holds something stays


def caught_up(facts: dict, out: Path) -> dict:
    """The facts, or what the manifest says where a kill came after an epoch's weights and before its state.

    A manifest that names new weights while the old ones still lie there says nothing yet: the epoch will be kept anew.
    """
    manifest = read_manifest(out)
    if manifest.get("epoch", 0) <= facts["epoch"] + 1 or file_hash(out / WEIGHTS) != manifest["weights"][-1]:
        return facts
    return {**facts, "manifest": manifest, "best": manifest["judged"]}


def stop_early(recipe: Recipe, judged: list[float]) -> bool:
    """Whether the last `patience` epochs brought nothing better than the ones before them."""
    waited = recipe.patience and len(judged) > recipe.patience
    return bool(waited) and max(judged[-recipe.patience :]) <= max(judged[: -recipe.patience])


def left(facts: dict, recipe: Recipe) -> str:
    """How good the best epoch is and how long the rest may take, in words; '' before the first."""
    rows = facts["history"]
    if not rows:
        return ""
    best = max(row["tune_auroc"] for row in rows)
    found = f", best AUROC {best:.3f}" if best == best else ""
    mean = sum(row["seconds"] for row in rows) / len(rows)
    return f"{found}, about {duration(mean * (recipe.epochs - len(rows)))} left"


def duration(seconds: float) -> str:
    """`40 s`, `12 min`, `3.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def about(recipe: Recipe, dataset: Dataset, model, precision: str) -> dict:
    """What the manifest says of a run besides its files."""
    count = sum(parameter.numel() for parameter in model.parameters())
    return run_facts(recipe, dataset, count) | {"precision": precision}


def run_facts(recipe: Recipe, dataset: Dataset, parameters: int) -> dict:
    """What is known of a run before it has begun."""
    import timm

    return {
        "dataset": dataset.name,
        "index_hash": dataset.index_hash,
        "phantom": dataset.phantom,
        "recipe": recipe.name,
        "labels": recipe.labels,
        "augmentation_hash": recipe.augmentation.hash(),
        "parameters": parameters,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "complete": False,
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "timm": timm.__version__},
    }
