"""Attention over the patches of all views of a study: a small transformer, then the gated attention of `attention.py`.

Patches are the places of a backbone's last map. Within a radiograph they exchange what they see (one transformer
block), then each has a logit and an attention, and a study's logit is the mean over the patches of all its views,
weighted by the softmax of their attentions. A softmax over all patches is one over each view's patches and one over
views, so a study's score again needs only two numbers of each radiograph: its logit, and the log of its summed
attention.
"""

import torch
from torch import nn
from torch.nn.functional import gelu, scaled_dot_product_attention

from core.errors import OverreadError
from core.models.networks.attention import AttentionPool, GatedHead, without_head
from core.models.networks.registry import build, register


class PatchBlock(nn.Module):
    """One transformer block over patches [n, patches, width], with the norm before each part (Xiong 2020)."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.norm_mixed, self.norm_own = nn.LayerNorm(width), nn.LayerNorm(width)
        self.triple, self.mixed = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wide, self.narrow = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        """Patches [n, patches, width] to patches of the same shape."""
        n, count, width = patches.shape
        triple = self.triple(self.norm_mixed(patches)).reshape(n, count, 3, self.heads, width // self.heads)
        query, key, value = triple.permute(2, 0, 3, 1, 4)
        mixed = scaled_dot_product_attention(query, key, value).transpose(1, 2).reshape(n, count, width)
        patches = patches + self.mixed(mixed)
        return patches + self.narrow(gelu(self.wide(self.norm_own(patches))))


class PatchHead(nn.Module):
    """Patches [n, patches, features] to [n, 2]: the logit of each view, and its attention before the softmax."""

    def __init__(self, features: int, width: int, heads: int):
        super().__init__()
        self.narrow, self.block = nn.Linear(features, width), PatchBlock(width, heads)
        self.norm, self.gated = nn.LayerNorm(width), GatedHead(width, width)

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        """Patches [n, patches, features] to [n, 2]: the logit of a view, and the logarithm of its weight."""
        seen = self.norm(self.block(self.narrow(patches)))
        logit, attention = self.gated(seen.flatten(0, 1)).float().unflatten(0, seen.shape[:2]).unbind(2)
        return torch.stack([(attention.softmax(1) * logit).sum(1), attention.logsumexp(1)], 1)


class PatchAttentionPool(AttentionPool):
    """A backbone whose map before pooling goes to a PatchHead."""

    def __init__(self, backbone: nn.Module, width: int, heads: int):
        nn.Module.__init__(self)
        self.features = getattr(backbone, "num_features", 0)
        if not self.features or not hasattr(backbone, "forward_features"):
            raise OverreadError(
                f"{type(backbone).__name__} gives no map of features; attention over patches needs one. "
                "Choose another backbone.",
                code="backbone-unsupported",
            )
        self.backbone, _ = without_head(backbone)
        self.head = PatchHead(self.features, width, heads)

    def views(self, radiographs: torch.Tensor) -> torch.Tensor:
        """Radiographs [n, channels, height, width] to [n, 2]: the logit and the logarithm of the weight of each."""
        maps = self.backbone.forward_features(radiographs)
        if maps.ndim == 4:  # [n, features, h, w], or [n, h, w, features] as in Swin
            maps = maps.flatten(2).transpose(1, 2) if maps.shape[1] == self.features else maps.flatten(1, 2)
        return self.head(maps)


@register
def patch_attention(
    backbone: str = "grey_resnet",
    backbone_kwargs: dict | None = None,
    width: int = 64,
    heads: int = 4,
    weights: str = "",
) -> nn.Module:
    """A PatchAttentionPool over any registered network; `patch_attention:NAME` is short for it."""
    return PatchAttentionPool(build(backbone, backbone_kwargs, weights), width, heads)
