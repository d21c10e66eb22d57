"""The facts of every saliency method, in the order in which they are listed. Imports no torch.

`core.explain.methods` has the function of each; a test compares the two.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class MethodFacts:
    """A saliency method in words. line: what it does. cost: about how many forward and backward passes it takes.

    uses: which of the settings 'layer' and 'baseline' it reads. draws: whether Captum draws random numbers for it.
    """

    title: str
    cost: float
    source: str
    line: str
    uses: tuple[str, ...] = ()
    signed: bool = True
    draws: bool = False


METHOD_LIST = {
    "hires_cam": MethodFacts(
        "HiRes-CAM",
        1,
        "Draelos 2020",
        "Gradient times activation at each place, at the last feature map with small cells; keeps both signs.",
        uses=("layer",),
    ),
    "grad_cam": MethodFacts(
        "Grad-CAM",
        0.4,
        "Selvaraju 2017",
        "Feature maps weighted by their mean gradient, at the last map before the pooling; keeps both signs.",
        uses=("layer",),
    ),
    "layer_cam": MethodFacts(
        "LayerCAM",
        1,
        "Jiang 2021",
        "HiRes-CAM with the positive part of each gradient: evidence for abnormal only.",
        uses=("layer",),
    ),
    "occlusion": MethodFacts(
        "Occlusion",
        60,
        "Zeiler 2014",
        "How far the logit falls when a square of the baseline covers a place.",
        uses=("baseline",),
    ),
    "integrated_gradients": MethodFacts(
        "Integrated gradients",
        16,
        "Sundararajan 2017",
        "Gradients summed along the line from the baseline, with more steps where few leave a gap.",
        uses=("baseline",),
    ),
    "saliency": MethodFacts("Gradient", 0.7, "Simonyan 2014", "The gradient of the logit, with its sign."),
    "input_x_gradient": MethodFacts(
        "Input x gradient",
        0.7,
        "Shrikumar 2016",
        "The gradient times the difference between the radiograph and the baseline.",
        uses=("baseline",),
    ),
    "smooth_grad": MethodFacts("SmoothGrad", 9, "Smilkov 2017", "The mean gradient over noisy copies.", draws=True),
    "var_grad": MethodFacts(
        "VarGrad", 9, "Adebayo 2018", "The variance of the gradient over noisy copies.", signed=False, draws=True
    ),
    "guided_backprop": MethodFacts(
        "Guided backpropagation",
        1,
        "Springenberg 2015",
        "Gradients through ReLUs where signal and gradient are positive. Fails randomisation tests (Adebayo 2018).",
    ),
    "guided_grad_cam": MethodFacts(
        "Guided Grad-CAM",
        1.4,
        "Selvaraju 2017",
        "Guided backpropagation times the positive part of Grad-CAM.",
        uses=("layer",),
    ),
    "layer_activation": MethodFacts(
        "Layer activation",
        0.3,
        "mean absolute activation",
        "The mean absolute activation of the last feature map, independent of the logit.",
        uses=("layer",),
        signed=False,
    ),
    "gradient_shap": MethodFacts(
        "Gradient SHAP",
        16,
        "Lundberg 2017",
        "Expected gradients between noisy copies and the baseline.",
        uses=("baseline",),
        draws=True,
    ),
    "deep_lift": MethodFacts(
        "DeepLIFT",
        2,
        "Shrikumar 2017",
        "Differences from the baseline, propagated back by the rescale rule.",
        uses=("baseline",),
    ),
    "feature_ablation": MethodFacts(
        "Superpixel ablation",
        25,
        "Zeiler 2014, on SLIC superpixels",
        "How far the logit falls when the baseline replaces a superpixel.",
        uses=("baseline",),
    ),
    "kernel_shap": MethodFacts(
        "KernelSHAP",
        100,
        "Lundberg 2017, on SLIC superpixels",
        "Shapley values of superpixels, by weighted regression over random coalitions.",
        uses=("baseline",),
        draws=True,
    ),
}
