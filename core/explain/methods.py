"""The methods, each one Captum call. Importing this module registers them."""

from contextlib import nullcontext

import numpy as np
import torch
from captum import attr

from core.explain.attribution import WORST_GAP, Found, Refused, Task, method
from core.explain.layers import draw
from core.explain.suitability import deep_lift_fault, guided_backprop_fault

IG_STEPS = (32, 128, 512)
SMOOTH_SAMPLES, SMOOTH_NOISE = 16, 0.1
SEGMENTS = 64
# Coalitions of superpixels that KernelSHAP asks, for each superpixel.
COALITIONS = 8
# Pixels that a cell of HiRes-CAM's layer may be wide; docs/lab-log.md has what 8, 16 and 32 find.
FINE = 8


@method("HiRes-CAM", cost=1, source="Draelos 2020", uses=("layer",))
def hires_cam(task: Task) -> Found:
    """Gradient times activation, place by place, at the last map that is still fine; both signs kept."""
    layer = task.layer(fine_cells(task.inputs.shape[-1]))
    product = attr.LayerGradientXActivation(task.explained, layer.module).attribute(task.inputs, target=0)
    coarse = layer.maps(product).sum(1, keepdim=True)
    note = f"{layer.height} x {layer.width} cells, from {layer.name}"
    return Found(_upsample(coarse, task), note, layer=layer.name)


@method("Grad-CAM", cost=0.4, source="Selvaraju 2017", uses=("layer",))
def grad_cam(task: Task) -> Found:
    """Feature maps weighted by their mean gradient, at the last map before pooling; both signs kept."""
    layer = task.layer()
    coarse = _grad_cam(task, layer)
    note = f"{layer.height} x {layer.width} cells, from {layer.name}"
    return Found(_upsample(coarse, task), note, layer=layer.name)


@method("LayerCAM", cost=1, source="Jiang 2021", uses=("layer",))
def layer_cam(task: Task) -> Found:
    """HiRes-CAM with the positive part of each gradient: what speaks for abnormal, and nothing else."""
    layer = task.layer(fine_cells(task.inputs.shape[-1]))
    gradient = attr.LayerGradientXActivation(task.explained, layer.module, multiply_by_inputs=False).attribute(
        task.inputs, target=0
    )
    with torch.no_grad():
        values = attr.LayerActivation(task.explained, layer.module).attribute(task.inputs)
    coarse = (layer.maps(gradient).relu() * layer.maps(values)).sum(1, keepdim=True).relu()
    note = f"{layer.height} x {layer.width} cells, from {layer.name}; only what speaks for abnormal"
    return Found(_upsample(coarse, task), note, layer=layer.name)


@method("Occlusion", cost=60, source="Zeiler 2014", uses=("baseline",))
def occlusion(task: Task) -> Found:
    """How far the logit falls when a square of the baseline covers the place."""
    size = task.inputs.shape[-1]
    # Squares of a sixth every eighth: 64 of them whatever the size, so that the map is there within a second or so.
    side, stride = max(2, size // 6), max(1, size // 8)
    with torch.no_grad(), task.explained.quick():
        found = attr.Occlusion(task.explained).attribute(
            task.inputs,
            sliding_window_shapes=(1, side, side),
            strides=(1, stride, stride),
            baselines=task.baseline,
            target=0,
            perturbations_per_eval=task.batch,
        )
    return Found(found, f"squares of {side} px of {task.baseline_name}, every {stride} px")


@method("Integrated gradients", cost=16, source="Sundararajan 2017", uses=("baseline",))
def integrated_gradients(task: Task) -> Found:
    """Gradients summed on the way from the baseline; more steps where few do not add up."""
    explained = attr.IntegratedGradients(task.explained)
    change = _change(task)
    # Half precision first: completeness, which is asked in full precision, tells whether it was enough.
    for steps, precision in [(IG_STEPS[0], task.explained.quick), *((steps, nullcontext) for steps in IG_STEPS)]:
        with precision():
            found = explained.attribute(
                task.inputs, baselines=task.baseline, target=0, n_steps=steps, internal_batch_size=task.batch
            )
        share = abs(float(found.detach().sum()) - change) / max(abs(change), 1e-6)
        if share <= WORST_GAP:
            break
    return Found(found, f"{steps} steps from {task.baseline_name}; gap {share:.1%} of the change in logit", share)


@method("Gradient", cost=0.7, source="Simonyan 2014")
def saliency(task: Task) -> Found:
    """The gradient of the logit, with its sign."""
    return Found(attr.Saliency(task.explained).attribute(task.inputs, target=0, abs=False), "gradient, with its sign")


@method("Input x gradient", cost=0.7, source="Shrikumar 2016", uses=("baseline",))
def input_x_gradient(task: Task) -> Found:
    """The gradient times how far the radiograph is from the baseline."""
    # Captum multiplies by the normalised tensor, in which mean grey is nothing; in pixels, the baseline is.
    gradient = attr.Saliency(task.explained).attribute(task.inputs, target=0, abs=False)
    return Found(gradient * (task.inputs - task.baseline), f"gradient times the difference from {task.baseline_name}")


@method("SmoothGrad", cost=9, source="Smilkov 2017", draws=True)
def smooth_grad(task: Task) -> Found:
    """The mean gradient over noisy copies."""
    return _tunnel(task, "smoothgrad")


@method("VarGrad", signed=False, cost=9, source="Adebayo 2018", draws=True)
def var_grad(task: Task) -> Found:
    """The variance of the gradient over noisy copies."""
    return _tunnel(task, "vargrad")


@method("Guided backpropagation", cost=1, source="Springenberg 2015")
def guided_backprop(task: Task) -> Found:
    """Gradients through ReLUs only where both signal and gradient are positive. Fails randomisation (Adebayo 2018)."""
    return Found(_guided(task), "fails the published randomisation tests: shows edges, whatever was learned")


@method("Guided Grad-CAM", cost=1.4, source="Selvaraju 2017", uses=("layer",))
def guided_grad_cam(task: Task) -> Found:
    """Guided backpropagation under the positive part of Grad-CAM."""
    layer, guided = task.layer(), _guided(task)
    coarse = _upsample(_grad_cam(task, layer).relu(), task)
    return Found(guided * coarse, f"under Grad-CAM from {layer.name}; fails the randomisation tests", layer=layer.name)


@method("Layer activation", signed=False, cost=0.3, source="mean absolute activation", uses=("layer",))
def layer_activation(task: Task) -> Found:
    """How strongly the last feature map answers, whatever it answers to."""
    layer = task.layer()
    with torch.no_grad():
        values = attr.LayerActivation(task.explained, layer.module).attribute(task.inputs)
    coarse = layer.maps(values).abs().mean(1, keepdim=True)
    note = f"{layer.height} x {layer.width} cells, from {layer.name}; of no decision in particular"
    return Found(_upsample(coarse, task), note, layer=layer.name)


@method("Gradient SHAP", cost=16, source="Lundberg 2017", uses=("baseline",), draws=True)
def gradient_shap(task: Task) -> Found:
    """Expected gradients between noisy copies and the baseline."""
    explained, total, done = attr.GradientShap(task.explained), torch.zeros_like(task.inputs), 0
    # In parts, since Captum puts all copies through the network at once.
    while done < SMOOTH_SAMPLES:
        count = min(SMOOTH_SAMPLES - done, task.batch)
        with task.explained.quick():
            part = explained.attribute(
                task.inputs,
                baselines=task.baseline,
                n_samples=count,
                stdevs=SMOOTH_NOISE / task.std,
                target=0,
            )
        total, done = total + count * part.detach(), done + count
    return Found(total / SMOOTH_SAMPLES, f"{SMOOTH_SAMPLES} noisy copies against {task.baseline_name}")


@method("DeepLIFT", cost=2, source="Shrikumar 2017", uses=("baseline",))
def deep_lift(task: Task) -> Found:
    """Differences from the baseline, handed back by the rescale rule."""
    if fault := deep_lift_fault(task.explained, task.inputs):
        raise Refused(f"DeepLIFT is refused: {fault}. Choose integrated gradients.")
    # Captum asks the network itself, whose activations carry the rule.
    found, gap = attr.DeepLift(task.explained).attribute(
        task.inputs, baselines=task.baseline, target=0, return_convergence_delta=True
    )
    share = abs(float(gap)) / max(abs(_change(task)), 1e-6)
    return Found(found, f"against {task.baseline_name}; gap {share:.1%} of the change in logit", share)


@method("Superpixel ablation", cost=25, source="Zeiler 2014, on SLIC superpixels", uses=("baseline",))
def feature_ablation(task: Task) -> Found:
    """How far the logit falls when a superpixel becomes the baseline."""
    mask, count = _superpixels(task)
    with torch.no_grad(), task.explained.quick():
        found = attr.FeatureAblation(task.explained).attribute(
            task.inputs, baselines=task.baseline, target=0, feature_mask=mask, perturbations_per_eval=task.batch
        )
    return Found(found, f"{count} superpixels to {task.baseline_name}")


@method("KernelSHAP", cost=100, source="Lundberg 2017, on SLIC superpixels", uses=("baseline",), draws=True)
def kernel_shap(task: Task) -> Found:
    """Shapley values of superpixels, by weighted regression over random coalitions."""
    mask, count = _superpixels(task)
    samples = COALITIONS * count
    with torch.no_grad(), task.explained.quick():
        found = attr.KernelShap(task.explained).attribute(
            task.inputs,
            baselines=task.baseline,
            target=0,
            feature_mask=mask,
            n_samples=samples,
            perturbations_per_eval=task.batch,
        )
    return Found(found, f"{count} superpixels, {samples} coalitions with {task.baseline_name}")


def fine_cells(side: int) -> int:
    """Cells a side of a map that is still fine on a radiograph of that side: one of about FINE pixels."""
    return max(2, side // FINE)


def _grad_cam(task: Task, layer) -> torch.Tensor:
    """Coarse maps [n, 1, h, w]."""
    cam = attr.LayerGradCam(task.explained, layer.module)
    if layer.layout == "maps":
        return cam.attribute(task.inputs, target=0)
    # Captum weights dimension 1 and averages over the rest; channels lie elsewhere here, so the product is made here.
    gradients = attr.LayerGradientXActivation(task.explained, layer.module, multiply_by_inputs=False).attribute(
        task.inputs, target=0
    )
    with torch.no_grad():
        values = attr.LayerActivation(task.explained, layer.module).attribute(task.inputs)
    weights = layer.maps(gradients).mean((2, 3), keepdim=True)
    return (weights * layer.maps(values)).sum(1, keepdim=True)


def _upsample(coarse: torch.Tensor, task: Task) -> torch.Tensor:
    return draw(coarse.detach(), task.inputs.shape[-1]).transpose(0, 1)


def _guided(task: Task) -> torch.Tensor:
    if fault := guided_backprop_fault(task.explained, task.inputs):
        raise Refused(f"Guided backpropagation is refused: {fault}. Choose Grad-CAM or the gradient.")
    return attr.GuidedBackprop(task.explained).attribute(task.inputs, target=0)


def _tunnel(task: Task, kind: str) -> Found:
    with task.explained.quick():
        found = attr.NoiseTunnel(attr.Saliency(task.explained)).attribute(
            task.inputs,
            nt_type=kind,
            nt_samples=SMOOTH_SAMPLES,
            nt_samples_batch_size=min(SMOOTH_SAMPLES, task.batch),
            stdevs=SMOOTH_NOISE / task.std,
            target=0,
            abs=False,
        )
    return Found(found, f"{SMOOTH_SAMPLES} copies with noise of {SMOOTH_NOISE:.0%} of the grey range")


def _superpixels(task: Task) -> tuple[torch.Tensor, int]:
    """Superpixels of each view, numbered through, int64 [1, n, s, s], and how many there are."""
    from skimage.segmentation import slic

    labels, count = [], 0
    for view in task.pixels:
        # On a flat picture SLIC finds one region; squares of a grid stand in.
        found = slic(view / 255, SEGMENTS, compactness=0.1, channel_axis=None, start_label=0)
        if found.max() < 3:
            step = max(1, view.shape[0] // 8)
            rows, columns = np.indices(view.shape) // step
            found = rows * (columns.max() + 1) + columns
        labels.append(found + count)
        count += int(found.max()) + 1
    return torch.from_numpy(np.stack(labels)).long()[None].to(task.inputs.device), count


def _change(task: Task) -> float:
    with torch.no_grad():
        return float((task.explained(task.inputs) - task.explained(task.baseline))[0, 0])
