"""Optimiser and learning rate as functions of the recipe and the step."""

import math

import torch
from torch import nn

from core.models.registry import parts
from core.training.recipe import Recipe


def optimiser_for(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """AdamW or SGD over three groups, `backbone`, `head` and `plain` (biases and norms: no decay)."""
    _, head = parts(model)
    groups: dict[tuple, list] = {}
    for name, parameter in model.named_parameters():
        groups.setdefault((name in head, parameter.ndim > 1), []).append(parameter)
    listed = [
        {
            "params": parameters,
            "scale": 1.0 if in_head else recipe.backbone_rate,
            "in_head": in_head,
            "weight_decay": recipe.weight_decay if decays else 0.0,
        }
        for (in_head, decays), parameters in groups.items()
    ]
    if recipe.optimiser == "sgd":
        return torch.optim.SGD(listed, lr=recipe.learning_rate, momentum=0.9, nesterov=True)
    return torch.optim.AdamW(listed, lr=recipe.learning_rate, fused=True)


def set_rates(optimiser: torch.optim.Optimizer, recipe: Recipe, progress: float) -> float:
    """Set each group's rate for `progress` epochs done (a fraction counts); returns the head's rate.

    A function of progress alone, so that a resumed run needs no memory of it.
    """
    rate = recipe.learning_rate
    if progress < recipe.warmup_epochs:
        rate *= progress / recipe.warmup_epochs
    elif recipe.schedule == "cosine":
        done = (progress - recipe.warmup_epochs) / max(recipe.epochs - recipe.warmup_epochs, 1e-9)
        rate *= 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
    for group in optimiser.param_groups:
        frozen = progress < recipe.head_epochs and not group["in_head"]
        group["lr"] = 0.0 if frozen else rate * group["scale"]
    return rate


def freeze_backbone(model: nn.Module, frozen: bool) -> None:
    """Let only the head learn, or all of it. Frozen norms also keep their running means."""
    head, names = parts(model)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in names or not frozen)
    model.train()
    if frozen:
        model.eval()
        head.train()
