"""Time each saliency method against one forward and backward pass, and the costly ones against Captum's defaults.

Run: `python -m bench.saliency [architecture] [px] [part of a case's name]`. Ours uses frozen weights, channels last,
several variants at once, and bfloat16 where the processor has it, on a copy of the network. The ratio to 'one forward
and backward pass' is the inverse of the cost. Rows are appended to bench/results/saliency.csv.
"""

import sys

import numpy as np
import torch
from captum import attr

from bench.pairs import Case, keep, measure
from core.data.input_spec import InputSpec
from core.explain.attribution import attribute
from core.explain.grid_cam import cam_grid
from core.explain.map_values import DEFAULT_PAIR
from core.explain.method_registry import MethodRefused
from core.explain.methods import METHODS
from core.models.networks import build
from core.scores.classifier import Classifier

COMMAND = "python -m bench.saliency"
PACKAGES = ("torch", "captum", "timm")


def main(architecture: str = "resnet18", side: str = "224", part: str = "") -> None:
    size = int(side)
    torch.manual_seed(0)
    model = build(architecture).eval()
    classifier = Classifier(model, InputSpec(size), torch.device("cpu"))
    pixels = np.random.default_rng(0).integers(0, 256, (size, size)).astype(np.uint8)
    name = f"{architecture}, {size} px"
    inputs = classifier.tensor(pixels[None])
    black = classifier.tensor(np.zeros((1, size, size), np.uint8))
    noise = 0.1 / classifier.spec.std

    def one_pass():
        asked = inputs.clone().requires_grad_(True)
        model(asked).sum().backward()
        return asked.grad

    def pair():
        return [attribute(classifier, pixels, method).map for method in DEFAULT_PAIR]

    def occlusion():
        with torch.no_grad():
            return attr.Occlusion(model).attribute(
                inputs, (1, size // 6, size // 6), strides=(1, size // 8, size // 8), baselines=black, target=0
            )

    def smooth():
        tunnel = attr.NoiseTunnel(attr.Saliency(model))
        return tunnel.attribute(inputs.clone().requires_grad_(True), nt_samples=16, stdevs=noise, target=0, abs=False)

    def gradients():
        return attr.IntegratedGradients(model).attribute(
            inputs.clone().requires_grad_(True), baselines=black, target=0, n_steps=32
        )

    def like(ours, theirs):
        rank = np.corrcoef(ours.ravel().argsort().argsort(), theirs.detach().numpy().ravel().argsort().argsort())[0, 1]
        print(f"rank correlation with Captum as it comes {rank:.4f}")
        assert rank > 0.95, rank

    films = np.random.default_rng(1).integers(0, 256, (32, size, size)).astype(np.uint8)

    def exact(ours, method):
        alone = attribute(classifier, films[0], method).map
        assert np.abs(ours[0] - alone).max() <= 1e-3 * np.abs(alone).max()

    cases = []
    for title, fine in (("Grad-CAM", False), ("HiRes-CAM", True)):
        case = Case(
            f"{title} of 32 radiographs at once: {name}",
            32,
            "scoring them",
            lambda fine=fine: cam_grid(classifier, films, fine=fine),
            lambda: classifier.logits(films, 32),
            same=lambda ours, _scores, fine=fine: exact(ours, "hires_cam" if fine else "grad_cam"),
        )
        cases.append(case)
    for label, peer, method in (
        ("occlusion, 64 squares", "Captum as it comes", occlusion),
        ("SmoothGrad, 16 copies", "Captum as it comes", smooth),
        ("integrated gradients, 32 steps", "Captum as it comes", gradients),
    ):
        ours = {"o": "occlusion", "S": "smooth_grad", "i": "integrated_gradients"}[label[0]]
        # Each side of SmoothGrad draws different noise, so only the cost is compared.
        same = (lambda *_: None) if ours == "smooth_grad" else like
        case = Case(f"{label}: {name}", 1, peer, lambda m=ours: attribute(classifier, pixels, m).map, method, same=same)
        cases.append(case)
    nothing = lambda *_: None  # noqa: E731  one pass gives no map to compare
    for method in METHODS:
        if part not in method:
            continue
        try:
            attribute(classifier, pixels, method)
        except MethodRefused as reason:
            print(f"{method}: {reason}", file=sys.stderr)
            continue
        case = Case(
            f"{method}: {name}",
            1,
            "one forward and backward pass",
            lambda m=method: attribute(classifier, pixels, m),
            one_pass,
            same=nothing,
        )
        cases.append(case)
    case = Case(
        f"the page's first pair of maps: {name}", 2, "one forward and backward pass", pair, one_pass, same=nothing
    )
    cases.append(case)
    rows = [measure(case, COMMAND, PACKAGES, 5) for case in cases if part in case.what]
    keep(rows, "saliency.csv")


if __name__ == "__main__":
    main(*sys.argv[1:])
