"""Checks before a run starts: radiographs to learn from, a folder of its own, a state that can be resumed."""

import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from filelock import FileLock, Timeout

from core.among import among
from core.data.index import Dataset, conflicting_studies, read_index
from core.data.label_levels import IMAGE_LABEL, own_labels
from core.data.labels import read_labels, relabelled
from core.data.split import overlap_table
from core.errors import OverreadError, reason_of
from core.models.checkpoint import MANIFEST, RECIPE, read_manifest
from core.models.start_weights import start_checkpoint
from core.paths import unwritable
from core.plural import count_clause, count_text
from core.training.recipe import Recipe
from core.training.state import STATE_FILE, read_state


def training_rows(dataset: Dataset, allow_overlap: bool = False, labels: str = "") -> pd.DataFrame:
    """The labelled rows of train; `labels` names a revision of the labels after review.

    OverreadError where patients are in two splits, unless that is allowed, or where one class is missing.
    """
    index = read_index(dataset.name)
    crossing = overlap_table(index)
    if len(crossing) and not allow_overlap:
        shown = ", ".join(f"{row.group_id} in {row.splits}" for row in crossing.head(5).itertuples())
        more = f" and {len(crossing) - 5} more" if len(crossing) > 5 else ""
        raise OverreadError(
            f"More than one split has {count_text(len(crossing), 'patient')} of {dataset.name} ({shown}{more}); "
            "expected each in "
            "one. Move all radiographs of a patient to one side and index again, or train with "
            "--allow-patient-overlap.",
            code="patient-overlap",
        )
    if labels:
        index = relabelled(index, read_labels(dataset.name, labels))
    index = index[
        (index["split"] == "train") & index["label"].notna() & ~among(index["study_id"], conflicting_studies(index))
    ]
    if index["label"].nunique() < 2:
        raise OverreadError(
            f"The split train of {dataset.name} has {count_text(len(index), 'labelled radiograph')}, all of one "
            "label or none; "
            "expected normal and abnormal ones.",
            code="one-class-only",
        )
    return index.reset_index(drop=True)


def select_rows(index: pd.DataFrame, recipe: Recipe) -> pd.DataFrame:
    """The rows of the bones and folds that the recipe uses. OverreadError where a bone or a class is missing."""
    if absent := sorted(set(recipe.bones) - set(index["bone"].unique())):
        raise OverreadError(
            f"The recipe asks for {', '.join(absent)} and train has {', '.join(sorted(set(index['bone'])))}; choose "
            "from these bones.",
            code="bone-missing",
        )
    rows = index[index["bone"].isin(recipe.bones)] if recipe.bones else index
    rows = rows[~rows["fold"].isin(recipe.left_out)].reset_index(drop=True)
    if recipe.prevalence:
        rows = _at_prevalence(rows, recipe.prevalence, recipe.seed)
    if rows["label"].nunique() < 2:
        raise OverreadError(
            f"{count_clause(len(rows), 'labelled radiograph', 'remain')} for training, all of one label or none; "
            "expected normal and "
            "abnormal ones. Leave out fewer folds, or name other bones.",
            code="one-class-only",
        )
    return rows


def _at_prevalence(rows: pd.DataFrame, share: float, seed: int) -> pd.DataFrame:
    """The rows without so many abnormal studies, drawn by the seed, that `share` of the studies is abnormal."""
    studies = rows.drop_duplicates("study_id").set_index("study_id")["label"].sort_index()
    abnormal, normal = studies.index[studies == 1], int((studies == 0).sum())
    kept = round(share / (1 - share) * normal)
    if not 0 < kept <= len(abnormal):
        raise OverreadError(
            f"prevalence is {share:g} and train has {normal} normal and {count_text(len(abnormal), 'abnormal study')}, "
            f"which allow up to {len(abnormal) / max(len(studies), 1):.3f}. Set a share between 0 and that.",
            code="prevalence-unreachable",
        )
    chosen = np.random.default_rng(seed).permutation(len(abnormal))[:kept]
    return rows[(rows["label"] == 0) | among(rows["study_id"], abnormal[chosen])].reset_index(drop=True)


def with_learned_labels(rows: pd.DataFrame, dataset: Dataset, recipe: Recipe) -> pd.DataFrame:
    """The rows with the label that each radiograph learns: its study's or, by `label_level`, its own.

    OverreadError where radiographs have no label of their own, or one for evaluation only.
    """
    if recipe.label_level == "study":
        return rows
    if dataset.label_level != "image":
        judged = IMAGE_LABEL in rows
        found = f"keeps {IMAGE_LABEL} for evaluation only" if judged else "has labels of studies"
        raise OverreadError(
            f"label_level is 'image', and {dataset.name} {found}; expected a data set with --label-level image. Train "
            "with label_level=study.",
            code="truth-never-trains" if judged else "image-labels-missing",
        )
    return rows.assign(label=own_labels(rows))


def learned_before(rows: pd.DataFrame, weights: str) -> np.ndarray:
    """Whether the checkpoint that a recipe's `weights` names has learned from each row, bool [n]."""
    start = start_checkpoint(weights)
    if start is None:
        return np.zeros(len(rows), bool)
    return (rows["sha1"].map(start.learned()) == "train").to_numpy()


def with_start(learned: pd.DataFrame, weights: str) -> pd.DataFrame:
    """The rows of learned.parquet with those of the checkpoint that `weights` names: the new one knows them as well."""
    start = start_checkpoint(weights)
    if start is None:
        return learned
    before = start.learned().rename_axis("sha1").rename("part").reset_index()
    return pd.concat([learned, before[~among(before["sha1"], learned["sha1"]) | (before["part"] == "train")]])


def check_folder(out: Path, recipe: Recipe, dataset: Dataset, resume: bool, killed: bool = False) -> None:
    """OverreadError where the folder has another run, or where a resumed run began with other choices.

    A run killed before its first epoch was saved has no state: resumed, it begins again. killed: an earlier run was
    killed here; it may not even have written its recipe, as while it decoded the radiographs.
    """
    if resume and killed and not any((out / name).exists() for name in (MANIFEST, STATE_FILE, RECIPE)):
        return
    if not resume:
        if (out / MANIFEST).exists() or (out / STATE_FILE).exists():
            raise OverreadError(
                f"{out} already holds a checkpoint; continue it with --resume, or choose another --out.",
                code="checkpoint-exists",
            )
        return
    has_state = (out / STATE_FILE).exists() or not (out / RECIPE).exists() or _is_complete(out)
    index_hash = read_state(out).index_hash if has_state else dataset.index_hash
    try:
        before = Recipe.from_json((out / RECIPE).read_text(errors="replace"))
    except (OSError, ValueError) as error:
        raise OverreadError(
            f"{out / RECIPE} cannot be read ({reason_of(error)}); restore it, or train again.", code="recipe-unreadable"
        ) from error
    if before.augmentation != recipe.augmentation:
        raise OverreadError(
            f"{out} began with the augmentation {before.augmentation.hash()}, and this one is "
            f"{recipe.augmentation.hash()}; resume with the same augmentation, or train into a new folder.",
            code="augmentation-changed",
        )
    if before != recipe:
        raise OverreadError(
            f"{out} began with another recipe ({before.name}); resume with the same recipe and settings, "
            "or train into a new folder.",
            code="recipe-changed",
        )
    if index_hash != dataset.index_hash:
        raise OverreadError(
            f"{out} began on another index of {dataset.name}; train into a new folder.", code="index-changed"
        )


def _is_complete(out: Path) -> bool:
    return (out / MANIFEST).exists() and bool(read_manifest(out).get("complete"))


@contextmanager
def exclusive_folder(out: Path) -> Iterator[bool]:
    """Lock the folder for this run; the value says whether an earlier run in it was killed.

    OverreadError if another process is writing to it.
    """
    lock = FileLock(out / ".lock", timeout=0)
    # A run that ends by itself removes its lock, also after an error.
    killed = (out / ".lock").exists()
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise OverreadError(
            f"Another run is writing to {out}; wait for it, or choose another --out.", code="folder-busy"
        ) from error
    except OSError as error:
        raise unwritable(out, error) from error
    for half in out.glob(".*.tmp"):  # left by a killed run; no other process writes here now
        with suppress(OSError):
            half.unlink()
    try:
        yield killed
    finally:
        lock.release()
        with suppress(OSError):
            (out / ".lock").unlink()
            out.rmdir()  # succeeds only where nothing was written


def run_manifest(recipe: Recipe, dataset: Dataset, parameters: int, precision: str) -> dict:
    """The part of the manifest that is known before a run begins. parameters: their number in the network."""
    import timm

    start = start_checkpoint(recipe.weights)
    return {
        **({"start": start.reference} if start else {}),
        "dataset": dataset.name,
        "index_hash": dataset.index_hash,
        "phantom": dataset.phantom,
        "recipe": recipe.name,
        "labels": recipe.labels,
        **({"radiograph_weights": recipe.radiograph_weights} if recipe.radiograph_weights else {}),
        "augmentation_hash": recipe.augmentation.hash(),
        "parameters": parameters,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "complete": False,
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "timm": timm.__version__},
        "precision": precision,
    }
