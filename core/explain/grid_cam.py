"""Grad-CAM of a whole grid of radiographs for little more than scoring them."""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from core.device import autocast, channels_last
from core.explain.attribution_target import Cancelled, held_copy
from core.explain.layers import Layer, draw, known_layer
from core.explain.memory import at_once, in_parts
from core.explain.methods import fine_cells
from core.scores.classifier import Classifier


def cam_grid(
    classifier: Classifier,
    pixels: np.ndarray,
    layer: str = "",
    fine: bool = False,
    batch: int = 0,
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
    with held_copy(classifier.model) as copy, torch.enable_grad():

        def at(rows: int) -> np.ndarray:
            cells, made = fine_cells(side) if fine else 0, []
            found = known_layer(copy.layers, copy.model, classifier.tensor(pixels[:1]), layer, cells)
            for start in range(0, len(pixels), rows):
                if cancelled and cancelled():
                    raise Cancelled("The maps were cancelled before they were done; ask for them again.")
                made.append(_maps(classifier, copy.model, found, pixels[start : start + rows], fine))
            return np.concatenate(made).astype(np.float32)

        # Nothing is kept for a backward pass up to the layer, so that more fit than of one map's variants.
        return in_parts(at, batch or min(32, 4 * at_once(side)), "HiRes-CAM" if fine else "Grad-CAM", side)


def _maps(classifier: Classifier, model: nn.Module, layer: Layer, pixels: np.ndarray, fine: bool) -> np.ndarray:
    inputs = channels_last(classifier.tensor(pixels))
    values, gradient = _behind(model, layer.module, inputs)
    weights = layer.maps(gradient)
    weights = weights if fine else weights.mean((2, 3), keepdim=True)
    coarse = (weights * layer.maps(values)).sum(1, keepdim=True)
    return draw(coarse, pixels.shape[-1])[:, 0].cpu().numpy()


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
