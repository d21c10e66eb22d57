"""Files of weights as training programs write them, and files that are none."""

import argparse
import os
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from core.models.networks import build, load_weights
from tests.refusals import refused

NAME, ARGUMENTS = "resnet10t", {"channels": [8, 16, 24, 32]}


@pytest.fixture(scope="module")
def source():
    """A small timm network with a head for five classes, in three colours."""
    import timm

    torch.manual_seed(3)
    return timm.create_model(NAME, num_classes=5, **ARGUMENTS)


def loaded(file) -> tuple[torch.nn.Module, list[str]]:
    notes: list[str] = []
    return build(NAME, ARGUMENTS, str(file), notes.append), notes


def same(network: torch.nn.Module, state: dict, but: tuple[str, ...] = ("conv1.0.weight", "fc.")) -> bool:
    """Whether the network has these weights, except for the first convolution and the head."""
    own = network.state_dict()
    return all(torch.equal(own[key], value) for key, value in state.items() if key in own and not key.startswith(but))


PREFIXES = [
    "module.", "model.", "_orig_mod.", "encoder.", "net.", "backbone.", "module.model.", "_orig_mod.module.",
    "module._orig_mod.", "model.backbone.", "module.densenet121.",
]  # fmt: skip


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_prefix_before_all_names_is_taken_off_and_said(source, tmp_path, prefix):
    state = source.state_dict()
    torch.save({f"{prefix}{key}": value for key, value in state.items()}, tmp_path / "w.pth")
    network, notes = loaded(tmp_path / "w.pth")
    assert same(network, state)
    assert any(repr(prefix) in note for note in notes)
    assert any("head" in note and "5 classes" in note and "fc.weight" in note for note in notes)
    assert any("three colours" in note for note in notes)


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".pth.tar", ".ckpt", ".bin"])
@pytest.mark.parametrize("nest", ["state_dict", "model", "model_state_dict", "ema", "state_dict_ema", "params"])
def test_one_level_of_nesting_with_settings_beside_the_tensors(source, tmp_path, nest, suffix):
    state = source.state_dict()
    beside = {
        "epoch": np.int64(3),
        "best_auc": np.float64(0.91),
        "loss": np.float32(0.2),
        "curve": np.arange(3.0),
        "args": argparse.Namespace(lr=0.1, out=Path("runs/1"), seed=np.int32(4)),
        "optimizer": {"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": [{"lr": 0.1}]},
        "bones": {"wrist", "hand"},
        nest: OrderedDict((f"module.{key}", value) for key, value in state.items()),
    }
    torch.save(beside, tmp_path / f"w{suffix}")
    network, notes = loaded(tmp_path / f"w{suffix}")
    assert same(network, state) and any(repr(nest) in note for note in notes)


def test_the_format_is_known_by_content_and_old_ones_open(source, tmp_path):
    state = source.state_dict()
    save_file(state, tmp_path / "w.bin")
    assert same(loaded(tmp_path / "w.bin")[0], state)
    torch.save(state, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    assert same(loaded(tmp_path / "old.pth")[0], state)
    torch.save({key: value.numpy() for key, value in state.items()}, tmp_path / "arrays.pth")
    assert same(loaded(tmp_path / "arrays.pth")[0], state)


def test_weights_from_before_batches_were_counted(source, tmp_path):
    state = {key: value for key, value in source.state_dict().items() if "num_batches_tracked" not in key}
    torch.save(state, tmp_path / "w.pth")
    assert same(loaded(tmp_path / "w.pth")[0], state)


def test_the_weights_themselves_come_before_their_running_mean(source, tmp_path):
    state = source.state_dict()
    mean = {key: value * 0 for key, value in state.items()}
    torch.save({"state_dict_ema": mean, "state_dict": state}, tmp_path / "w.pth")
    network, notes = loaded(tmp_path / "w.pth")
    assert same(network, state) and any("state_dict_ema" in note for note in notes)


def test_a_wrapper_with_its_own_head_leaves_that_out(source, tmp_path):
    state = {f"backbone.{key}": value for key, value in source.state_dict().items() if not key.startswith("fc.")}
    torch.save(state | {"classifier.1.weight": torch.zeros(2, 32), "n_averaged": torch.tensor(4)}, tmp_path / "w.pth")
    network, notes = loaded(tmp_path / "w.pth")
    assert same(network, source.state_dict())
    assert any("1 key beside it" in note and "classifier.1.weight" in note for note in notes)
    assert any("new head" in note for note in notes)


def test_attention_takes_the_backbone_with_or_without_a_prefix(source, tmp_path):
    arguments = {"backbone": NAME, "backbone_kwargs": ARGUMENTS}
    for prefix in ("", "module.", "backbone.", "model.backbone."):
        torch.save({f"{prefix}{key}": value for key, value in source.state_dict().items()}, tmp_path / "w.pth")
        network = build("attention", arguments, str(tmp_path / "w.pth"))
        assert same(network.backbone, source.state_dict()), prefix


def test_two_networks_that_fit_are_not_chosen_between(source, tmp_path):
    state = {f"encoder_{part}.{key}": value for part in "qk" for key, value in source.state_dict().items()}
    torch.save(state, tmp_path / "w.pth")
    with refused("weights-mismatch", "2 networks", "encoder_k.", "encoder_q."):
        loaded(tmp_path / "w.pth")


def test_another_network_is_refused_with_counts_and_three_examples(tmp_path):
    torch.save({f"module.{key}": value for key, value in build("lcnet_035").state_dict().items()}, tmp_path / "w.pth")
    with refused("weights-mismatch", "lacks", "unknown", "module.conv_stem.weight") as caught:
        loaded(tmp_path / "w.pth")
    assert str(caught.value).count(", ...") == 2
    wider = build(NAME, {"channels": [16, 16, 24, 32]}).state_dict()
    torch.save(wider, tmp_path / "wider.pth")
    with refused("weights-mismatch", "other shapes", "layer1"):
        loaded(tmp_path / "wider.pth")


class Attack:
    """An object that would write a file when it is unpickled."""

    def __init__(self, file):
        self.file = str(file)

    def __reduce__(self):
        return os.system, (f"touch {self.file}",)


def test_an_object_that_would_run_code_is_refused_by_name(source, tmp_path):
    torch.save({"state_dict": source.state_dict(), "x": Attack(tmp_path / "ran")}, tmp_path / "w.pth")
    with refused("weights-unreadable", "system"):
        loaded(tmp_path / "w.pth")
    assert not (tmp_path / "ran").exists()
    torch.save(source, tmp_path / "whole.pth")
    with refused("weights-unreadable", "timm.models.resnet.ResNet", "state_dict"):
        loaded(tmp_path / "whole.pth")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "Git LFS"),
        (b"<!DOCTYPE html><html></html>", "web page"),
        (b"\x1f\x8b\x08\x00" + bytes(40), "neither"),
        (b"PK\x03\x04" + bytes(200), "damaged"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "neither"),
        (bytes([200, 0, 0, 0, 0, 0, 0, 0]) + b"{}", "damaged"),
    ],
)
@pytest.mark.parametrize("suffix", [".pth", ".safetensors", ".pth.tar"])
def test_a_file_that_holds_no_weights_has_a_reason(tmp_path, content, words, suffix):
    (tmp_path / f"w{suffix}").write_bytes(content)
    with refused("weights-unreadable", f"w{suffix}", words) as caught:
        loaded(tmp_path / f"w{suffix}")
    assert "Traceback" not in str(caught.value) and "\n" not in str(caught.value)


def test_a_file_cut_off_anywhere_is_refused(source, tmp_path):
    torch.save(source.state_dict(), tmp_path / "w.pth")
    whole = (tmp_path / "w.pth").read_bytes()
    for part in (0.1, 0.5, 0.9, 0.999):
        (tmp_path / "cut.pth").write_bytes(whole[: int(part * len(whole))])
        with refused("weights-unreadable", "cut off"):
            loaded(tmp_path / "cut.pth")


def test_weights_that_are_not_numbers_are_refused(source, tmp_path):
    state = {key: value.clone() for key, value in source.state_dict().items()}
    state["layer1.0.conv1.weight"][0] = float("nan")
    torch.save(state, tmp_path / "w.pth")
    with refused("weights-not-finite", "layer1.0.conv1.weight"):
        loaded(tmp_path / "w.pth")


def test_names_of_old_densenets(tmp_path):
    import timm

    state = timm.create_model("densenet121", growth_rate=4, num_classes=14).state_dict()
    old = {
        "module.densenet121." + key.replace("norm1.", "norm.1.").replace("conv2.", "conv.2."): value
        for key, value in state.items()
    }
    torch.save({"state_dict": old}, tmp_path / "w.pth.tar")
    notes = load_weights(build("densenet121", {"growth_rate": 4}), tmp_path / "w.pth.tar")
    assert any("module.densenet121." in note for note in notes)
