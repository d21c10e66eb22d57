"""Questions about training on studies: each is a set of variants that are trained and compared in one table.

To add one: a function here marked `@question`, whose docstring is the question. `python -m core sweep RECIPE --question
NAME` trains its variants, several seeds each, and writes the table.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from core.data.datasets import Dataset, read_index
from core.data.label_levels import IMAGE_LABEL
from core.data.references import name_in
from core.data.spreadsheet import csv_for_spreadsheets
from core.errors import OverreadError
from core.metrics.paired_figures import FIGURES, Scored, figure_table, scored_of
from core.metrics.studies import own_aggregation
from core.models.checkpoint import PREDICTIONS, Checkpoint
from core.paths import checked_name, checkpoint_folder, home, write_atomically
from core.plural import count_clause, count_text
from core.scores.halves import CHOOSE, in_split
from core.scores.predictions import read_file
from core.training.options import RunOptions
from core.training.parallel import refuse_several_processes
from core.training.recipe import Recipe, with_settings
from core.training.sweep import train_or_read


@dataclass(frozen=True)
class Variant:
    """One way to train or score. settings: changes of the recipe. by_study: a study is one sample, so a batch has as
    many studies as hold the recipe's number of radiographs. own_labels: train on the data set of --truth-data.
    weighed: one variant for each list of weights of --weights. of: score the networks of this other variant through
    `aggregation` instead of training; '' trains."""

    name: str
    settings: tuple[str, ...] = ()
    by_study: bool = False
    own_labels: bool = False
    weighed: bool = False
    of: str = ""
    aggregation: str = ""


@dataclass(frozen=True)
class Question:
    """words: the question. variants: the first one is the reference. figures: names of `paired_figures.FIGURES`."""

    name: str
    words: str
    variants: tuple[Variant, ...]
    figures: tuple[str, ...]


@dataclass(frozen=True)
class Scope:
    """The seeds and the split on which a question is answered. own_labels: a data set of the same radiographs
    with --label-level image, for the variants that learn from them; they are left out without it. weights: stored
    weights of radiographs, NAME@HASH, each a variant of a question that compares them."""

    seeds: int = 3
    split: str = "valid"
    own_labels: Dataset | None = None
    weights: tuple[str, ...] = ()


QUESTIONS: dict[str, Question] = {}


def question(*figures: str) -> Callable:
    """Register a function that returns the variants of a question under its own name."""

    def add(make: Callable[[], list[Variant]]) -> Callable:
        QUESTIONS[make.__name__] = Question(make.__name__, make.__doc__ or "", tuple(make()), figures)
        return make

    return add


@question("study_auroc", "radiograph_auroc", "brier", "false_alarms", "driver")
def labels() -> list[Variant]:
    """What do study labels cost? Each radiograph learns its study's label, its own label, or a study is one sample."""
    return [
        Variant("study_labels"),
        Variant("own_labels", ("label_level=image",), own_labels=True),
        Variant("study_sample_mean", ("pooling=mean",), by_study=True),
        Variant("study_sample_noisy_or", ("pooling=noisy_or",), by_study=True),
    ]


@question("study_auroc", "radiograph_auroc", "brier", "false_alarms", "driver")
def pooling() -> list[Variant]:
    """Which pooling of views is best, after training by radiograph, and as the loss on whole studies?"""
    after = [
        Variant(f"radiograph_{name}", of="radiograph", aggregation=name)
        for name in ("max", "noisy_or", "lse", "logit_mean")
    ]
    trained = [
        Variant(name, (f"pooling={name}",), by_study=True)
        for name in ("mean", "max", "noisy_or", "lse", "attention", "patch_attention")
    ]
    return [Variant("radiograph"), *after, *trained]


@question("study_auroc", "brier", "specificity", "sensitivity")
def balance() -> list[Variant]:
    """Does balance with the study as the unit help: none, a weighted loss, or a sampler?"""
    return [Variant("none"), Variant("weight", ("balance=weight",)), Variant("sampler", ("balance=sampler",))]


@question("study_auroc", "radiograph_auroc", "brier", "false_alarms", "driver")
def suspects() -> list[Variant]:
    """Does training help without the radiographs whose labels are doubtful, or with them down-weighted? The last
    variant, with each radiograph's own label, is the ceiling."""
    return [
        Variant("study_labels"),
        Variant("weighed", weighed=True),
        Variant("own_labels", ("label_level=image",), own_labels=True),
    ]


def find_question(name: str) -> Question:
    """The question of this name. OverreadError lists the names."""
    if name not in QUESTIONS:
        raise OverreadError(
            f"There is no question {name!r}; choose one of {', '.join(QUESTIONS)}.", code="question-unknown"
        )
    return QUESTIONS[name]


def scope_variants(asked: Question, scope: Scope) -> list[Variant]:
    """The variants of a question that can be trained in this scope, with one for each list of weights.

    OverreadError where the question compares weights and none are given, or none can be compared.
    """
    compares = any(one.weighed for one in asked.variants)
    if compares and not scope.weights:
        raise OverreadError(
            f"The question {asked.name} compares weights of radiographs, and none are named. Store some with "
            "`python -m core label-audit NAME --data SET --level image --weights NAME`, and pass --weights NAME@HASH.",
            code="question-weights",
        )
    if scope.weights and not compares:
        raise OverreadError(
            f"The question {asked.name} compares no weights of radiographs, and "
            f"{count_clause(len(scope.weights), 'list', 'are')} named. Leave out --weights, or ask the question "
            "suspects.",
            code="question-weights",
        )
    found = []
    for one in asked.variants:
        if one.weighed:
            found += [
                replace(one, name=name, settings=(*one.settings, f"radiograph_weights={reference}"))
                for name, reference in _names_of_weights(asked, scope.weights).items()
            ]
        elif scope.own_labels or not one.own_labels:
            found.append(one)
    return found


def _names_of_weights(asked: Question, references: tuple[str, ...]) -> dict[str, str]:
    """The references by the name of their variant: the name of the list, with its hash where that name is taken."""
    names = [name_in(reference) for reference in references]
    taken = {one.name for one in asked.variants} | {name for name in names if names.count(name) > 1}
    return {
        reference.replace("@", "-") if name in taken else name: reference for name, reference in zip(names, references)
    }


def variant_recipe(recipe: Recipe, variant: Variant, dataset: Dataset) -> Recipe:
    """The recipe of a variant; a batch of studies holds about as many radiographs as one of radiographs."""
    changed = with_settings(recipe, list(variant.settings))
    if not variant.by_study:
        return changed
    train = read_index(dataset.name).query("split == 'train'")
    views = len(train) / max(train["study_id"].nunique(), 1)
    return replace(changed, batch_size=max(2, round(recipe.batch_size / views)))


def run_question(
    recipe: Recipe,
    dataset: Dataset,
    name: str,
    asked: Question,
    scope: Scope = Scope(),
    options: RunOptions = RunOptions(),
) -> pd.DataFrame:
    """Train every variant of a question, and return `figure_table` of their scores.

    The truth of radiographs is `image_label` of `dataset`, used for evaluation only. The table is stored as
    workspace/sweeps/<name>.csv; with `resume` finished runs are read.
    """
    seeds, split, own_labels = scope.seeds, scope.split, scope.own_labels
    refuse_several_processes("sweep")
    checked_name(name)
    variants = scope_variants(asked, scope)
    if own_labels is None and (left := [one.name for one in asked.variants if one.own_labels]):
        options.say(f"left out: {', '.join(left)}; to train on the labels of radiographs, pass --truth-data")
    trained: dict[str, list[Checkpoint]] = {}
    total = sum(not one.of for one in variants) * seeds
    done = 0
    for seed in range(seeds):
        for variant in variants:
            if variant.of:
                continue
            done += 1
            own = replace(variant_recipe(recipe, variant, dataset), seed=recipe.seed + seed)
            folder = checkpoint_folder(f"{name}-{variant.name}-seed{own.seed}")
            options.say(f"run {done} of {total}: {folder.name}")
            used = own_labels if variant.own_labels and own_labels else dataset
            trained.setdefault(variant.name, []).append(train_or_read(own, used, folder, options))
    index = read_index(dataset.name)
    truth = index.set_index("image_id")[IMAGE_LABEL] if IMAGE_LABEL in index else None
    scores = {one.name: _scored(trained[one.of or one.name], one, split, truth) for one in variants}
    table = _table(asked, variants, scores).assign(question=asked.name, split=split)
    file = home() / "sweeps" / f"{name}.csv"
    write_atomically(file, lambda path: path.write_text(csv_for_spreadsheets(table), encoding="utf-8", newline=""))
    return table


def _table(asked: Question, variants: list[Variant], scores: dict[str, list[Scored]]) -> pd.DataFrame:
    """Another aggregation changes no figure of radiographs, so these are listed for trained variants only."""
    own = {one.name: scores[one.name] for one in variants if not one.of}
    parts = [
        figure_table(own if FIGURES[name].unit == "radiographs" else scores, variants[0].name, (name,))
        for name in asked.figures
    ]
    return pd.concat([part for part in parts if len(part)], ignore_index=True)


def _scored(checkpoints: list[Checkpoint], variant: Variant, split: str, truth: pd.Series | None) -> list[Scored]:
    found = []
    for checkpoint in checkpoints:
        frame = read_file(checkpoint.folder / PREDICTIONS)
        frame = frame[in_split(frame, split)].reset_index(drop=True)
        if frame["label"].nunique() < 2:
            raise OverreadError(
                f"{checkpoint.name} scored {count_text(len(frame), 'radiograph')} of {split}, not of both labels; "
                "compare the variants on another --split.",
                code="one-class-only",
            )
        choosing = in_split(frame, f"{split}:{CHOOSE}") if ":" not in split else np.zeros(len(frame), bool)
        found.append(scored_of(frame, variant.aggregation or own_aggregation(frame), choosing, truth))
    return found
