"""The loop: Recipe and data set to Checkpoint."""

import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

from core.data.cache import pixel_cache
from core.data.index import Dataset
from core.data.pixel_batches import Pixels, cut_batches, epoch_order, keep_on_device
from core.device import cast, keep_freed_memory, placed, training_precision
from core.errors import OverreadError
from core.models.checkpoint import (
    begin_checkpoint,
    read_checkpoint,
)
from core.models.networks import build, check_size, reads_studies
from core.training.average import average_of, update
from core.training.balance import effective_prior, sampling_weights
from core.training.batches import batches
from core.training.compiled import compiled, compiling
from core.training.loss import loss_of
from core.training.margins import Logged, margin_table, write_margins
from core.training.optim import freeze, freezes, optimiser_for, set_rates
from core.training.parallel import Team, team
from core.training.preflight import about, alone, caught_up, check_place, considered, left, stop_early, trainable
from core.training.recipe import Recipe
from core.training.samples import Units, units_of
from core.training.state import FILE, load_state, read_facts, save_state
from core.training.validation import after_epoch, finish

Progress = Callable[[int, int, str], None]


def train(
    recipe: Recipe,
    dataset: Dataset,
    out: Path,
    resume: bool = False,
    progress: Progress | None = None,
    say: Callable[[str], None] = lambda text: None,
    device: str = "",
    allow_overlap: bool = False,
    watch: Callable[[dict], None] = lambda row: None,
):
    """Train, keep the epoch with the best study AUROC on the held-out fold, score what was not learned from.

    A run that was stopped goes on after its last full epoch with `resume`; on a CPU the weights are then the same, bit
    for bit. With `allow_overlap` patients in two splits are learned from and never judged as valid; else
    OverreadError, as where nothing can be learned or the loss is no longer a number.
    """
    index = trainable(dataset, allow_overlap, recipe.labels)
    index = considered(index, recipe)
    tuning = index["fold"].to_numpy() == recipe.holdout_fold
    if not tuning.any() or tuning.all():
        raise OverreadError(
            f"Fold {recipe.holdout_fold} holds {int(tuning.sum())} of {len(index)} training radiographs; choose a "
            f"holdout_fold from 0 to {index['fold'].max()}, or index more data."
        )
    crew = team(device)
    if not crew.leads:
        say, progress = (lambda text: None), None
    with alone(out) if crew.leads else nullcontext():
        with crew.lead_first():
            if crew.leads:
                check_place(out, recipe, dataset, resume)
        if resume and not (out / FILE).exists():
            say("no epoch was finished before; beginning again")
            resume = False
        with compiling(recipe), crew.together():
            return _train(recipe, dataset, out, resume, progress, say, watch, index, tuning, crew)


def _train(
    recipe: Recipe,
    dataset: Dataset,
    out: Path,
    resume: bool,
    progress: Progress | None,
    say: Callable[[str], None],
    watch: Callable[[dict], None],
    index: pd.DataFrame,
    tuning: np.ndarray,
    crew: Team,
):
    """The run itself, once it is known that it may start and that the folder is its own."""
    where = crew.device
    if where.type == "cpu":
        keep_freed_memory()
    torch.manual_seed(recipe.seed)
    model = placed(build(recipe.architecture, recipe.model_kwargs, recipe.weights), where)
    check_size(model, recipe.architecture, recipe.size)
    optimiser = optimiser_for(model, recipe)
    average = average_of(model, recipe)
    # A run goes on in the precision it was begun in, whatever a new trial would say.
    exact = read_facts(out)["precision"] if resume else training_precision(where, recipe.precision)
    say(f"computing on {crew.why}, in {exact}")
    with crew.lead_first():
        cache = pixel_cache(dataset, index, recipe.input_spec(), progress)
    rows = cache.rows_of(index["image_id"])
    if cache.failed:
        first = f"{cache.failed[0]['path']}: {cache.failed[0]['reason']}"
        say(f"{len(cache.failed)} radiographs could not be decoded and are left out (first: {first})")
    index, tuning, rows = index[rows >= 0], tuning[rows >= 0], rows[rows >= 0]
    learn, tune = index[~tuning].reset_index(drop=True), index[tuning].reset_index(drop=True)
    if learn["label"].nunique() < 2:
        raise OverreadError(
            f"All {len(learn)} radiographs to learn from have one label; expected normal and abnormal ones."
        )
    units = units_of(learn, reads_studies(model))
    say(
        f"learning from {len(learn)} radiographs of {learn['study_id'].nunique()} studies, choosing the epoch on "
        f"{tune['study_id'].nunique()}; effective prior of abnormal {effective_prior(units.rows, recipe.balance):.3f}"
    )
    logged = Logged(len(units.rows), where)
    if resume:
        facts = caught_up(load_state(out, model, optimiser, average, logged.tensors()), out)
        say(f"going on after epoch {facts['epoch'] + 1} of {recipe.epochs}")
    else:
        manifest = {}
        if crew.leads:
            known = pd.concat([learn.assign(part="train"), tune.assign(part="tune")])
            manifest = begin_checkpoint(out, recipe.to_json(), recipe.input_spec(), known)
            manifest |= about(recipe, dataset, model, exact)
        facts = {
            "epoch": -1,
            "best": -1.0,
            "manifest": manifest,
            "history": [],
            "judged": [],
            "index_hash": dataset.index_hash,
            "precision": exact,
        }
    if crew.rank:
        # What is dropped out is drawn by each process for itself.
        torch.manual_seed(recipe.seed + crew.rank)
    pixels, places = keep_on_device(cache.pixels, rows[~tuning], where)
    call = crew.wrapped(compiled(model, recipe), freezes(recipe))
    for epoch in range(facts["epoch"] + 1, recipe.epochs):
        if stop_early(recipe, facts["judged"]):
            say(f"stopping: no better epoch in the last {recipe.patience}")
            break
        started = time.perf_counter()
        run = Run(model, call, optimiser, average, recipe, crew, exact, facts["judged"], logged, left(facts, recipe))
        loss = _learn(run, units, learn["image_id"].to_numpy(), pixels, places, epoch, progress)
        seconds = time.perf_counter() - started
        if crew.leads:
            facts = after_epoch(
                out,
                model if average is None else average.module,
                recipe,
                tune,
                cache.pixels[rows[tuning]],
                where,
                facts,
                epoch,
                {"train_loss": loss, "seconds": seconds, "images_per_second": len(learn) / seconds},
                say,
            )
            save_state(out, model, optimiser, facts, average, logged.tensors())
            watch(facts["history"][-1])
        facts = crew.told(facts)
    if crew.leads:
        if not recipe.augmentation.mixes:
            sums = [value.cpu().numpy() for value in logged.tensors().values()]
            write_margins(out, margin_table(units.rows, *sums))
        finish(out, dataset, facts, progress, str(where))
    crew.part()
    return read_checkpoint(out)


@dataclass(frozen=True)
class Run:
    """What an epoch changes and how. call: the network as it is called, `model` itself or around it; left: what is
    known of the epochs to come, for whoever watches."""

    model: nn.Module
    call: nn.Module
    optimiser: torch.optim.Optimizer
    average: nn.Module | None
    recipe: Recipe
    crew: Team
    precision: str
    judged: list
    logged: Logged
    left: str = ""


def _learn(
    run: Run,
    units: Units,
    image_ids: np.ndarray,
    pixels: Pixels,
    rows: np.ndarray,
    epoch: int,
    progress: Progress | None,
) -> float:
    """One epoch; its mean loss. No value is fetched from the device before the end.

    image_ids, rows: name of each radiograph that the units hold, and its place in `pixels`.
    """
    recipe, crew, device = run.recipe, run.crew, run.crew.device
    freeze(run.model, recipe, epoch)
    count = len(units.rows)
    chances = sampling_weights(units.rows) if recipe.balance == "sampler" else None
    order = epoch_order(count, recipe.seed, epoch, chances)
    parts = cut_batches(order, recipe.batch_size, 2 * crew.size)
    total, seen = torch.zeros((), device=device), 0
    this_epoch = Logged(count, device)
    mine = batches(recipe, units, image_ids, pixels, rows, epoch, [crew.share(part) for part in parts], device)
    for step, (part, batch) in enumerate(zip(parts, mine)):
        set_rates(run.optimiser, recipe, epoch + step / len(parts), run.judged)
        chosen = batch.chosen
        with cast(device, run.precision):
            logits = run.call(batch.pixels, *units.owners(chosen, device))[:, 0].float()
        loss = loss_of(recipe, logits, batch.target, batch.weight)
        this_epoch.add(chosen, logits)
        # Each unit of a step counts alike, in whatever batch and process it came: gradients are averaged over
        # the processes, so each gives its share of the sum times their number.
        begun = step // recipe.accumulate * recipe.accumulate
        together = sum(map(len, parts[begun : begun + recipe.accumulate]))
        (loss * (len(chosen) * crew.size / together)).backward()
        if (step + 1) % recipe.accumulate == 0 or step + 1 == len(parts):
            _step(run)
        total += loss.detach() * len(chosen)
        seen += len(part)
        if progress:
            progress(seen, len(order), f"epoch {epoch + 1} of {recipe.epochs}{run.left}")
    for name, value in run.logged.tensors().items():
        value += crew.total(this_epoch.tensors()[name])
    mean = float(crew.total(total)) / seen
    if not np.isfinite(mean):
        raise OverreadError(
            f"The loss is not a number in epoch {epoch + 1}; the weights of the best epoch before it are kept. "
            f"Lower the learning rate (now {recipe.learning_rate:g}) with --set learning_rate=..."
        )
    return mean


def _step(run: Run) -> None:
    if run.recipe.clip_norm:
        torch.nn.utils.clip_grad_norm_(run.model.parameters(), run.recipe.clip_norm)
    run.optimiser.step()
    run.optimiser.zero_grad(set_to_none=True)
    update(run.average, run.model)
