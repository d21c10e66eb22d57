"""Several networks as one: the mean of their logits."""

import torch
from torch import nn

from core.models.registry import build, parts, reads_studies, register


class Ensemble(nn.Module):
    """Members {architecture, model_kwargs}; each sees the same radiographs."""

    def __init__(self, members: list[dict]):
        super().__init__()
        self.members = nn.ModuleList(build(member["architecture"], member["model_kwargs"]) for member in members)
        # Of networks that weigh views, attention is averaged as the logits are: before the softmax.
        self.reads_studies = all(reads_studies(member) for member in self.members)

    def get_classifier(self) -> tuple[nn.Module, ...]:
        """Every member's last layer."""
        return tuple(parts(member)[0] for member in self.members)

    def forward(self, radiographs: torch.Tensor) -> torch.Tensor:
        return torch.stack([member(radiographs) for member in self.members]).mean(0)

    def views(self, radiographs: torch.Tensor) -> torch.Tensor:
        """Mean logit and attention [n, 2], where the members weigh the views of a study."""
        return torch.stack([member.views(radiographs) for member in self.members]).mean(0)


@register
def ensemble(members: list[dict]) -> nn.Module:
    """An Ensemble of at least one member."""
    return Ensemble(members)
