"""Cross-validation: one network for each fold, scored on the patients it never saw, and all of them as an ensemble."""

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
from core.plural import count_text
from core.scores.predict import predict
from core.scores.predictions import store_predictions
from core.scores.source import source_of
from core.training.loop import train
from core.training.margins import MARGINS, mean_margins, read_margins, write_margins
from core.training.options import RunOptions
from core.training.parallel import refuse_several_processes
from core.training.preflight import exclusive_folder, learned_before, run_manifest, training_rows
from core.training.recipe import Recipe
from core.training.state import STATE_FILE

MEMBERS = "members"


def train_folds(
    recipe: Recipe, dataset: Dataset, out: Path, folds: int, options: RunOptions = RunOptions()
) -> Checkpoint:
    """Train `folds` networks and save them as one checkpoint, an ensemble.

    Each network leaves out its own share of the patients of train and chooses its epoch on one fold of the next share.
    A radiograph of train, split `tune` in the ensemble's scores, gets the score of the one member that left it out.
    Any other radiograph gets the mean logit of all members. With `resume` finished members are kept. OverreadError
    where the folder has other runs, or where the start weights learned from all folds.
    """
    refuse_several_processes("train --folds")
    index = training_rows(dataset, options.allow_overlap, recipe.labels)
    shares = _shares(index, folds)
    if known := int(learned_before(index, recipe.weights).sum()):
        raise OverreadError(
            f"{recipe.weights} has learned from {known} of the {count_text(len(index), 'training radiograph')}, so "
            "no fold would be "
            "scored by a network that never saw it. Begin from other weights, or train without --folds.",
            code="folds-start-learned",
        )
    with exclusive_folder(out):
        if (out / MANIFEST).exists():
            raise OverreadError(f"{out} already holds a checkpoint; choose another --out.", code="checkpoint-exists")
        if (out / MEMBERS).exists() and not options.resume:
            raise OverreadError(
                f"{out} holds members of an unfinished ensemble; continue it with --resume.", code="ensemble-unfinished"
            )
        members = []
        for number, share in enumerate(shares):
            options.say(f"member {number + 1} of {folds}: without the folds {', '.join(map(str, share))}")
            following = shares[(number + 1) % folds]
            own = replace(recipe, left_out=share, holdout_fold=following[0])
            members.append(_train_member(own, dataset, out / MEMBERS / f"fold{number}", options))
        checkpoint = _join_members(recipe, dataset, out, members, _learned_rows(index, shares))
        scores = predict(source_of(checkpoint, dataset), None, options.progress, options.device)
        store_predictions(scores, out / PREDICTIONS)
        _complete(checkpoint, scores, options.say)
        shutil.rmtree(out / MEMBERS)
    return read_checkpoint(out)


def _shares(index: pd.DataFrame, folds: int) -> list[tuple[int, ...]]:
    """The folds of the index dealt into `folds` shares. OverreadError where there are too few."""
    found = sorted(index["fold"].unique().tolist())
    if not 2 <= folds <= len(found):
        raise OverreadError(
            f"--folds is {folds} and the index has {count_text(len(found), 'fold')} in train; expected 2 to "
            f"{len(found)}, "
            "or index again with more --folds.",
            code="folds-out-of-range",
        )
    return [tuple(found[start::folds]) for start in range(folds)]


def _train_member(recipe: Recipe, dataset: Dataset, folder: Path, options: RunOptions) -> Checkpoint:
    """One network: read where it is finished, resumed where it was stopped."""
    if (folder / MANIFEST).exists() and read_manifest(folder).get("complete"):
        found = read_checkpoint(folder)
        if Recipe.from_json(json.dumps(found.recipe)) != recipe:
            raise OverreadError(
                f"{folder} was trained with another recipe; resume with the same recipe, or start again in another "
                f"folder.",
                code="recipe-changed",
            )
        return found
    started = (folder / STATE_FILE).exists()
    if folder.exists() and not started:
        shutil.rmtree(folder)  # it had not finished an epoch
    return train(recipe, dataset, folder, replace(options, resume=options.resume and started))


def _learned_rows(index: pd.DataFrame, shares: list[tuple[int, ...]]) -> pd.DataFrame:
    """The index with `part` and `member`, the network that did not learn from the radiograph."""
    member_of = {fold: number for number, share in enumerate(shares) for fold in share}
    return index.assign(part="tune", member=index["fold"].map(member_of))


def _join_members(
    recipe: Recipe, dataset: Dataset, out: Path, members: list[Checkpoint], learned: pd.DataFrame
) -> Checkpoint:
    """Write the weights of all members to one checkpoint, not marked as complete yet."""
    described = [{key: member.recipe[key] for key in ("architecture", "model_kwargs")} for member in members]
    whole = replace(recipe, architecture="ensemble", model_kwargs={"members": described}, weights="")
    state = {
        f"members.{number}.{name}": value
        for number, member in enumerate(members)
        for name, value in load_file(member.folder / WEIGHTS).items()
    }
    parameters = sum(member.manifest["parameters"] for member in members)
    manifest = begin_checkpoint(out, whole.to_json(), whole.input_spec(), learned)
    manifest |= run_manifest(recipe, dataset, parameters, members[0].manifest["precision"])
    manifest |= {
        "members": [member.reference for member in members],
        "epoch": max(member.manifest["epoch"] for member in members),
    }
    if all((member.folder / MARGINS).exists() for member in members):
        write_margins(out, mean_margins([read_margins(member) for member in members]))
    save_weights(out, manifest, state)
    return read_checkpoint(out)


def _complete(checkpoint: Checkpoint, scores: pd.DataFrame, say: Callable[[str], None]) -> None:
    """Mark the checkpoint as complete, with the AUROC of its out-of-fold scores."""
    studies = labelled(study_table(scores[scores["split"] == "tune"]))
    area = auroc(studies["score"].to_numpy(), studies["label"].to_numpy())
    value = area.value if np.isfinite(area.value) else None
    write_manifest(checkpoint.folder, {**checkpoint.manifest, "tune_auroc": value, "complete": True})
    say(f"out-of-fold study AUROC {area.value:.3f} ({area.low:.3f}-{area.high:.3f}), n = {len(studies)}")
