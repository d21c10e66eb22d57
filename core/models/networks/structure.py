"""The head of a network, and the stages of its backbone."""

import torch
from timm.models import group_parameters
from torch import nn

from core.errors import OverreadError, reason_of


def reads_studies(model: nn.Module) -> bool:
    """Whether the network learns from whole studies and weighs their views by attention."""
    return getattr(model, "reads_studies", False)


def find_head(model: nn.Module) -> tuple[nn.Module, list[str]]:
    """The head (a module) and the names of its parameters. Everything else is the backbone, which may be frozen."""
    head = model.get_classifier()
    # A distilled network has two heads and returns the mean of their outputs.
    head = nn.ModuleList(head) if isinstance(head, tuple) else head
    inside = {id(parameter) for parameter in head.parameters()}
    return head, [name for name, parameter in model.named_parameters() if id(parameter) in inside]


def stages(model: nn.Module) -> dict[str, int]:
    """The stage of each parameter by name, from 0 (the stem) to that of the head, which is the last.

    timm's own grouping where the network has one; otherwise each top-level module is a stage.
    """
    if reads_studies(model) and hasattr(model, "backbone"):
        inside = stages(model.backbone)
        last = max(inside.values()) + 1
        return {name: inside.get(name.removeprefix("backbone."), last) for name, _ in model.named_parameters()}
    _, head = find_head(model)
    try:
        found = group_parameters(model, model.group_matcher(coarse=True), reverse=True)
    except (AttributeError, AssertionError, NotImplementedError):  # our networks, and the few of timm without groups
        tops = list(dict.fromkeys(name.split(".")[0] for name, _ in model.named_parameters()))
        found = {name: tops.index(name.split(".")[0]) for name, _ in model.named_parameters()}
    last = max([found[name] for name in found if name not in head], default=0) + 1
    return {name: last if name in head else min(found[name], last - 1) for name, _ in model.named_parameters()}


def check_size(model: nn.Module, architecture: str, size: int) -> None:
    """OverreadError where the network does not take grey squares of `size` pixels, before any file is decoded."""
    try:
        with torch.no_grad():
            logits = model.eval()(torch.zeros(2, 1, size, size, device=next(model.parameters()).device))
    except (RuntimeError, AssertionError, ValueError, IndexError) as error:
        made = (getattr(getattr(model, "backbone", model), "pretrained_cfg", None) or {}).get("input_size", (0,))[-1]
        other = f'size={made}, or where it takes one model_kwargs={{"img_size": {size}}}' if made else "another size"
        raise OverreadError(
            f"{architecture} does not take {size} px ({reason_of(error)}); set {other}.", code="size-unsupported"
        ) from error
    if logits.shape != (2, 1):
        raise OverreadError(
            f"{architecture} returns {list(logits.shape)} for 2 radiographs; expected one logit each, [2, 1].",
            code="logits-shape",
        )
