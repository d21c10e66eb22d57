"""The batches of an epoch: augmented, normalised pixels with their targets and weights."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from core.data.augment import EpochImages, apply_plan, make_plan, mix, mix_table, mixed_targets
from core.data.pixel_batches import take_rows
from core.device import channels_last
from core.training.balance import loss_weights
from core.training.recipe import Recipe
from core.training.samples import TrainingData

# Augmentations are drawn for so many batches at once: drawing for one costs nearly as much as for sixteen.
BATCHES_PLANNED = 16


@dataclass(frozen=True)
class Batch:
    """samples: their numbers, int [n]. image_ids: their radiographs [m]. pixels: input of the network, float32
    [m, 1, s, s]. target in 0..1 and weight in the loss, float32 [n]. Tensors are on the device."""

    samples: np.ndarray
    image_ids: np.ndarray
    pixels: torch.Tensor
    target: torch.Tensor
    weight: torch.Tensor


def training_batches(
    recipe: Recipe, data: TrainingData, epoch: int, batches: list[np.ndarray], device: torch.device
) -> Iterator[Batch]:
    """A Batch for each array of sample numbers in `batches`.

    The pixels of a sample depend on seed, epoch and radiograph alone, not on the other samples of its batch.
    """
    augmentation, seed, company = recipe.augmentation, recipe.seed, EpochImages.of(data.image_ids)
    samples = data.samples
    labels = samples.rows["label"].to_numpy(np.float32)
    weighs = recipe.balance == "weight"
    weights = loss_weights(samples.rows).astype(np.float32) if weighs else np.ones(len(labels), np.float32)
    spec, side = recipe.input_spec(), data.pixels.shape[-1]

    def fetch(radiographs: np.ndarray) -> torch.Tensor:
        return take_rows(data.pixels, data.places[radiographs], device)

    for first in range(0, len(batches), BATCHES_PLANNED):
        block = batches[first : first + BATCHES_PLANNED]
        radiographs = [samples.radiographs(chosen) for chosen in block]
        plan = make_plan(augmentation, data.image_ids[np.concatenate(radiographs)], seed, epoch, side)
        ends = np.cumsum([0, *map(len, radiographs)])
        for chosen, rows, start, stop in zip(block, radiographs, ends, ends[1:]):
            unit = apply_plan(plan.part(start, stop), fetch(rows))
            target, weight = labels[chosen], weights[chosen]
            if augmentation.mixes:
                table = mix_table(augmentation, company, data.image_ids[chosen], seed, epoch, side)
                unit = mix(augmentation, unit, table, fetch, seed, epoch)
                target, weight = mixed_targets(table, chosen, labels, weights)
            smoothed = torch.from_numpy(target).to(device) * (1 - recipe.label_smoothing) + recipe.label_smoothing / 2
            # In place, since only this batch uses the pixels: two fresh arrays per step cost more than the arithmetic.
            unit = channels_last(unit.sub_(spec.mean).div_(spec.std))
            yield Batch(chosen, data.image_ids[rows], unit, smoothed, torch.from_numpy(weight).to(device))
