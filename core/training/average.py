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
    if average is None:
        return
    if next(model.parameters()).device.type != "cuda" or not _has_begun(average):
        average.update_parameters(model)
        return
    # As `update_parameters`, which would wait for the GPU to ask whether this is the first update.
    floats: tuple[list, list] = ([], [])
    whole: tuple[list, list] = ([], [])
    for mine, theirs in zip(average.module.state_dict().values(), model.state_dict().values()):
        kept = floats if mine.is_floating_point() else whole
        kept[0].append(mine)
        kept[1].append(theirs)
    average.multi_avg_fn(*floats, average.n_averaged)
    if whole[0]:
        # Counts of batches are copied, as no mean of them is used.
        torch._foreach_copy_(*whole)
    average.n_averaged += 1


def _has_begun(average: AveragedModel) -> bool:
    """Whether the mean has been updated before. The GPU is asked only until it has."""
    if not getattr(average, "begun", False):
        average.begun = bool(average.n_averaged > 0)
    return average.begun
