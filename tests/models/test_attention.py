"""Attention pooling over the views of a study, compared with the formula of its paper and with plain networks."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from core.explain.attribution import attribute_study
from core.models.networks import build, find_head, reads_studies, stages
from core.models.networks.attention import GatedHead, pool_views
from core.scores.classifier import Classifier
from core.training.recipe import Recipe
from tests.refusals import refused


def test_pooling_follows_the_formula_of_the_paper():
    """Ilse 2018, equations 8 and 9: softmax(w'(tanh(Vh) * sigm(Uh))), then a linear layer on the weighed features."""
    torch.manual_seed(0)
    head, features = GatedHead(6, 4).double(), torch.randn(5, 6, dtype=torch.float64)
    study, expected = torch.tensor([0, 1, 0, 0, 1]), []
    for number in (0, 1):
        bag = features[study == number]
        gated = torch.tanh(bag @ head.what.weight.T + head.what.bias) * torch.sigmoid(
            bag @ head.gate.weight.T + head.gate.bias
        )
        weight = torch.softmax(gated @ head.attention.weight[0] + head.attention.bias, 0)
        expected.append(head.logit((weight[:, None] * bag).sum(0)).item())
    assert pool_views(head(features), study, 2).tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("backbone", ["small_cnn", "grey_resnet", "lcnet_035", "vit_tiny_patch16_224", "dla34"])
def test_a_radiograph_alone_is_a_study_of_one(backbone):
    torch.manual_seed(0)
    model = build(f"attention:{backbone}", {"img_size": 64} if backbone.startswith("vit") else {}).eval()
    radiographs = torch.randn(3, 1, 64, 64)
    alone = model(radiographs, torch.arange(3), 3)
    assert reads_studies(model) and torch.allclose(model(radiographs), alone, atol=1e-5)
    assert set(find_head(model)[1]) == {name for name in model.state_dict() if name.startswith("head.")}
    depth = stages(model)
    assert depth["head.logit.weight"] == max(depth.values()) > max(d for n, d in depth.items() if n[:4] == "back")


def test_weights_of_the_backbone_alone_can_be_loaded(tmp_path):
    torch.manual_seed(0)
    plain = build("lcnet_035")
    save_file(plain.state_dict(), tmp_path / "plain.safetensors")
    model = build("attention:lcnet_035", weights=str(tmp_path / "plain.safetensors"))
    for name, value in model.backbone.state_dict().items():
        assert torch.equal(value, plain.state_dict()[name]), name
    save_file(build("small_cnn").state_dict(), tmp_path / "other.safetensors")
    with refused("weights-mismatch", "other.safetensors"):
        build("attention:lcnet_035", weights=str(tmp_path / "other.safetensors"))


@pytest.mark.parametrize(
    ("name", "code", "figure"),
    [
        ("attention:resnet19", "architecture-unknown", "resnet18"),
        ("mean:resnet18", "architecture-unknown", "mean:resnet18"),
        ("attention:deit_tiny_distilled_patch16_224", "backbone-unsupported", "ModuleList"),
        ("attention:ensemble", "arguments-unsupported", "members"),
    ],
)
def test_a_backbone_that_cannot_be_pooled_is_refused(name, code, figure):
    with refused(code, figure):
        build(name)


def test_the_maps_of_a_study_use_the_attention_of_the_network():
    torch.manual_seed(0)
    model = build("attention:lcnet_035").eval().requires_grad_(False)
    classifier = Classifier(model, Recipe("r", "attention:lcnet_035", size=64).input_spec(), torch.device("cpu"))
    pixels = np.random.default_rng(0).integers(0, 256, (3, 64, 64)).astype(np.uint8)
    logit, attention = classifier.scores(pixels).T
    weight = np.exp(attention) / np.exp(attention).sum()
    maps = attribute_study(classifier, pixels, "saliency", "attention")
    assert len(maps) == 3 and maps[0].value == pytest.approx(float(weight @ logit), abs=1e-4)
    plain = Classifier(build("lcnet_035").eval(), classifier.spec, classifier.device)
    with refused("aggregation-unknown", "attention"):
        attribute_study(plain, pixels, "saliency", "attention")
