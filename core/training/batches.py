"""The batches of an epoch: augmented, normalised pixels with their targets and weights."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from core.data.augment import (
    EpochImages,
    apply_plan,
    make_plan,
    mix,
    mix_table,
    mixed_targets,
    network_input,
    normalise_,
    send_plan,
)
from core.data.pixel_batches import take_rows
from core.device import channels_last, send
from core.training.balance import sample_weights
from core.training.recipe import Recipe
from core.training.samples import TrainingData

# Augmentations are drawn for so many batches at once: drawing for one costs nearly as much as for sixteen. The first
# blocks of an epoch are smaller, so that a GPU begins at once.
BATCHES_PLANNED = 16


@dataclass(frozen=True)
class Batch:
    """samples: their numbers, int [n], as an array and, in `numbers`, as a tensor. image_ids: their radiographs [m].
    pixels: input of the network, float32 [m, 1, s, s]. target in 0..1 and weight in the loss, float32 [n]. Tensors are
    on the device."""

    samples: np.ndarray
    image_ids: np.ndarray
    pixels: torch.Tensor
    target: torch.Tensor
    weight: torch.Tensor
    numbers: torch.Tensor


def training_batches(
    recipe: Recipe, data: TrainingData, epoch: int, batches: list[np.ndarray], device: torch.device
) -> Iterator[Batch]:
    """A Batch for each array of sample numbers in `batches`.

    The pixels of a sample depend on seed, epoch and radiograph alone, not on the other samples of its batch. On a GPU
    all copies of a block are in its queue at once, and the processor waits for none of them.
    """
    augmentation, seed = recipe.augmentation, recipe.seed
    company = EpochImages.of(data.image_ids) if augmentation.mixes else None
    samples = data.samples
    labels = samples.rows["label"].to_numpy(np.float32)
    weights = sample_weights(samples.rows, recipe.balance).astype(np.float32)
    spec, side = recipe.input_spec(), data.pixels.shape[-1]
    all_labels, all_weights = send(labels, device), send(weights, device)

    def smoothed(target: torch.Tensor) -> torch.Tensor:
        return target * (1 - recipe.label_smoothing) + recipe.label_smoothing / 2

    def fetch(radiographs: np.ndarray) -> torch.Tensor:
        return take_rows(data.pixels, data.places[radiographs], device)

    for block in blocks_of(batches):
        radiographs = [samples.radiographs(chosen) for chosen in block]
        everything = np.concatenate(radiographs)
        drawn = make_plan(augmentation, data.image_ids[everything], seed, epoch, side)
        plan = drawn if device.type == "cpu" else send_plan(drawn, side, device)
        places = send(data.places[everything], device) if isinstance(data.pixels, torch.Tensor) else None
        numbers = send(np.concatenate(block), device)
        # The targets of the whole block at once, since each small operation costs a GPU's processor as much as a large
        # one.
        targets, block_weights = smoothed(all_labels[numbers]), all_weights[numbers]
        ends = np.cumsum([0, *map(len, radiographs)])
        firsts = np.cumsum([0, *map(len, block)])
        for step, (chosen, rows, start, stop) in enumerate(zip(block, radiographs, ends, ends[1:])):
            part, own = plan.part(start, stop), slice(firsts[step], firsts[step + 1])
            pixels, found = (fetch(rows), None) if places is None else (data.pixels, places[start:stop])
            if company:
                table = mix_table(augmentation, company, data.image_ids[chosen], seed, epoch, side)
                unit = apply_plan(part, pixels if found is None else pixels[found])
                unit = normalise_(mix(augmentation, unit, table, fetch, seed, epoch), spec)
                mixed = mixed_targets(table, chosen, labels, weights)
                target, weight = (send(values, device) for values in mixed)
                target = smoothed(target)
            else:
                unit = network_input(part, pixels, found, spec)
                target, weight = targets[own], block_weights[own]
            yield Batch(chosen, data.image_ids[rows], channels_last(unit), target, weight, numbers[own])


def blocks_of(batches: list[np.ndarray]) -> Iterator[list[np.ndarray]]:
    """The batches in blocks of 1, 2, 4, 8 and then BATCHES_PLANNED."""
    first, size = 0, 1
    while first < len(batches):
        yield batches[first : first + size]
        first, size = first + size, min(2 * size, BATCHES_PLANNED)
