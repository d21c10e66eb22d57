"""Attention pooling over the views of a study (Ilse, Tomczak and Welling 2018).

A backbone turns each view into features and a gated head weighs them. The head is linear, so the logit of the weighted
features is the weighted mean of the views' own logits: a study's score needs only the logit and the attention of each
radiograph. A single radiograph is a study of one view.
"""

import torch
from torch import nn

from core.errors import OverreadError
from core.models.networks.registry import build, register
from core.models.networks.structure import find_head


class GatedHead(nn.Module):
    """Features [n, width] to [n, 2]: the logit of each view, and its attention before the softmax over the study."""

    def __init__(self, width: int, hidden: int):
        super().__init__()
        self.what, self.gate = nn.Linear(width, hidden), nn.Linear(width, hidden)
        self.attention, self.logit = nn.Linear(hidden, 1), nn.Linear(width, 1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Features [n, features] to [n, 2]: the logit of a view, and the logarithm of its weight before the softmax."""
        gated = self.what(features).tanh() * self.gate(features).sigmoid()
        return torch.cat([self.logit(features), self.attention(gated)], 1)


def pool_views(views: torch.Tensor, study: torch.Tensor, count: int) -> torch.Tensor:
    """Logits [count] of studies from [n, 2] (logit, attention) of views. study: the study of each view, int [n]."""
    logit, attention = views.float().unbind(1)
    # Minus the highest attention of the study, so that no exponential overflows; the weights stay the same.
    top = attention.detach().new_full((count,), -torch.inf).scatter_reduce(0, study, attention.detach(), "amax")
    weight = (attention - top[study]).exp()
    total = torch.zeros_like(top)
    return total.index_add(0, study, weight * logit) / total.index_add(0, study, weight)


class AttentionPool(nn.Module):
    """A backbone whose last layer is replaced by a GatedHead."""

    reads_studies = True

    def __init__(self, backbone: nn.Module, hidden: int):
        super().__init__()
        self.backbone, width = without_head(backbone)
        self.head = GatedHead(width, hidden)

    def get_classifier(self) -> nn.Module:
        """The gate and the last layer, which learn while the backbone is frozen."""
        return self.head

    def views(self, radiographs: torch.Tensor) -> torch.Tensor:
        """Radiographs [n, 1, s, s] to [n, 2]: logit and attention of each."""
        return self.head(self.backbone(radiographs))

    def forward(self, radiographs: torch.Tensor, study: torch.Tensor | None = None, count: int = 0) -> torch.Tensor:
        """Logits [n, 1] of radiographs or, with `study` and `count` of `pool_views`, logits [count, 1] of studies."""
        views = self.views(radiographs)
        return views[:, :1] if study is None else pool_views(views, study, count)[:, None]


def without_head(network: nn.Module) -> tuple[nn.Module, int]:
    """The network without its last layer, returning features [n, width], and that width.

    OverreadError where it does not end in one linear layer.
    """
    head, _ = find_head(network)
    width = getattr(head, "in_features", None) or getattr(head, "in_channels", None)
    place = next((name for name, module in network.named_modules() if module is head), "")
    if not width or not place:
        raise OverreadError(
            f"{type(network).__name__} ends in {type(head).__name__}; attention pooling replaces one linear layer. "
            "Choose another backbone.",
            code="backbone-unsupported",
        )
    owner, _, name = place.rpartition(".")
    setattr(network.get_submodule(owner), name, nn.Identity())
    network.headless = place  # a file of weights may have this layer; loading leaves it out
    return network, width


@register
def attention(
    backbone: str = "grey_resnet", backbone_kwargs: dict | None = None, hidden: int = 64, weights: str = ""
) -> nn.Module:
    """An AttentionPool over any registered network; `attention:NAME` is short for it."""
    return AttentionPool(build(backbone, backbone_kwargs, weights), hidden)
