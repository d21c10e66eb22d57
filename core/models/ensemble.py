"""Several networks as one: the mean of their logits."""

import torch
from torch import nn

from core.models.registry import build, parts, register


class Ensemble(nn.Module):
    """Members {architecture, model_kwargs}; each sees the same radiographs."""

    def __init__(self, members: list[dict]):
        super().__init__()
        self.members = nn.ModuleList(build(member["architecture"], member["model_kwargs"]) for member in members)

    def get_classifier(self) -> tuple[nn.Module, ...]:
        """Every member's last layer."""
        return tuple(parts(member)[0] for member in self.members)

    def forward(self, radiographs: torch.Tensor) -> torch.Tensor:
        return torch.stack([member(radiographs) for member in self.members]).mean(0)


@register
def ensemble(members: list[dict]) -> nn.Module:
    """An Ensemble of at least one member."""
    return Ensemble(members)
