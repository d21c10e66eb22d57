"""Maps of many radiographs in one pass."""

import numpy as np
import pytest
import torch

from core.data.input_spec import InputSpec
from core.explain.attribution import attribute
from core.explain.grid_cam import cam_grid
from core.explain.private_copy import count_hooks, private_copy
from core.models.networks import build
from core.scores.classifier import Classifier

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("architecture", "options"),
    [("resnet10t", {}), ("convnext_atto", {}), ("vit_tiny_patch16_224", {"img_size": 64}), ("small_cnn", {})],
)
def test_a_grid_of_maps_is_the_map_of_each(architecture, options):
    torch.manual_seed(0)
    classifier = Classifier(build(architecture, options).eval().requires_grad_(False), InputSpec(64), CPU)
    films = np.random.default_rng(2).integers(0, 256, (3, 64, 64)).astype(np.uint8)
    for name in ("grad_cam", "hires_cam"):
        together = cam_grid(classifier, films, fine=name == "hires_cam", batch=2)
        for film, one in zip(films, together):
            alone = attribute(classifier, film, name).map
            assert one == pytest.approx(alone, abs=1e-4 * float(np.abs(alone).max()) + 1e-9)
    assert not count_hooks(private_copy(classifier.model).model)
    assert cam_grid(classifier, films[:0]).shape == (0, 64, 64)
