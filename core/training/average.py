"""The running mean of the weights, which is judged and kept in place of the last ones."""

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from core.training.recipe import Recipe


def average_of(model: nn.Module, recipe: Recipe) -> AveragedModel | None:
    """A mean that begins at the network as it is, with the norms' means and deviations; None without ema."""
    if not recipe.ema:
        return None
    return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema), use_buffers=True)


@torch.no_grad()
def update(average: AveragedModel | None, model: nn.Module) -> None:
    """Take a step's weights into the mean."""
    if average is not None:
        average.update_parameters(model)
