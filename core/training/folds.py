"""Out-of-fold: as many networks as folds, each judged on the patients that it never saw, then all of them as one."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors.torch import load_file

from core.data.index import Dataset
from core.errors import OverreadError
from core.metrics.ranking import auroc
from core.metrics.studies import labelled, study_table
from core.models.checkpoint import (
    MANIFEST,
    PREDICTIONS,
    WEIGHTS,
    Checkpoint,
    begin_checkpoint,
    read_checkpoint,
    read_manifest,
    save_weights,
    write_manifest,
)
from core.scores.predict import predict
from core.scores.predictions import store_predictions
from core.training.loop import Progress, train
from core.training.margins import MARGINS, mean_margins, read_margins, write_margins
from core.training.parallel import alone_or_refuse
from core.training.preflight import alone, run_facts, trainable
from core.training.recipe import Recipe
from core.training.state import FILE

MEMBERS = "members"


def train_folds(
    recipe: Recipe,
    dataset: Dataset,
    out: Path,
    folds: int,
    resume: bool = False,
    progress: Progress | None = None,
    say: Callable[[str], None] = lambda text: None,
    device: str = "",
    allow_overlap: bool = False,
) -> Checkpoint:
    """Train `folds` networks and keep them as one checkpoint, an ensemble.

    Each leaves its own share of train's patients out altogether and chooses its epoch on a fold of the next share.
    The ensemble's scores of train's radiographs, split `tune`, are those of the one member that left them out; any
    other radiograph gets the mean of all logits. What was done is found again with `resume`, a member at a time.
    """
    alone_or_refuse("train --folds")
    index = trainable(dataset, allow_overlap, recipe.labels)
    shares = _shares(index, folds)
    with alone(out):
        if (out / MANIFEST).exists():
            raise OverreadError(f"{out} already holds a checkpoint; choose another --out.")
        if (out / MEMBERS).exists() and not resume:
            raise OverreadError(f"{out} holds members of an unfinished ensemble; go on with --resume.")
        members = []
        for number, share in enumerate(shares):
            say(f"member {number + 1} of {folds}: without the folds {', '.join(map(str, share))}")
            following = shares[(number + 1) % folds]
            own = replace(recipe, left_out=share, holdout_fold=following[0])
            folder = out / MEMBERS / f"fold{number}"
            members.append(_member(own, dataset, folder, resume, progress, say, device, allow_overlap))
        checkpoint = _joined(recipe, dataset, out, members, index, shares)
        scores = predict(checkpoint, dataset, None, progress, device)
        store_predictions(scores, checkpoint, dataset, out / PREDICTIONS)
        _describe(checkpoint, scores, say)
        shutil.rmtree(out / MEMBERS)
    return read_checkpoint(out)


def _shares(index: pd.DataFrame, folds: int) -> list[tuple[int, ...]]:
    """The index's own folds dealt into `folds` shares. OverreadError where there are too few."""
    there = sorted(index["fold"].unique().tolist())
    if not 2 <= folds <= len(there):
        raise OverreadError(
            f"--folds is {folds} and the index has {len(there)} folds in train; expected 2 to {len(there)}, "
            "or index again with more --folds."
        )
    return [tuple(there[start::folds]) for start in range(folds)]


def _member(recipe, dataset, folder: Path, resume, progress, say, device, allow_overlap) -> Checkpoint:
    """One network, taken up where it was left."""
    if (folder / MANIFEST).exists() and read_manifest(folder).get("complete"):
        found = read_checkpoint(folder)
        if Recipe.from_json(json.dumps(found.recipe)) != recipe:
            raise OverreadError(f"{folder} was trained with another recipe; resume with the same one, or start anew.")
        return found
    going = (folder / FILE).exists()
    if folder.exists() and not going:
        shutil.rmtree(folder)  # it never ended an epoch
    return train(recipe, dataset, folder, resume and going, progress, say, device, allow_overlap)


def _joined(
    recipe: Recipe, dataset: Dataset, out: Path, members: list[Checkpoint], index: pd.DataFrame, shares: list[tuple]
) -> Checkpoint:
    """The members' weights in one file, and who did not learn from what."""
    described = [{key: member.recipe[key] for key in ("architecture", "model_kwargs")} for member in members]
    whole = replace(recipe, architecture="ensemble", model_kwargs={"members": described}, weights="")
    member_of = {fold: number for number, share in enumerate(shares) for fold in share}
    learned = index.assign(part="tune", member=index["fold"].map(member_of))
    state = {
        f"members.{number}.{name}": value
        for number, member in enumerate(members)
        for name, value in load_file(member.folder / WEIGHTS).items()
    }
    manifest = begin_checkpoint(out, whole.to_json(), whole.input_spec(), learned)
    manifest |= run_facts(recipe, dataset, sum(member.manifest["parameters"] for member in members))
    manifest |= {
        "precision": members[0].manifest["precision"],
        "members": [member.reference for member in members],
        "epoch": max(member.manifest["epoch"] for member in members),
    }
    if all((member.folder / MARGINS).exists() for member in members):
        write_margins(out, mean_margins([read_margins(member) for member in members]))
    save_weights(out, manifest, state)
    return read_checkpoint(out)


def _describe(checkpoint: Checkpoint, scores: pd.DataFrame, say: Callable[[str], None]) -> None:
    studies = labelled(study_table(scores[scores["split"] == "tune"]))
    area = auroc(studies["score"].to_numpy(), studies["label"].to_numpy())
    value = area.value if np.isfinite(area.value) else None
    write_manifest(checkpoint.folder, {**checkpoint.manifest, "tune_auroc": value, "complete": True})
    say(f"out-of-fold study AUROC {area.value:.3f} ({area.low:.3f}-{area.high:.3f}), n = {len(studies)}")
