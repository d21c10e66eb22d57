"""The time and memory that a run would take, measured on a few of its own steps."""

import time
from dataclasses import replace

import numpy as np
import pandas as pd
import torch

from core.among import among
from core.data.cache import pixel_cache
from core.data.decode import pixels_folder
from core.data.index import Dataset, read_index
from core.data.pixel_store import known
from core.data.pixels import UnreadableImage, read_grey, to_square
from core.device import move_to_device, pick_device, training_precision
from core.models.networks import build, check_size
from core.scores.classifier import Classifier
from core.training.average import running_average
from core.training.compiled import compiled
from core.training.loop import Epoch, learn_epoch
from core.training.margins import MarginSums
from core.training.optim import optimiser_for
from core.training.options import Progress
from core.training.parallel import current_team
from core.training.preflight import learned_before, select_rows, training_rows
from core.training.recipe import Recipe
from core.training.run_estimate import RunEstimate
from core.training.samples import TrainingData, samples_of
from core.training.state import Learner

STEPS = 4  # timed steps, after as many that are not timed
FILES = 24  # decoded to time the decoding


def estimate_run(recipe: Recipe, dataset: Dataset, device: str = "", progress: Progress | None = None) -> RunEstimate:
    """Measure a few steps with the run's own network, radiographs, batch size and precision. Nothing is kept of them.

    A run of a network that learns in stages is measured as in its last epoch, when all stages learn.
    """
    say = progress or (lambda done, total, what: None)
    rows = select_rows(training_rows(dataset, allow_overlap=True, labels=recipe.labels), recipe)
    held_out = (rows["fold"].to_numpy() == recipe.holdout_fold) & ~learned_before(rows, recipe.weights)
    learn = rows[~held_out].reset_index(drop=True)
    team = current_team(device)
    where, _ = pick_device(device)
    torch.manual_seed(recipe.seed)
    say(0, 4, "building the network")
    # Random weights take as long as others, and need no file.
    model = move_to_device(build(recipe.architecture, recipe.model_kwargs), where)
    check_size(model, recipe.architecture, recipe.size)
    say(1, 4, "timing the decoding")
    decode_seconds = _seconds_to_decode(dataset, learn, recipe)
    part = _part_of(learn, recipe)
    data = _data(dataset, part, recipe)
    precision = training_precision(where, recipe.precision)
    sums = MarginSums(len(data), where)
    learner = Learner(model, optimiser_for(model, recipe), running_average(model, recipe), sums.tensors())
    if where.type == "cuda":
        torch.cuda.reset_peak_memory_stats(where)
    say(2, 4, "timing steps")
    last = recipe.epochs - 1
    epoch = Epoch(replace(recipe, balance="none"), last, learner, compiled(model, recipe.compile), team, precision)
    learn_epoch(epoch, data)  # the first step allocates memory and chooses kernels
    started = time.perf_counter()
    learn_epoch(epoch, data)
    per_image = (time.perf_counter() - started) / len(data.image_ids)
    say(3, 4, "timing the validation")
    classifier = Classifier(model.eval(), recipe.input_spec(), where)
    pixels = data.pixels[data.places]
    classifier.scores(pixels[:2])
    started = time.perf_counter()
    classifier.scores(pixels)
    per_score = (time.perf_counter() - started) / len(pixels)
    index = read_index(dataset.name)
    cached = among(index["sha1"], known(pixels_folder(dataset, recipe.input_spec()), recipe.size))
    say(4, 4, "measured")
    return RunEstimate(
        epochs=recipe.epochs,
        epoch_seconds=per_image * len(learn) + per_score * int(held_out.sum()),
        decode_seconds=decode_seconds * int((~cached).sum()),
        score_seconds=per_score * (len(index) - len(learn)),
        memory_bytes=_memory(where),
        steps=STEPS,
        batch_size=recipe.batch_size,
        device=f"{where.type}, {torch.get_num_threads()} threads" if where.type == "cpu" else str(where),
        precision=precision,
    )


def _part_of(learn: pd.DataFrame, recipe: Recipe) -> pd.DataFrame:
    """The radiographs of STEPS batches, drawn from all of the rows."""
    unit = "study_id" if recipe.learns_studies else "image_id"
    units = learn[unit].unique()
    chosen = np.random.default_rng(0).permutation(units)[: STEPS * recipe.batch_size]
    return learn[learn[unit].isin(chosen)].reset_index(drop=True)


def _data(dataset: Dataset, part: pd.DataFrame, recipe: Recipe) -> TrainingData:
    cache = pixel_cache(dataset, part, recipe.input_spec())
    places = cache.rows_of(part["image_id"])
    part, places = part[places >= 0].reset_index(drop=True), places[places >= 0]
    return TrainingData(samples_of(part, recipe.learns_studies), part["image_id"].to_numpy(), cache.pixels, places)


def _seconds_to_decode(dataset: Dataset, rows: pd.DataFrame, recipe: Recipe) -> float:
    """Seconds a file, on all processors, as a pass over the data set would take."""
    sample = rows["path"].iloc[:: max(1, len(rows) // FILES)].head(FILES)
    started = time.perf_counter()
    for path in sample:
        try:
            to_square(read_grey(f"{dataset.root}/{path}"), recipe.size, recipe.fit)
        except UnreadableImage:
            continue
    return (time.perf_counter() - started) / max(len(sample), 1) / max(torch.get_num_threads(), 1)


def _memory(where: torch.device) -> int:
    """The most memory in bytes that the device, or on a CPU this process, has held so far."""
    if where.type == "cuda":
        return int(torch.cuda.max_memory_allocated(where))
    import resource
    import sys

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
