"""The saliency methods, each around a Captum call. Importing this module fills METHODS.

To add a method, write a function from MapRequest to MethodMap here and decorate it with `saliency_method`.
"""

from contextlib import nullcontext

import numpy as np
import torch

from core.deferred_imports import deferred
from core.explain.layers import Layer, upsample
from core.explain.method_registry import METHODS, WORST_GAP, MapRequest, MethodMap, MethodRefused, saliency_method
from core.explain.suitability import deep_lift_fault, guided_backprop_fault
from core.plural import count_text

# Captum loads matplotlib for its pictures, which nothing here draws.
with deferred("captum.attr._utils.visualization", "draw_mask_border", "draw_mask_legend"):
    from captum import attr

__all__ = ["METHODS", "fine_cells"]

IG_STEPS = (32, 128, 512)
SMOOTH_SAMPLES, SMOOTH_NOISE = 16, 0.1
SEGMENTS = 64
# How many coalitions KernelSHAP draws for each superpixel.
COALITIONS = 8
# The largest width in pixels of a cell of HiRes-CAM's layer; docs/lab-log.md compares 8, 16 and 32.
FINE = 8


@saliency_method
def hires_cam(request: MapRequest) -> MethodMap:
    """Gradient times activation at each place, at the last feature map with small cells; keeps both signs."""
    layer = request.layer(fine_cells(request.inputs.shape[-1]))
    product = attr.LayerGradientXActivation(request.target, layer.module).attribute(request.inputs, target=0)
    coarse = layer.maps(product).sum(1, keepdim=True)
    note = f"{layer.height} x {layer.width} cells, from {layer.name}"
    return MethodMap(_full_size(coarse, request), note, layer=layer.name)


@saliency_method
def grad_cam(request: MapRequest) -> MethodMap:
    """Feature maps weighted by their mean gradient, at the last map before the pooling; keeps both signs."""
    layer = request.layer()
    coarse = _grad_cam(request, layer)
    note = f"{layer.height} x {layer.width} cells, from {layer.name}"
    return MethodMap(_full_size(coarse, request), note, layer=layer.name)


@saliency_method
def layer_cam(request: MapRequest) -> MethodMap:
    """HiRes-CAM with the positive part of each gradient: evidence for abnormal only."""
    layer = request.layer(fine_cells(request.inputs.shape[-1]))
    gradient = attr.LayerGradientXActivation(request.target, layer.module, multiply_by_inputs=False).attribute(
        request.inputs, target=0
    )
    with torch.no_grad():
        values = attr.LayerActivation(request.target, layer.module).attribute(request.inputs)
    coarse = (layer.maps(gradient).relu() * layer.maps(values)).sum(1, keepdim=True).relu()
    note = f"{layer.height} x {layer.width} cells, from {layer.name}; evidence for abnormal only"
    return MethodMap(_full_size(coarse, request), note, layer=layer.name)


@saliency_method
def occlusion(request: MapRequest) -> MethodMap:
    """How far the logit falls when a square of the baseline covers a place."""
    size = request.inputs.shape[-1]
    # 64 squares at every image size, so that the map takes about a second.
    side, stride = max(2, size // 6), max(1, size // 8)
    with torch.no_grad(), request.target.half_precision():
        values = attr.Occlusion(request.target).attribute(
            request.inputs,
            sliding_window_shapes=(1, side, side),
            strides=(1, stride, stride),
            baselines=request.baseline,
            target=0,
            perturbations_per_eval=request.batch,
        )
    return MethodMap(values, f"squares of {side} px of {request.baseline_name}, every {stride} px")


@saliency_method
def integrated_gradients(request: MapRequest) -> MethodMap:
    """Gradients summed along the line from the baseline, with more steps where few leave a gap."""
    captum_method = attr.IntegratedGradients(request.target)
    change = _change_in_logit(request)
    # Half precision is tried first: the gap, measured in full precision, shows whether it suffices.
    attempts = [(IG_STEPS[0], True), *((steps, False) for steps in IG_STEPS)]
    for steps, half in attempts:
        with request.target.half_precision() if half else nullcontext():
            values = captum_method.attribute(
                request.inputs, baselines=request.baseline, target=0, n_steps=steps, internal_batch_size=request.batch
            )
        share = abs(float(values.detach().sum()) - change) / max(abs(change), 1e-6)
        if share <= WORST_GAP:
            break
    note = f"{count_text(steps, 'step')} from {request.baseline_name}; gap {share:.1%} of the change in logit"
    return MethodMap(values, note, share)


@saliency_method
def saliency(request: MapRequest) -> MethodMap:
    """The gradient of the logit, with its sign."""
    return MethodMap(_gradient(request), "gradient, with its sign")


@saliency_method
def input_x_gradient(request: MapRequest) -> MethodMap:
    """The gradient times the difference between the radiograph and the baseline."""
    # Captum would multiply by the normalised tensor, whose zero is mean grey and not the baseline.
    product = _gradient(request) * (request.inputs - request.baseline)
    return MethodMap(product, f"gradient times the difference from {request.baseline_name}")


@saliency_method
def smooth_grad(request: MapRequest) -> MethodMap:
    """The mean gradient over noisy copies."""
    return _noise_tunnel(request, "smoothgrad")


@saliency_method
def var_grad(request: MapRequest) -> MethodMap:
    """The variance of the gradient over noisy copies."""
    return _noise_tunnel(request, "vargrad")


@saliency_method
def guided_backprop(request: MapRequest) -> MethodMap:
    """Gradients through ReLUs where signal and gradient are positive. Fails randomisation tests (Adebayo 2018)."""
    return MethodMap(
        _guided_gradient(request),
        "fails the published randomisation tests: it shows edges for any weights",
    )


@saliency_method
def guided_grad_cam(request: MapRequest) -> MethodMap:
    """Guided backpropagation times the positive part of Grad-CAM."""
    layer, guided = request.layer(), _guided_gradient(request)
    coarse = _full_size(_grad_cam(request, layer).relu(), request)
    return MethodMap(
        guided * coarse, f"times Grad-CAM from {layer.name}; fails the randomisation tests", layer=layer.name
    )


@saliency_method
def layer_activation(request: MapRequest) -> MethodMap:
    """The mean absolute activation of the last feature map, independent of the logit."""
    layer = request.layer()
    with torch.no_grad():
        values = attr.LayerActivation(request.target, layer.module).attribute(request.inputs)
    coarse = layer.maps(values).abs().mean(1, keepdim=True)
    note = f"{layer.height} x {layer.width} cells, from {layer.name}; does not depend on the decision"
    return MethodMap(_full_size(coarse, request), note, layer=layer.name)


@saliency_method
def gradient_shap(request: MapRequest) -> MethodMap:
    """Expected gradients between noisy copies and the baseline."""
    captum_method, total, done = attr.GradientShap(request.target), torch.zeros_like(request.inputs), 0
    # In batches, since Captum puts all copies through the network at once.
    while done < SMOOTH_SAMPLES:
        count = min(SMOOTH_SAMPLES - done, request.batch)
        with request.target.half_precision():
            part = captum_method.attribute(
                request.inputs,
                baselines=request.baseline,
                n_samples=count,
                stdevs=SMOOTH_NOISE / request.noise_unit,
                target=0,
            )
        total, done = total + count * part.detach(), done + count
    return MethodMap(total / SMOOTH_SAMPLES, f"{SMOOTH_SAMPLES} noisy copies against {request.baseline_name}")


@saliency_method
def deep_lift(request: MapRequest) -> MethodMap:
    """Differences from the baseline, propagated back by the rescale rule."""
    if fault := deep_lift_fault(request.target, request.inputs):
        raise MethodRefused(f"DeepLIFT is refused: {fault}. Choose integrated gradients.", code="deep-lift-unsuitable")
    # Captum attaches the rescale rule to the activation modules of the network.
    values, gap = attr.DeepLift(request.target).attribute(
        request.inputs, baselines=request.baseline, target=0, return_convergence_delta=True
    )
    share = abs(float(gap)) / max(abs(_change_in_logit(request)), 1e-6)
    return MethodMap(values, f"against {request.baseline_name}; gap {share:.1%} of the change in logit", share)


@saliency_method
def feature_ablation(request: MapRequest) -> MethodMap:
    """How far the logit falls when the baseline replaces a superpixel."""
    mask, count = _superpixels(request)
    with torch.no_grad(), request.target.half_precision():
        values = attr.FeatureAblation(request.target).attribute(
            request.inputs,
            baselines=request.baseline,
            target=0,
            feature_mask=mask,
            perturbations_per_eval=request.batch,
        )
    return MethodMap(values, f"{count} superpixels, replaced by {request.baseline_name}")


@saliency_method
def kernel_shap(request: MapRequest) -> MethodMap:
    """Shapley values of superpixels, by weighted regression over random coalitions."""
    mask, count = _superpixels(request)
    samples = COALITIONS * count
    with torch.no_grad(), request.target.half_precision():
        values = attr.KernelShap(request.target).attribute(
            request.inputs,
            baselines=request.baseline,
            target=0,
            feature_mask=mask,
            n_samples=samples,
            perturbations_per_eval=request.batch,
        )
    return MethodMap(values, f"{count} superpixels, {samples} coalitions with {request.baseline_name}")


def fine_cells(side: int) -> int:
    """The number of cells a side whose width is FINE pixels, for a radiograph of `side` pixels."""
    return max(2, side // FINE)


def _gradient(request: MapRequest) -> torch.Tensor:
    return attr.Saliency(request.target).attribute(request.inputs, target=0, abs=False)


def _grad_cam(request: MapRequest, layer: Layer) -> torch.Tensor:
    """Grad-CAM at the layer's own resolution, [n, 1, h, w]."""
    cam = attr.LayerGradCam(request.target, layer.module)
    if layer.layout == "maps":
        return cam.attribute(request.inputs, target=0)
    # Captum takes dimension 1 for the channels, which is wrong for this layout.
    gradients = attr.LayerGradientXActivation(request.target, layer.module, multiply_by_inputs=False).attribute(
        request.inputs, target=0
    )
    with torch.no_grad():
        values = attr.LayerActivation(request.target, layer.module).attribute(request.inputs)
    weights = layer.maps(gradients).mean((2, 3), keepdim=True)
    return (weights * layer.maps(values)).sum(1, keepdim=True)


def _full_size(coarse: torch.Tensor, request: MapRequest) -> torch.Tensor:
    return upsample(coarse.detach(), request.inputs.shape[-1]).transpose(0, 1)


def _guided_gradient(request: MapRequest) -> torch.Tensor:
    if fault := guided_backprop_fault(request.target, request.inputs):
        raise MethodRefused(
            f"Guided backpropagation is refused: {fault}. Choose Grad-CAM or the gradient.",
            code="guided-backprop-unsuitable",
        )
    return attr.GuidedBackprop(request.target).attribute(request.inputs, target=0)


def _noise_tunnel(request: MapRequest, kind: str) -> MethodMap:
    with request.target.half_precision():
        values = attr.NoiseTunnel(attr.Saliency(request.target)).attribute(
            request.inputs,
            nt_type=kind,
            nt_samples=SMOOTH_SAMPLES,
            nt_samples_batch_size=min(SMOOTH_SAMPLES, request.batch),
            stdevs=SMOOTH_NOISE / request.noise_unit,
            target=0,
            abs=False,
        )
    return MethodMap(values, f"{SMOOTH_SAMPLES} copies with noise of {SMOOTH_NOISE:.0%} of the grey range")


def _superpixels(request: MapRequest) -> tuple[torch.Tensor, int]:
    """Superpixel numbers int64 [1, n, s, s], distinct across the views, and their count."""
    from skimage.segmentation import slic

    labels, count = [], 0
    for view in request.pixels:
        # SLIC finds a single region in a flat picture; the squares of a grid replace it.
        segments = slic(view / 255, SEGMENTS, compactness=0.1, channel_axis=None, start_label=0)
        if segments.max() < 3:
            step = max(1, view.shape[0] // 8)
            rows, columns = np.indices(view.shape) // step
            segments = rows * (columns.max() + 1) + columns
        labels.append(segments + count)
        count += int(segments.max()) + 1
    return torch.from_numpy(np.stack(labels)).long()[None].to(request.inputs.device), count


def _change_in_logit(request: MapRequest) -> float:
    with torch.no_grad():
        return float((request.target(request.inputs) - request.target(request.baseline))[0, 0])
