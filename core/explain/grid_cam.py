"""Grad-CAM or HiRes-CAM of many radiographs in one pass, for little more than the cost of scoring them."""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from core.device import autocast, channels_last
from core.explain.attribution_target import MapCancelled
from core.explain.layers import Layer, cached_layer, upsample
from core.explain.memory import batch_that_fits, retry_with_smaller_batches
from core.explain.methods import fine_cells
from core.explain.private_copy import locked_copy
from core.scores.classifier import Classifier


def cam_grid(
    classifier: Classifier,
    pixels: np.ndarray,
    layer: str = "",
    fine: bool = False,
    batch: int = 0,
    cancelled: Callable[[], bool] | None = None,
) -> np.ndarray:
    """Return the maps float32 [n, s, s] of radiographs uint8 [n, s, s].

    They equal the map of `grad_cam` for each radiograph; with `fine`, that of `hires_cam`. The network is cut at the
    layer: no graph is kept up to there, and only the part after it runs backwards, in most networks a pooling and a
    linear head. Since no closed form is used, any head works.
    """
    side = classifier.spec.size
    if not len(pixels):
        return np.zeros((0, side, side), np.float32)
    with locked_copy(classifier.model) as copy, torch.enable_grad():

        def compute(rows: int) -> np.ndarray:
            min_cells, maps = fine_cells(side) if fine else 0, []
            found = cached_layer(copy.layers, copy.model, classifier.tensor(pixels[:1]), layer, min_cells)
            for start in range(0, len(pixels), rows):
                if cancelled and cancelled():
                    raise MapCancelled(
                        "The maps were cancelled before they were finished; ask for them again.", code="map-cancelled"
                    )
                maps.append(_maps(classifier, copy.model, found, pixels[start : start + rows], fine))
            return np.concatenate(maps).astype(np.float32)

        # No graph is kept up to the layer, so four times as many fit as for other methods.
        first_batch = batch or min(32, 4 * batch_that_fits(side))
        return retry_with_smaller_batches(compute, first_batch, "HiRes-CAM" if fine else "Grad-CAM", side)


def _maps(classifier: Classifier, model: nn.Module, layer: Layer, pixels: np.ndarray, fine: bool) -> np.ndarray:
    inputs = channels_last(classifier.tensor(pixels))
    values, gradient = _output_and_gradient(model, layer.module, inputs)
    weights = layer.maps(gradient)
    weights = weights if fine else weights.mean((2, 3), keepdim=True)
    coarse = (weights * layer.maps(values)).sum(1, keepdim=True)
    return upsample(coarse, pixels.shape[-1])[:, 0].cpu().numpy()


def _output_and_gradient(
    model: nn.Module, module: nn.Module, inputs: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """A module's output, and the gradient of the logits with respect to it."""
    outputs: list[torch.Tensor] = []

    def cut(_module, _inputs, output):
        # The weights of a private copy are frozen, so the graph begins here.
        outputs.append(output.detach().requires_grad_(True))
        return outputs[0]

    hook = module.register_forward_hook(cut)
    try:
        with autocast(inputs.device):
            logits = model(inputs)
    finally:
        hook.remove()
    (gradient,) = torch.autograd.grad(logits.sum(), outputs[0])
    return outputs[0].detach(), gradient
