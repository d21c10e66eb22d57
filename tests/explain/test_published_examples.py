"""Published examples: networks of papers and of Captum's own tests, whose maps follow by hand.

The normalisation passes grey levels unchanged, so a pixel of 3 is the number 3. The networks read only some pixels.
"""

import numpy as np
import pytest
import torch
from scipy.ndimage import convolve
from torch import nn

from core.data.input_spec import InputSpec
from core.explain import methods
from core.explain.attribution import attribute
from core.explain.layers import upsample
from core.explain.map_values import MapSettings
from core.scores.classifier import Classifier
from tests.refusals import refused

SIDE = 8
CPU = torch.device("cpu")


def of(model: nn.Module, zero: float = 0.0) -> Classifier:
    """A classifier around the network; its numbers are grey levels minus `zero`."""
    return Classifier(model.eval().requires_grad_(False), InputSpec(SIDE, mean=zero / 255, std=1 / 255), CPU)


def film(values) -> np.ndarray:
    """A black radiograph with these numbers in its upper left corner."""
    pixels, values = np.zeros((SIDE, SIDE), np.uint8), np.atleast_2d(values)
    pixels[: values.shape[0], : values.shape[1]] = values
    return pixels


def row(found, count: int) -> list[float]:
    """The first numbers of a map, whose other values must be zero."""
    rest = found.map.copy()
    rest[0, :count] = 0
    assert np.abs(rest).max() < 1e-5
    return found.map[0, :count].tolist()


class Sundararajan(nn.Module):
    """Figure 2 of the paper: two networks for the function relu(x1 - 1 - x2), with positive x2 and x1 above 1."""

    def __init__(self, second: bool):
        super().__init__()
        self.second, self.one, self.two, self.last = second, nn.ReLU(), nn.ReLU(), nn.ReLU()

    def forward(self, x):
        first, other = x[:, 0, 0, :1], x[:, 0, 0, 1:2]
        inner = self.one(first - 1) if self.second else self.one(first) - 1
        return self.last(inner - self.two(other))


@pytest.mark.parametrize("second", [False, True])
def test_the_toy_networks_of_integrated_gradients(second):
    classifier, pixels = of(Sundararajan(second)), film([3, 1])
    assert row(attribute(classifier, pixels, "integrated_gradients"), 2) == pytest.approx([1.5, -0.5], abs=0.02)
    assert row(attribute(classifier, pixels, "saliency"), 2) == pytest.approx([1, -1])
    assert row(attribute(classifier, pixels, "input_x_gradient"), 2) == pytest.approx([3, -1])
    # As the paper says, DeepLIFT differs between the two networks, unlike integrated gradients.
    expected = [2, -1] if second else [1.5, -0.5]
    assert row(attribute(classifier, pixels, "deep_lift"), 2) == pytest.approx(expected)


class Rescale(nn.Module):
    """2 relu(x1) + 2 relu(x2 - 1.5), from the DeepLIFT talk."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.ReLU(), nn.ReLU()

    def forward(self, x):
        return 2 * self.one(x[:, 0, 0, :1]) + 2 * self.two(x[:, 0, 0, 1:2] - 1.5)


class TwoSums(nn.Module):
    """relu(3 a + b) + relu(2 d + 3 e), where the first unit is inactive and passes nothing."""

    def __init__(self):
        super().__init__()
        self.act = nn.ReLU()

    def forward(self, x):
        numbers = x[:, 0, 0]
        sums = torch.stack([3 * numbers[:, 0] + numbers[:, 1], 2 * numbers[:, 3] + 3 * numbers[:, 4]], 1)
        return self.act(sums).sum(1, keepdim=True)


class Highest(nn.Module):
    """The maximum of four numbers."""

    def __init__(self):
        super().__init__()
        self.pool = nn.MaxPool1d(4)

    def forward(self, x):
        return self.pool(x[:, 0, :1, :4])[:, 0]


def test_deep_lift_on_published_networks():
    assert row(attribute(of(Rescale()), film([1, 2]), "deep_lift"), 2) == pytest.approx([2, 1])
    nothing = np.full((SIDE, SIDE), 10, np.uint8)
    pixels = nothing.copy()
    pixels[0, :6] = [0, 11, 5, 13, 13, 11]  # -10, 1, -5 and 3, 3, 1
    found = attribute(of(TwoSums(), zero=10), pixels, "deep_lift", MapSettings(baseline=nothing))
    assert row(found, 6) == pytest.approx([0, 0, 0, 6, 9, 0], abs=1e-5) and found.gap < 1e-5
    found = attribute(of(Highest()), film([1, 1, 1, 1]), "deep_lift", MapSettings(baseline=film([1, 2, 3, 9])))
    assert row(found, 4) == pytest.approx([0, 0, 0, -8], abs=1e-4)


def test_deep_lift_refuses_a_relu_that_is_used_twice_as_captum_does():
    class Reused(nn.Module):
        def __init__(self):
            super().__init__()
            self.act, self.first, self.second = nn.ReLU(), nn.Linear(3, 2), nn.Linear(2, 1)

        def forward(self, x):
            return self.act(self.second(self.act(self.first(x[:, 0, 0, :3]))))

    with refused("deep-lift-unsuitable", "used more than once"):
        attribute(of(Reused()), film([1, 2, 3]), "deep_lift")


class Four(nn.Module):
    """Four units that sum three numbers; one is inactive below a sum of 10. The output is 4 t - 8 for a sum t >= 10."""

    def __init__(self):
        super().__init__()
        self.act = nn.ReLU()
        self.register_buffer("bias", torch.tensor([-10.0, 1.0, 1.0, 1.0]))

    def forward(self, x):
        total = x[:, 0, 0, :3].sum(1, keepdim=True)
        return self.act(total + self.bias).sum(1, keepdim=True) - 1


@pytest.fixture
def groups(monkeypatch):
    """Replace the superpixels of the picture by those of the test; the remaining pixels are one more superpixel."""

    def give(numbers):
        mask = torch.full((1, 1, SIDE, SIDE), max(numbers) + 1)
        mask[0, 0, 0, : len(numbers)] = torch.tensor(numbers)
        monkeypatch.setattr(methods, "_superpixels", lambda _task: (mask, max(numbers) + 2))

    return give


def test_ablation_of_single_and_grouped_features(groups):
    pixels = film([20, 50, 30])
    groups([0, 1, 2])
    assert row(attribute(of(Four()), pixels, "feature_ablation"), 3) == pytest.approx([80, 200, 120], rel=0.01)
    groups([0, 0, 1])
    assert row(attribute(of(Four()), pixels, "feature_ablation"), 3) == pytest.approx([280, 280, 120], rel=0.01)
    # With a baseline of 4, the pair loses 4 times the sum of its differences from the baseline.
    found = attribute(of(Four()), pixels, "feature_ablation", MapSettings(baseline=film([4, 4, 4])))
    assert row(found, 3) == pytest.approx([248, 248, 104], rel=0.01)


def test_kernel_shap_finds_the_shapley_values(groups, monkeypatch):
    # The game is worth 4 t - 10, and 0 for no player: each is worth 4 times its number minus a third of 10.
    groups([0, 1, 2])
    monkeypatch.setattr(methods, "COALITIONS", 100)
    found = attribute(of(Four()), film([20, 50, 30]), "kernel_shap")
    assert found.map[0, :3] == pytest.approx([230 / 3, 590 / 3, 350 / 3], abs=2.5)
    assert abs(found.map[1:]).max() < 2.5


class Convolved(nn.Module):
    """A 3 x 3 convolution of ones to two channels on a corner of 4 x 4; three of its eight outputs count negatively."""

    def __init__(self, inplace: bool = False):
        super().__init__()
        self.conv, self.act, self.last = nn.Conv2d(1, 2, 3), nn.ReLU(inplace), nn.ReLU(inplace)
        self.conv.weight.data.fill_(1)
        self.conv.bias.data = torch.tensor([-50.0, -75.0])
        self.head = nn.Linear(8, 1, bias=False)
        self.head.weight.data = torch.tensor([[1.0] * 5 + [-1.0] * 3])

    def forward(self, x):
        return self.last(self.head(self.act(self.conv(x[:, :, :4, :4])).flatten(1)))


COUNTED = film(np.arange(16).reshape(4, 4))
# The first channel is -5, 4, 31, 40 and the second is lower by 25; the logit is 75 - 21.
BY_HAND = {
    ("grad_cam", "conv"): [[11.25, 13.5], [20.25, 22.5]],
    ("grad_cam", "act"): [[0, 4], [28, 32.5]],
    ("hires_cam", "act"): [[0, 4], [25, 25]],
    ("layer_cam", "act"): [[0, 4], [31, 40]],
    ("layer_activation", "act"): [[0, 2], [18.5, 27.5]],
}


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize(("method", "layer"), BY_HAND)
def test_layer_methods_on_the_published_convolution(method, layer, inplace):
    found = attribute(of(Convolved(inplace)), COUNTED, method, MapSettings(layer=layer))
    assert found.value == pytest.approx(54, rel=1e-4)
    coarse = torch.tensor([[BY_HAND[method, layer]]])
    if (method, layer) == ("grad_cam", "conv"):
        # The first channel times .75 plus the second times -.5: Captum's published figures.
        first, weights = np.array([[-5, 4], [31, 40]]), (0.75, -0.5)
        assert coarse[0, 0].numpy() == pytest.approx(weights[0] * first + weights[1] * (first - 25), abs=1e-4)
    assert found.map == pytest.approx(upsample(coarse, SIDE)[0, 0].numpy(), rel=1e-4, abs=1e-3)


def windows(*places: tuple[int, int]) -> np.ndarray:
    """How many of the 3 x 3 windows that begin at these places contain each pixel."""
    made = np.zeros((SIDE, SIDE))
    for down, across in places:
        made[down : down + 3, across : across + 3] += 1
    return made


def test_gradients_on_the_published_convolution():
    classifier = of(Convolved())
    # Three windows of the first channel are active; a guided gradient ignores the two negative ones of the second.
    guided = windows((0, 1), (1, 0), (1, 1))
    assert attribute(classifier, COUNTED, "saliency").map == pytest.approx(windows((0, 1)), abs=1e-5)
    assert attribute(classifier, COUNTED, "guided_backprop").map == pytest.approx(guided, abs=1e-5)
    under = upsample(torch.tensor([[[[0.0, 4.0], [28.0, 32.5]]]]), SIDE)[0, 0].numpy()
    found = attribute(classifier, COUNTED, "guided_grad_cam", MapSettings(layer="act"))
    assert found.map == pytest.approx(guided * under, rel=1e-4, abs=1e-3)


def test_occlusion_equals_covering_each_square_by_hand():
    def logit(numbers: np.ndarray) -> float:
        sums = convolve(numbers[:4, :4].astype(float), np.ones((3, 3)), mode="constant")[1:3, 1:3]
        first, second = np.maximum(sums - 50, 0).ravel(), np.maximum(sums - 75, 0).ravel()
        return max(first.sum() + second[0] - second[1:].sum(), 0)

    lost, covered = np.zeros((SIDE, SIDE)), np.zeros((SIDE, SIDE))
    for down in range(SIDE - 1):
        for across in range(SIDE - 1):
            square = COUNTED.copy()
            square[down : down + 2, across : across + 2] = 0
            lost[down : down + 2, across : across + 2] += logit(COUNTED) - logit(square)
            covered[down : down + 2, across : across + 2] += 1
    found = attribute(of(Convolved()), COUNTED, "occlusion")
    assert found.note.startswith("squares of 2 px of black, every 1 px")
    assert found.map == pytest.approx(lost / covered, rel=0.01, abs=0.2)


class Squares(nn.Module):
    """Half the sum of the squares, whose gradient is the number itself."""

    def forward(self, x):
        return (x**2).sum((1, 2, 3))[:, None] / 2


def test_noise_tunnels_on_a_parabola():
    """SmoothGrad gives the number, VarGrad the variance of the noise, expected gradients half the square."""
    pixels = np.full((SIDE, SIDE), 100, np.uint8)
    classifier, noise = of(Squares()), methods.SMOOTH_NOISE * 255
    few = methods.SMOOTH_SAMPLES
    # The standard error of a mean over 64 pixels with 16 draws each is 1/32 of the noise.
    assert attribute(classifier, pixels, "smooth_grad").map.mean() == pytest.approx(100, abs=4 * noise / 32)
    found = attribute(classifier, pixels, "var_grad").map.mean()
    assert found == pytest.approx(noise**2 * (few - 1) / few, rel=4 * (2 / 1024) ** 0.5)
    expected = attribute(classifier, pixels, "gradient_shap")
    assert expected.map.mean() == pytest.approx(100**2 / 2 + noise**2 / 2, rel=0.4)
    # Captum draws the position along the line from NumPy's generator, which the seed must set too.
    np.random.default_rng().random(3)
    assert attribute(classifier, pixels, "gradient_shap").map == pytest.approx(expected.map)
    assert attribute(classifier, pixels, "gradient_shap", MapSettings(seed=1)).map != pytest.approx(expected.map)
