"""An ensemble: the mean of the logits of several networks."""

import torch
from torch import nn

from core.models.networks.registry import build, register
from core.models.networks.structure import find_head, reads_studies


class Ensemble(nn.Module):
    """Networks given as {architecture, model_kwargs}, applied to the same radiographs."""

    def __init__(self, members: list[dict]):
        super().__init__()
        self.members = nn.ModuleList(build(member["architecture"], member["model_kwargs"]) for member in members)
        # Members that weigh views: their attention is averaged before the softmax, like their logits.
        self.reads_studies = all(reads_studies(member) for member in self.members)

    def get_classifier(self) -> tuple[nn.Module, ...]:
        """The last layer of every member."""
        return tuple(find_head(member)[0] for member in self.members)

    def forward(self, radiographs: torch.Tensor) -> torch.Tensor:
        """The mean of the members' outputs."""
        return torch.stack([member(radiographs) for member in self.members]).mean(0)

    def views(self, radiographs: torch.Tensor) -> torch.Tensor:
        """Mean logit and attention [n, 2] of members that weigh the views of a study."""
        return torch.stack([member.views(radiographs) for member in self.members]).mean(0)


@register
def ensemble(members: list[dict]) -> nn.Module:
    """An Ensemble of at least one member."""
    return Ensemble(members)
