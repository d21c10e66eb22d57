"""Grad-CAM of a whole grid of radiographs for little more than scoring them."""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from core.device import autocast
from core.explain.explained import Cancelled, private_copy
from core.explain.layers import draw, known_layer
from core.explain.methods import fine_cells
from core.inference.classifier import Classifier


def cam_grid(
    classifier: Classifier,
    pixels: np.ndarray,
    layer: str = "",
    fine: bool = False,
    batch: int = 32,
    cancelled: Callable[[], bool] | None = None,
) -> np.ndarray:
    """The maps float32 [n, s, s] of radiographs uint8 [n, s, s], equal to `grad_cam`'s of each; fine: `hires_cam`'s.

    The network is cut at Grad-CAM's layer: up to it nothing is kept for a backward pass, and only what follows, a
    pooling and a linear head in most networks, is gone through backwards. So no closed form is needed, and none of its
    conditions: any head will do.
    """
    side = classifier.spec.size
    if not len(pixels):
        return np.zeros((0, side, side), np.float32)
    copy = private_copy(classifier.model)
    made = []
    with copy.lock, torch.enable_grad():
        cells = fine_cells(side) if fine else 0
        found = known_layer(copy.layers, copy.model, classifier.tensor(pixels[:1]), layer, cells)
        for start in range(0, len(pixels), batch):
            if cancelled and cancelled():
                raise Cancelled("The maps were cancelled before they were done; ask for them again.")
            inputs = classifier.tensor(pixels[start : start + batch]).contiguous(memory_format=torch.channels_last)
            values, gradient = _behind(copy.model, found.module, inputs)
            weights = found.maps(gradient)
            weights = weights if fine else weights.mean((2, 3), keepdim=True)
            coarse = (weights * found.maps(values)).sum(1, keepdim=True)
            made.append(draw(coarse, side)[:, 0].cpu().numpy())
    return np.concatenate(made).astype(np.float32)


def _behind(model: nn.Module, module: nn.Module, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """A module's output and the gradient of the logits in it."""
    kept: list[torch.Tensor] = []

    def cut(_module, _given, output):
        # The weights of a private copy are frozen, so that the graph begins here.
        kept.append(output.detach().requires_grad_(True))
        return kept[0]

    hook = module.register_forward_hook(cut)
    try:
        with autocast(inputs.device):
            logits = model(inputs)
    finally:
        hook.remove()
    (gradient,) = torch.autograd.grad(logits.sum(), kept[0])
    return kept[0].detach(), gradient
