"""Every network of the registry, weights from files, and the memory layout of convolutions."""

import pytest
import torch
from safetensors.torch import save_file

from core.device import channels_last, move_to_device
from core.models.networks import CUSTOM, build, find_head, load_weights, reads_studies
from tests.refusals import refused

TWO = {"members": [{"architecture": name, "model_kwargs": {}} for name in ("small_cnn", "lcnet_035")]}
BUILT = [(name, TWO if name == "ensemble" else {}) for name in CUSTOM] + [
    ("attention:lcnet_035", {}),
    ("resnet10t", {"channels": [8, 16, 24, 32]}),
    ("mobilenetv2_035", {}),
    ("lcnet_035", {}),
]


@pytest.mark.parametrize(("name", "arguments"), BUILT)
def test_every_network_gives_one_logit_and_a_gradient_for_every_parameter(name, arguments):
    torch.manual_seed(0)
    model = build(name, arguments)
    radiographs = torch.randn(3, 1, 64, 64)
    assert model(radiographs).shape == (3, 1)
    whose = (torch.tensor([0, 0, 1]), 2) if reads_studies(model) else ()
    model(radiographs, *whose).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    _, head = find_head(model)
    assert head and all(dict(model.named_parameters())[key].numel() < 90_000 for key in head)


@pytest.mark.parametrize("name", ["mobilenetv2_035", "efficientnet_lite0", "lcnet_035", "resnet10t", "small_cnn"])
def test_a_new_head_starts_near_one_half(name):
    """timm's initial head of its mobile families gave logits of +-20 and a loss of 6 on real radiographs."""
    torch.manual_seed(0)
    logits = build(name).eval()(torch.randn(16, 1, 64, 64))
    assert logits.abs().max() < 3


@pytest.mark.parametrize(("name", "arguments"), BUILT)
def test_the_same_logits_after_save_and_load(name, arguments, tmp_path):
    model, radiographs = build(name, arguments).eval(), torch.randn(2, 1, 48, 48)
    save_file(model.state_dict(), tmp_path / "w.safetensors")
    other = build(name, arguments, str(tmp_path / "w.safetensors")).eval()
    assert torch.equal(model(radiographs), other(radiographs))


def test_an_unknown_name_suggests_others():
    with refused("architecture-unknown", "resnet19", "resnet18", "small_cnn"):
        build("resnet19")
    with refused("arguments-unsupported", "small_cnn", "depth"):
        build("small_cnn", {"depth": 3})
    for arguments in ({"features_only": True}, {"num_classes": 2}, {"in_chans": 3}, {"pretrained": True}):
        with refused("arguments-unsupported", "resnet10t", next(iter(arguments))):
            build("resnet10t", arguments)
    assert build("resnet10t", {"features_only": False}).eval()(torch.zeros(1, 1, 32, 32)).shape == (1, 1)


def test_weights_that_do_not_fit_name_their_keys(tmp_path):
    save_file({"stem.weight": torch.zeros(3)}, tmp_path / "w.safetensors")
    with refused("weights-mismatch", "lacks 16 keys", "unknown 1 key (stem.weight)"):
        build("small_cnn", weights=str(tmp_path / "w.safetensors"))
    with refused("weights-missing", "none.pth"):
        build("small_cnn", weights=str(tmp_path / "none.pth"))
    (tmp_path / "bad.pth").write_bytes(b"not weights")
    with refused("weights-unreadable", "bad.pth"):
        build("small_cnn", weights=str(tmp_path / "bad.pth"))
    torch.save({"a": 1}, tmp_path / "other.pth")
    with refused("weights-unreadable", "other.pth"):
        build("small_cnn", weights=str(tmp_path / "other.pth"))
    whole = build("small_cnn").state_dict()
    save_file({key: value for key, value in whole.items() if key != "hidden.3.bias"}, tmp_path / "part.safetensors")
    with refused("weights-mismatch", "lacks 1 key (hidden.3.bias)"):
        build("small_cnn", weights=str(tmp_path / "part.safetensors"))


def test_pretrained_weights_need_a_connection(monkeypatch):
    # Read from the environment when the package is imported, so the variable would come too late here.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with refused("download-failed", "mobilenetv2_100"):
        build("mobilenetv2_100", weights="timm")


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("mobilenetv2_100", "mobilenetv2_100.tf2_ptq_in1k.pth"),
        ("mobilenetv1_100", "mobilenetv1_100.tf1_qat_in1k_features.pth"),
    ],
)
def test_real_colour_weights_fold_to_grey(shared, name, file):
    """One grey channel gives the features of three equal channels, up to the different means of the colours."""
    import timm

    grey = build(name, {"pad_type": "same"}, str(shared / "data/weights" / file)).eval()
    colour = timm.create_model(name, num_classes=0, pad_type="same").eval()
    state = torch.load(shared / "data/weights" / file, weights_only=True)
    load_weights(colour, shared / "data/weights" / file)
    assert torch.equal(next(iter(colour.state_dict().values())), next(iter(state.values())))
    from core.data.pixels import read_grey, to_square

    files = sorted((shared / "data/radiographs/fracatlas/images/Fractured").glob("*.jpg"))[:12]
    unit = torch.stack([torch.from_numpy(to_square(read_grey(file), 160))[None].float() / 255 for file in files])
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.no_grad():
        ours = grey.forward_head(grey.forward_features((unit - 0.449) / 0.226), pre_logits=True)
        theirs = colour((unit.repeat(1, 3, 1, 1) - mean[:, None, None]) / std[:, None, None])
    assert torch.corrcoef(torch.stack([ours.flatten(), theirs.flatten()]))[0, 1] > 0.9


def test_two_dimensional_convolutions_become_channels_last():
    """timm's LambdaNetworks also have a three-dimensional convolution, which `Module.to` refuses."""
    model = torch.nn.Sequential(torch.nn.Conv2d(2, 4, 3), torch.nn.Conv3d(1, 4, (3, 1, 1)), torch.nn.Linear(4, 1))
    assert move_to_device(model, torch.device("cpu")) is model
    assert model[0].weight.is_contiguous(memory_format=torch.channels_last) and model[1].weight.is_contiguous()


def test_maps_of_a_grey_batch_are_channels_last():
    """With one channel both layouts have the same bytes; the maps of the first layer show which one torch assumed."""
    network = move_to_device(build("resnet10t"), torch.device("cpu")).eval()
    grey = torch.rand(2, 64, 64)[:, None]
    seen = []
    first = next(module for module in network.modules() if isinstance(module, torch.nn.Conv2d))
    first.register_forward_hook(lambda module, inputs, output: seen.append(output))
    with torch.inference_mode():
        assert torch.allclose(network(channels_last(grey)), network(grey), atol=1e-5)
    assert len(seen) == 2 and all(maps.is_contiguous(memory_format=torch.channels_last) for maps in seen)
    assert torch.equal(channels_last(grey), grey) and channels_last(grey).stride() == (4096, 1, 64, 1)
    colour = torch.rand(2, 3, 8, 8)
    assert channels_last(colour).is_contiguous(memory_format=torch.channels_last)
