"""Where a coarse map's cells lie: by hand, and against the gradient of a cell in real families."""

import numpy as np
import pytest
import torch
from torch import nn

from core.data.input_spec import InputSpec
from core.explain.attribution import attribute
from core.explain.explained import private_copy
from core.explain.geometry import Cells, draw, spread
from core.explain.grid_cam import cam_grid
from core.explain.layers import find_layer
from core.inference.classifier import Classifier
from core.models.checkpoint import load_model, read_checkpoint
from core.models.registry import build

CPU = torch.device("cpu")


class Sampled(nn.Module):
    """Four convolutions of stride 2 padded by 1 that keep their middle tap: cell i of the map is pixel 16 i itself."""

    def __init__(self):
        super().__init__()
        self.down = nn.Sequential(*(nn.Conv2d(1, 1, 3, 2, 1, bias=False) for _ in range(4)))
        for one in self.down:
            one.weight.data = torch.zeros(1, 1, 3, 3)
            one.weight.data[0, 0, 1, 1] = 1.0
        self.act, self.head = nn.ReLU(), nn.Linear(1, 1)
        self.head.weight.data.fill_(1.0)

    def forward(self, x):
        return self.head(self.act(self.down(x)).mean((2, 3)))


@pytest.mark.parametrize("place", [(48, 16), (32, 80), (96, 96)])
def test_grad_cam_points_at_the_pixel_that_its_cell_looks_at(place):
    pixels = np.zeros((112, 112), np.uint8)
    pixels[place] = 255
    found = attribute(Classifier(Sampled().eval(), InputSpec(112, mean=0.0, std=1.0), CPU), pixels, "grad_cam").map
    assert np.unravel_index(found.argmax(), found.shape) == place


def test_patches_tile_the_radiograph_and_a_tensorflow_padding_ends_late():
    vit = build("vit_tiny_patch16_224", {"img_size": 64}).eval()
    assert find_layer(vit, torch.randn(1, 1, 64, 64)).cells == spread(64, 4) == Cells(7.5, 16.0)
    # Five times stride 2 over an even side: each step of "same" padding adds its pixel at the far end.
    late = build("mobilenetv2_035", {"pad_type": "same"}).eval()
    assert find_layer(late, torch.randn(1, 1, 64, 64)).cells == Cells(31.0, 32.0)
    assert find_layer(build("mobilenetv2_035").eval(), torch.randn(1, 1, 64, 64)).cells == Cells(0.0, 32.0)


@pytest.mark.parametrize(
    ("architecture", "options"),
    [
        ("resnet-narrow-128", {}),
        ("mobilenetv2_035", {"pad_type": "same"}),
        ("convnext_atto", {}),
        ("repvgg_a0", {}),
    ],
)
def test_the_gradient_of_a_cell_lies_where_the_cell_is_said_to_look(architecture, options):
    torch.manual_seed(0)
    side = 256
    # A residual network is asked as it was trained: drawn anew, timm starts its other branches at nothing.
    trained = architecture == "resnet-narrow-128"
    model = load_model(read_checkpoint(architecture)) if trained else build(architecture, options).eval()
    model = private_copy(model).model
    found = find_layer(model, torch.randn(1, 1, side, side))
    kept = []
    hook = found.module.register_forward_hook(lambda _module, _given, output: kept.append(output))
    inputs = torch.randn(1, 1, side, side, requires_grad=True)
    model(inputs)
    hook.remove()
    middle = found.height // 2
    # Each channel by itself, so that they do not cancel; squared, so that little hangs on where the radiograph ends.
    asked = found.maps(kept[0])[0, ::8, middle, middle]
    size = sum(torch.autograd.grad(one, inputs, retain_graph=True)[0].square() for one in asked)[0, 0]
    centre = float((size.sum(1) * torch.arange(side)).sum() / size.sum())
    assert centre == pytest.approx(found.cells.start + middle * found.cells.step, abs=0.15 * found.cells.step)


def test_between_cells_a_map_is_linear_and_beyond_the_last_it_stays():
    drawn = draw(torch.tensor([[[[0.0, 8.0], [0.0, 8.0]]]]), Cells(0.0, 8.0), 16)[0, 0]
    assert drawn[3].tolist() == pytest.approx([*range(9), *[8] * 7])


@pytest.mark.parametrize(
    ("architecture", "options"),
    [("resnet10t", {}), ("convnext_atto", {}), ("vit_tiny_patch16_224", {"img_size": 64}), ("small_cnn", {})],
)
def test_a_grid_of_maps_is_grad_cam_of_each(architecture, options):
    torch.manual_seed(0)
    classifier = Classifier(build(architecture, options).eval().requires_grad_(False), InputSpec(64), CPU)
    films = np.random.default_rng(2).integers(0, 256, (3, 64, 64)).astype(np.uint8)
    together = cam_grid(classifier, films, batch=2)
    for film, one in zip(films, together):
        alone = attribute(classifier, film, "grad_cam").map
        assert one == pytest.approx(alone, abs=1e-4 * float(np.abs(alone).max()) + 1e-9)
    assert cam_grid(classifier, films[:0]).shape == (0, 64, 64)
