"""What each step of an epoch learns from: augmented, normalised pixels, whose they are, their targets and weights."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from core.data.augment import Company, carried_out, mix, mix_table, mixed_targets, planned
from core.data.pixel_batches import Pixels, take_rows
from core.device import channels_last
from core.training.balance import loss_weights
from core.training.recipe import Recipe
from core.training.samples import Units

# Steps whose draws are made together: a plan of one batch costs nearly as much as one of sixteen.
TOGETHER = 16


@dataclass(frozen=True)
class Batch:
    """chosen: the units, int [n]; ids: of their radiographs [m]; pixels: float32 [m, 1, s, s] as the network takes
    them; target in 0..1 and weight in the loss, float32 [n]. All tensors on the device."""

    chosen: np.ndarray
    ids: np.ndarray
    pixels: torch.Tensor
    target: torch.Tensor
    weight: torch.Tensor


def batches(
    recipe: Recipe,
    units: Units,
    image_ids: np.ndarray,
    pixels: Pixels,
    rows: np.ndarray,
    epoch: int,
    steps: list[np.ndarray],
    device: torch.device,
) -> Iterator[Batch]:
    """A Batch a step. steps: the units of each; image_ids, rows: of each radiograph that the units hold, its name and
    its place in `pixels`. A sample's bits depend on seed, epoch and radiograph alone, not on who is in its batch."""
    a, seed, company = recipe.augmentation, recipe.seed, Company.of(image_ids)
    labels = units.rows["label"].to_numpy(np.float32)
    weighs = recipe.balance == "weight"
    weights = loss_weights(units.rows).astype(np.float32) if weighs else np.ones(len(labels), np.float32)
    spec, side = recipe.input_spec(), pixels.shape[-1]

    def fetch(places: np.ndarray) -> torch.Tensor:
        return take_rows(pixels, rows[places], device)

    for begun in range(0, len(steps), TOGETHER):
        block = steps[begun : begun + TOGETHER]
        films = [units.radiographs(chosen) for chosen in block]
        plan = planned(a, image_ids[np.concatenate(films)], seed, epoch, side)
        ends = np.cumsum([0, *map(len, films)])
        for chosen, places, start, stop in zip(block, films, ends, ends[1:]):
            unit = carried_out(plan.part(start, stop), fetch(places))
            target, weight = labels[chosen], weights[chosen]
            if a.mixes:
                table = mix_table(a, company, image_ids[chosen], seed, epoch, side)
                unit = mix(a, unit, table, fetch, seed, epoch)
                target, weight = mixed_targets(table, chosen, labels, weights)
            smoothed = torch.from_numpy(target).to(device) * (1 - recipe.label_smoothing) + recipe.label_smoothing / 2
            # In place, since the pixels are this batch's own: two fresh arrays a step cost more than the arithmetic.
            unit = channels_last(unit.sub_(spec.mean).div_(spec.std))
            yield Batch(chosen, image_ids[places], unit, smoothed, torch.from_numpy(weight).to(device))
