"""The training loop: from a recipe and a data set to a checkpoint."""

import gc
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

from core.data.cache import pixel_cache
from core.data.index import Dataset
from core.data.pixel_batches import cut_batches, epoch_order, fill_up, keep_on_device
from core.data.radiograph_weights import weigh_radiographs
from core.device import move_to_device, training_precision
from core.errors import OverreadError
from core.models.checkpoint import Checkpoint, begin_checkpoint, read_checkpoint
from core.models.networks import build, check_size
from core.models.start_weights import weights_source
from core.plural import count_text
from core.scores.classifier import Classifier
from core.training.average import running_average
from core.training.balance import effective_prior, sampling_weights
from core.training.batches import training_batches
from core.training.compiled import compiled
from core.training.margins import MarginSums, margin_table, write_margins
from core.training.optim import ever_freezes, freeze, optimiser_for, set_rates
from core.training.options import Progress, RunOptions
from core.training.parallel import current_team
from core.training.plan import TrainingPlan, plan_after, say_compiled, step_facts, step_graph
from core.training.preflight import (
    check_folder,
    exclusive_folder,
    learned_before,
    run_manifest,
    select_rows,
    training_rows,
    with_learned_labels,
    with_start,
)
from core.training.recipe import Recipe
from core.training.samples import TrainingData, samples_of
from core.training.state import STATE_FILE, Learner, RunState, load_state, match_manifest, read_state, save_state
from core.training.steps import Epoch, Steps, split_batch
from core.training.validation import HeldOut, finish_run, outlook_text, should_stop, validate_epoch


def train(recipe: Recipe, dataset: Dataset, out: Path, options: RunOptions = RunOptions()) -> Checkpoint:
    """Train, keep the epoch with the best study AUROC on the held-out fold, and score all that was not trained on.

    With `resume` a stopped run continues after its last full epoch; on a CPU its weights are then the same, bit for
    bit, as those of a run that was never stopped. OverreadError where patients are in two splits, where there is
    nothing to learn from, or where the loss is no longer a number.
    """
    rows = select_rows(training_rows(dataset, options.allow_overlap, recipe.labels), recipe)
    # Radiographs that the start weights have learned from cannot choose the epoch.
    held_out = (rows["fold"].to_numpy() == recipe.holdout_fold) & ~learned_before(rows, recipe.weights)
    if not held_out.any() or held_out.all():
        raise OverreadError(
            f"Fold {recipe.holdout_fold} holds {int(held_out.sum())} of "
            f"{count_text(len(rows), 'training radiograph')}; choose a "
            f"holdout_fold from 0 to {rows['fold'].max()}, or index more data.",
            code="fold-unusable",
        )
    team = current_team(options.device)
    options = options if team.leads else options.silent()
    with exclusive_folder(out) if team.leads else nullcontext(False) as killed:
        with team.lead_first():
            if team.leads:
                check_folder(out, recipe, dataset, options.resume, killed)
        if options.resume and not (out / STATE_FILE).exists():
            options.say("the stopped run had not finished an epoch; starting again")
            options = replace(options, resume=False)
        plan = TrainingPlan(recipe, dataset, out, options, team, compiles=recipe.compile)
        with team.explain_lost_process():
            while True:
                found = _attempt(plan, rows, held_out)
                if isinstance(found, Checkpoint):
                    return found
                plan = found
                # Only now is the network of the failed attempt unreferenced.
                gc.collect()
                if team.device.type == "cuda":
                    torch.cuda.empty_cache()


def _attempt(plan: TrainingPlan, rows: pd.DataFrame, held_out: np.ndarray) -> Checkpoint | TrainingPlan:
    """Run the plan. Where memory is short or torch.compile fails, the plan with which the run continues instead."""
    try:
        return _run(plan, rows, held_out)
    except Exception as error:
        following = plan_after(plan, error)
        if following is None:
            raise
        return following


def _run(plan: TrainingPlan, rows: pd.DataFrame, held_out: np.ndarray) -> Checkpoint:
    """The run itself. rows: all that it learns from or is validated on; held_out: bool [rows], the latter."""
    recipe, out, options, team = plan.recipe, plan.out, plan.options, plan.team
    torch.manual_seed(recipe.seed)
    notes: list[str] = []
    network = build(recipe.architecture, recipe.model_kwargs, weights_source(recipe.weights), notes.append)
    for note in notes:
        options.say(note)
    model = move_to_device(network, team.device)
    check_size(model, recipe.architecture, recipe.size)
    optimiser, average = optimiser_for(model, recipe), running_average(model, recipe)
    # A run continues in the precision it began in, even if this machine would now choose another one.
    begun = options.resume
    precision = read_state(out).precision if begun else training_precision(team.device, recipe.precision)
    options.say(f"computing on {team.why}, in {precision}")
    data, validation, learned = _load(plan, rows, held_out)
    sums = MarginSums(len(data), team.device)
    learner = Learner(model, optimiser, average, sums.tensors())
    if begun:
        state = match_manifest(load_state(out, learner), out)
        options.say(f"resuming after epoch {state.epoch + 1} of {recipe.epochs}")
    else:
        state = RunState(plan.dataset.index_hash, precision, _begin(plan, model, precision, learned, notes))
    if team.rank:
        # Each process draws its own dropout.
        torch.manual_seed(recipe.seed + team.rank)
    pixels, places = keep_on_device(data.pixels, data.places, team.device)
    data = replace(data, pixels=pixels, places=places)
    call = team.wrapped(compiled(model, plan.compiles), ever_freezes(recipe))
    graph = step_graph(plan, len(data))
    first_step = say_compiled(options) if plan.compiles else None
    first_epoch = state.epoch + 1
    for number in range(first_epoch, recipe.epochs):
        if should_stop(recipe, state.scores):
            options.say(f"stopping: no better epoch in the last {recipe.patience}")
            break
        started = time.perf_counter()
        outlook = outlook_text(state)
        epoch = Epoch(
            recipe, number, learner, call, team, precision, state.scores, outlook, graph, plan.pieces, first_step
        )
        loss = learn_epoch(epoch, data, options.progress)
        if graph and graph.failed and number == first_epoch:
            options.say(f"steps are computed without a CUDA graph, since none could be captured ({graph.failed})")
        first_step = None
        seconds = time.perf_counter() - started
        if team.leads:
            kept = model if average is None else average.module
            classifier = Classifier(kept.eval(), recipe.input_spec(), team.device)
            state = replace(state, manifest={**state.manifest, "step": step_facts(plan, graph)})
            speed = len(data.image_ids) / seconds
            figures = {"train_loss": loss, "seconds": seconds, "images_per_second": speed}
            state = validate_epoch(out, classifier, validation, state, figures, options.say)
            save_state(out, learner, state)
            options.watch(state.history[-1])
        state = team.broadcast(state)
    if team.leads:
        if not recipe.augmentation.mixes:
            write_margins(out, margin_table(data.samples.rows, **sums.arrays()))
        finish_run(out, plan.dataset, state, replace(options, device=str(team.device)))
    team.disband()
    return read_checkpoint(out)


def _load(plan: TrainingPlan, rows: pd.DataFrame, held_out: np.ndarray) -> tuple[TrainingData, HeldOut, pd.DataFrame]:
    """Both parts with their pixels, decoded where they are not in the cache yet; and the rows of learned.parquet."""
    recipe, say = plan.recipe, plan.options.say
    with plan.team.lead_first():
        cache = pixel_cache(plan.dataset, rows, recipe.input_spec(), plan.options.progress)
    places = cache.rows_of(rows["image_id"])
    if cache.failed:
        first = f"{cache.failed[0]['path']}: {cache.failed[0]['reason']}"
        say(f"left out: {count_text(len(cache.failed), 'radiograph')} that could not be decoded (first: {first})")
    rows, held_out, places = rows[places >= 0], held_out[places >= 0], places[places >= 0]
    learn, tune = rows[~held_out].reset_index(drop=True), rows[held_out].reset_index(drop=True)
    learn_places = places[~held_out]
    learn = with_learned_labels(learn, plan.dataset, recipe)
    if recipe.radiograph_weights:
        weighed = weigh_radiographs(learn, plan.dataset.name, recipe.radiograph_weights)
        say(
            f"weights {recipe.radiograph_weights}: {count_text(len(learn) - len(weighed), 'radiograph')} left out, "
            f"{int((weighed['weight'] != 1).sum()):,} with a weight other than 1"
        )
        learn, learn_places = weighed.reset_index(drop=True), learn_places[weighed.index]
    if learn["label"].nunique() < 2:
        raise OverreadError(
            f"{count_text(len(learn), 'radiograph')} to learn from, all of one label; expected both labels.",
            code="one-class-only",
        )
    samples = samples_of(learn, recipe.learns_studies)
    say(
        f"learning from {count_text(len(learn), 'radiograph')} of "
        f"{count_text(learn['study_id'].nunique(), 'study')}, choosing the epoch on "
        f"{tune['study_id'].nunique()}; effective prior of abnormal {effective_prior(samples.rows, recipe.balance):.3f}"
    )
    data = TrainingData(samples, learn["image_id"].to_numpy(), cache.pixels, learn_places)
    learned = pd.concat([learn.assign(part="train"), tune.assign(part="tune")])
    return data, HeldOut(tune, cache.pixels, places[held_out], recipe.view_pooling), learned


def _begin(plan: TrainingPlan, model: nn.Module, precision: str, learned: pd.DataFrame, notes: list[str]) -> dict:
    """Write the files that stay the same during the run, and return the manifest to save with the first weights."""
    if not plan.team.leads:
        return {}
    recipe = plan.recipe
    parameters = sum(parameter.numel() for parameter in model.parameters())
    manifest = begin_checkpoint(plan.out, recipe.to_json(), recipe.input_spec(), with_start(learned, recipe.weights))
    manifest |= run_manifest(recipe, plan.dataset, parameters, precision)
    return manifest | ({"weights_notes": notes} if notes else {})


def learn_epoch(epoch: Epoch, data: TrainingData, progress: Progress | None = None) -> float:
    """One epoch; its mean loss. No value is fetched from the device before the end.

    OverreadError where the loss is not a number.
    """
    recipe, team, learner = epoch.recipe, epoch.team, epoch.learner
    freeze(learner.model, recipe, epoch.number)
    chances = sampling_weights(data.samples.rows) if recipe.balance == "sampler" else None
    order = epoch_order(len(data), recipe.seed, epoch.number, chances)
    if epoch.graph:
        order = fill_up(order, recipe.batch_size)
    parts = [
        split_batch(part, recipe.batch_size, epoch.pieces)
        for part in cut_batches(order, recipe.batch_size, 2 * team.size)
    ]
    sizes = [sum(map(len, pieces)) for pieces in parts]
    shares = [team.share(piece) for pieces in parts for piece in pieces]
    batches = training_batches(recipe, data, epoch.number, shares, team.device)
    steps = Steps(epoch, data.samples, len(data))
    seen = 0
    with steps.graphed():
        for number, pieces in enumerate(parts):
            set_rates(learner.optimiser, recipe, epoch.number + number / len(parts), epoch.scores)
            first = number // recipe.accumulate * recipe.accumulate
            together = sum(sizes[first : first + recipe.accumulate])
            ends = (number + 1) % recipe.accumulate == 0 or number + 1 == len(parts)
            for place, piece in enumerate(pieces):
                steps.take(next(batches), together, ends and place + 1 == len(pieces))
                seen += len(piece)
            if progress:
                # Of the whole run, so that the share never goes back and the time left is that of all epochs.
                done = epoch.number * len(order) + seen
                named = f"epoch {epoch.number + 1} of {recipe.epochs}{epoch.outlook}"
                progress(done, recipe.epochs * len(order), named)
    for name, value in learner.sums.items():
        value += team.total(steps.sums.tensors()[name])
    mean = float(team.total(steps.total)) / seen
    if not np.isfinite(mean):
        raise OverreadError(
            f"The loss is not a number in epoch {epoch.number + 1}; the weights of the best earlier epoch are kept. "
            f"Lower the learning rate (now {recipe.learning_rate:g}) with --set learning_rate=...",
            code="loss-not-finite",
        )
    return mean
