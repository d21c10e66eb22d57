"""The running mean of the weights, which is validated and saved instead of the last weights."""

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from core.training.recipe import Recipe


def running_average(model: nn.Module, recipe: Recipe) -> AveragedModel | None:
    """A mean that begins with the network's weights and buffers; None where the recipe has no ema."""
    if not recipe.ema:
        return None
    return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema), use_buffers=True)


@torch.no_grad()
def update_average(average: AveragedModel | None, model: nn.Module) -> None:
    """Add the weights after a step to the mean."""
    if average is not None:
        average.update_parameters(model)
