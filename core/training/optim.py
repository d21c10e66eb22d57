"""Optimiser, learning rates and frozen stages, as functions of the recipe and the progress of the run."""

import math
from collections.abc import Sequence

import torch
from torch import nn

from core.errors import OverreadError
from core.models.networks import find_head, stages
from core.training.recipe import Recipe

# The schedule 'plateau' multiplies the rate by PLATEAU_FACTOR after PLATEAU_EPOCHS epochs without a better score.
PLATEAU_EPOCHS, PLATEAU_FACTOR = 3, 1 / 3


def optimiser_for(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """AdamW or SGD, with parameters grouped by stage, by head or backbone, and by weight decay (none for biases).

    OverreadError for too many frozen stages.
    """
    _, head = find_head(model)
    stage = stages(model)
    last = max(stage.values())
    if recipe.freeze_stages > last:
        raise OverreadError(
            f"freeze_stages is {recipe.freeze_stages} and {recipe.architecture} has {last} stages before its head; "
            f"expected 0 to {last}.",
            code="stages-out-of-range",
        )
    groups: dict[tuple, list] = {}
    for name, parameter in model.named_parameters():
        depth = stage[name] if recipe.layer_decay < 1 else last
        groups.setdefault((name in head, depth, parameter.ndim > 1), []).append(parameter)
    listed = [
        {
            "params": parameters,
            "scale": (1.0 if in_head else recipe.backbone_rate) * recipe.layer_decay ** (last - depth),
            "in_head": in_head,
            "weight_decay": recipe.weight_decay if decays else 0.0,
        }
        for (in_head, depth, decays), parameters in groups.items()
    ]
    device = next(model.parameters()).device
    on_gpu = device.type == "cuda"
    if on_gpu:
        # A step that was captured as a CUDA graph reads each group's rate from the memory of the GPU.
        for group in listed:
            group["lr"] = torch.zeros((), device=device)
    if recipe.optimiser == "sgd":
        return torch.optim.SGD(listed, lr=recipe.learning_rate, momentum=0.9, nesterov=True, fused=on_gpu or None)
    return torch.optim.AdamW(listed, lr=recipe.learning_rate, fused=True, capturable=on_gpu)


def set_rates(optimiser: torch.optim.Optimizer, recipe: Recipe, progress: float, scores: Sequence[float] = ()) -> float:
    """Set the rate of each group after `progress` epochs, fractions included. Returns the rate of the head.

    scores: the score of each epoch so far, for 'plateau'. The rates depend on nothing else, so that a resumed run has
    the same ones.
    """
    rate = recipe.learning_rate
    if progress < recipe.warmup_epochs:
        rate *= progress / recipe.warmup_epochs
    elif recipe.schedule == "cosine":
        done = (progress - recipe.warmup_epochs) / max(recipe.epochs - recipe.warmup_epochs, 1e-9)
        rate *= 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
    elif recipe.schedule == "plateau":
        rate *= PLATEAU_FACTOR ** count_plateaus(scores)
    for group in optimiser.param_groups:
        frozen = progress < recipe.head_epochs and not group["in_head"]
        value = 0.0 if frozen else rate * group["scale"]
        if isinstance(group["lr"], torch.Tensor):
            group["lr"].fill_(value)
        else:
            group["lr"] = value
    return rate


def count_plateaus(scores: Sequence[float]) -> int:
    """The number of times that PLATEAU_EPOCHS epochs in a row brought no better score, counted anew after each."""
    best, waited, found = -math.inf, 0, 0
    for value in scores:
        best, waited = (value, 0) if value > best else (best, waited + 1)
        if waited == PLATEAU_EPOCHS:
            found, waited = found + 1, 0
    return found


def first_learning_stage(recipe: Recipe, epoch: int, last: int) -> int:
    """The first stage that learns in this epoch; earlier stages are frozen. last: the stage of the head."""
    if epoch < recipe.head_epochs:
        return last
    if not recipe.unfreeze_epochs:
        return recipe.freeze_stages
    thawed = 1 + (epoch - recipe.head_epochs) // recipe.unfreeze_epochs
    return max(recipe.freeze_stages, last - thawed)


def ever_freezes(recipe: Recipe) -> bool:
    """Whether some parameters get no gradient in some epoch; those behind the last map have no use for patches."""
    unused = recipe.architecture.startswith("patch_attention")
    return bool(unused or recipe.head_epochs or recipe.freeze_stages or recipe.unfreeze_epochs)


def freeze(model: nn.Module, recipe: Recipe, epoch: int) -> None:
    """Freeze the stages that do not learn in this epoch. Norms in frozen stages keep their running means."""
    head, _ = find_head(model)
    stage = stages(model)
    first = first_learning_stage(recipe, epoch, max(stage.values()))
    frozen = {name for name, depth in stage.items() if depth < first}
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name not in frozen)
    model.train()
    for name, module in model.named_modules() if frozen else ():
        own = [f"{name}.{inner}" if name else inner for inner, _ in module.named_parameters()]
        if own and frozen.issuperset(own):
            module.eval()
    if epoch < recipe.head_epochs:
        model.eval()
        head.train()
