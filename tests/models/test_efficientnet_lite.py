"""The converter of EfficientNet-Lite weights: names by place, and the input range folded into the first layers."""

import timm
import torch

from bench.efficientnet_lite import DEVIATION, MEAN, converted, for_imagenet_input
from tests.refusals import refused


def test_tensors_are_renamed_and_the_input_range_is_folded_in():
    torch.manual_seed(0)
    network = timm.create_model("tf_efficientnet_lite0").eval()
    own = network.state_dict()
    assert all(torch.equal(value, own[name]) for name, value in converted(theirs(own), "tf_efficientnet_lite0").items())
    unit = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        before = network.bn1(network.conv_stem(2 * unit - 1))
        network.load_state_dict(for_imagenet_input(own))
        after = network.bn1(network.conv_stem((unit - MEAN[:, None, None]) / DEVIATION[:, None, None]))
    inside = (..., slice(1, -1), slice(1, -1))
    assert torch.allclose(before[inside], after[inside], atol=1e-4) and before.std() > 0.01


def test_another_network_is_refused():
    own = timm.create_model("mobilenetv2_035").state_dict()
    with refused("weights-mismatch", "tf_efficientnet_lite0", "296"):
        converted(theirs(own), "tf_efficientnet_lite0")


def theirs(state: dict) -> dict:
    """The tensors under other names with the same ends, as the package has them."""
    return {f"_layer{place}.{name.rpartition('.')[2]}": value for place, (name, value) in enumerate(state.items())}
