"""Attributions: what in one radiograph moves the logit, as float maps, by name through Captum."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from captum.attr import IntegratedGradients, LayerAttribution, LayerGradCam, Occlusion, Saliency
from torch import nn

from core.errors import OverreadError
from core.inference.classifier import Classifier

METHODS: dict[str, Callable] = {}
# Captum hangs hooks on the network, which visitors of the dashboard share: one attribution at a time.
_LOCK = threading.Lock()
# Sundararajan 2017 asks for completeness; beyond this share of the change in logit the map is not to be read.
WORST_GAP = 0.05
STEPS = (32, 128, 512)


@dataclass(frozen=True)
class Attribution:
    """One map, float32 [size, size], positive where it speaks for abnormal; the logit it explains; a note on it."""

    method: str
    map: np.ndarray
    logit: float
    note: str
    converged: bool = True


def method(call: Callable) -> Callable:
    """Register `call(classifier, inputs [1, 1, s, s]) -> (map tensor [1, 1, s, s], note, converged)` under its name."""
    METHODS[call.__name__] = call
    return call


def attribute(classifier: Classifier, pixels: np.ndarray, name: str) -> Attribution:
    """The map of one radiograph, uint8 [size, size], for that image's logit. OverreadError on an unknown method."""
    if name not in METHODS:
        raise OverreadError(f"There is no saliency method {name!r}; choose one of {', '.join(METHODS)}.")
    with _LOCK, torch.enable_grad():
        # Frozen parameters leave the input as the only way for a gradient.
        inputs = classifier.tensor(pixels[None]).requires_grad_(True)
        with torch.no_grad():
            logit = float(classifier.model(inputs)[0, 0])
        found, note, converged = METHODS[name](classifier, inputs)
    values = found.detach().float().cpu().numpy()[0, 0]
    if not np.isfinite(values).all():
        raise OverreadError(
            f"{name} gives values that are not numbers for {type(classifier.model).__name__}; choose another method."
        )
    return Attribution(name, values, logit, note, converged)


@method
def grad_cam(classifier: Classifier, inputs: torch.Tensor):
    """Grad-CAM (Selvaraju 2017) at the last feature map, both signs kept."""
    name, layer = target_layer(classifier, inputs)
    coarse = LayerGradCam(classifier.model, layer).attribute(inputs, target=0)
    across = coarse.shape[-1]
    return (
        LayerAttribution.interpolate(coarse, inputs.shape[-2:], "bilinear"),
        f"{across} x {across} cells, from {name}",
        True,
    )


@method
def integrated_gradients(classifier: Classifier, inputs: torch.Tensor):
    """Integrated gradients (Sundararajan 2017) from a black image, black in pixels and not in the normalised tensor.

    In 32 steps; where the map does not add up to the change in logit, in 128, then in 512.
    """
    black = _black(classifier, inputs)
    with torch.no_grad():
        change = float((classifier.model(inputs) - classifier.model(black))[0, 0])
    explained = IntegratedGradients(classifier.model)
    for steps in STEPS:
        found, gap = explained.attribute(
            inputs, baselines=black, target=0, n_steps=steps, internal_batch_size=16, return_convergence_delta=True
        )
        share = abs(float(gap)) / max(abs(change), 1e-6)
        if share <= WORST_GAP:
            break
    verdict = "complete" if share <= WORST_GAP else "not complete: do not read this map"
    return found, f"{steps} steps from black; gap {share:.1%} of the change in logit ({verdict})", share <= WORST_GAP


@method
def saliency(classifier: Classifier, inputs: torch.Tensor):
    """The gradient of the logit (Simonyan 2014), with its sign."""
    return (
        Saliency(classifier.model).attribute(inputs, target=0, abs=False),
        "gradient of the logit, with its sign",
        True,
    )


@method
def occlusion(classifier: Classifier, inputs: torch.Tensor):
    """Occlusion (Zeiler 2014): how far the logit falls when a black square covers the place."""
    side = max(4, inputs.shape[-1] // 8)
    stride = max(1, side // 2)
    with torch.no_grad():
        found = Occlusion(classifier.model).attribute(
            inputs,
            sliding_window_shapes=(1, side, side),
            strides=(1, stride, stride),
            baselines=_black(classifier, inputs),
            target=0,
            perturbations_per_eval=32,
        )
    return found, f"black squares of {side} px, every {stride} px", True


def target_layer(classifier: Classifier, inputs: torch.Tensor) -> tuple[str, nn.Module]:
    """The last module to give a feature map before pooling, found by running the network once on a square.

    OverreadError where there is none, or where tokens come after it: there the last map is far from the logit.
    """
    seen: list[tuple[str, nn.Module, torch.Size]] = []

    def note(name: str, module: nn.Module):
        def hook(_module, _inputs, output):
            if isinstance(output, torch.Tensor):
                seen.append((name, module, output.shape))

        return hook

    leaves = [
        (name, module)
        for name, module in classifier.model.named_modules()
        if not list(module.children()) and "Pool" not in type(module).__name__
    ]
    hooks = [module.register_forward_hook(note(name, module)) for name, module in leaves]
    try:
        with torch.no_grad():
            classifier.model(inputs)
    finally:
        for hook in hooks:
            hook.remove()
    # A square input gives square maps; heads x tokens or channels last are not.
    maps = [place for place, (_, _, shape) in enumerate(seen) if len(shape) == 4 and shape[2] == shape[3] > 1]
    if not maps or any(len(shape) == 3 for _, _, shape in seen[maps[-1] :]):
        raise OverreadError(
            f"{type(classifier.model).__name__} gives no feature map near its logit, which Grad-CAM needs "
            "(a transformer works on tokens); choose another method."
        )
    return seen[maps[-1]][:2]


def _black(classifier: Classifier, inputs: torch.Tensor) -> torch.Tensor:
    return torch.full_like(inputs, classifier.spec.normalise(0.0)).detach()
