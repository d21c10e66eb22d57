"""Rates, freezing, losses, means of weights: each against its definition."""

import copy
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import accuracy_score, precision_score, recall_score, roc_auc_score
from torchvision.ops import sigmoid_focal_loss

from core.errors import OverreadError
from core.models.networks import build, parts, stages
from core.training.average import average_of, update
from core.training.loss import loss_of, tuning_figures
from core.training.optim import freeze, optimiser_for, plateaus, set_rates
from core.training.preflight import stop_early
from core.training.recipe import Recipe

RECIPE = Recipe("r", "resnet18", size=32, epochs=10)
FAMILIES = ["resnet18", "mobilenetv2_100", "densenet121", "convnext_atto", "vit_tiny_patch16_224", "small_cnn"]


@pytest.mark.parametrize("architecture", FAMILIES)
def test_stages_run_from_the_stem_to_the_head(architecture):
    model = build(architecture)
    found, (_, head) = stages(model), parts(model)
    assert set(found) == {name for name, _ in model.named_parameters()}
    last = max(found.values())
    assert {name for name, stage in found.items() if stage == last} == set(head)
    first = next(name for name, _ in model.named_parameters() if "cls_token" not in name and "pos_embed" not in name)
    assert found[first] == 0 and last >= (2 if architecture == "small_cnn" else 4)


def test_a_network_whose_own_grouping_fails_has_its_parts_as_stages(monkeypatch):
    """As timm's RDNet, which refuses coarse groups."""
    model = build("lcnet_035")

    def refuse(coarse=False):
        raise AssertionError("coarse grouping is not implemented")

    monkeypatch.setattr(model, "group_matcher", refuse, raising=False)
    found, (_, head) = stages(model), parts(model)
    assert found["conv_stem.weight"] == 0 and {found[name] for name in head} == {max(found.values())}
    assert found["blocks.0.0.conv_dw.weight"] == found["blocks.5.1.conv_pw.weight"] > 0


def test_frozen_stages_do_not_move_and_their_norms_keep_their_means():
    torch.manual_seed(0)
    recipe = replace(RECIPE, freeze_stages=2)
    model = build("resnet18")
    before = copy.deepcopy(model.state_dict())
    optimiser = optimiser_for(model, recipe)
    freeze(model, recipe, 0)
    model(torch.randn(4, 1, 32, 32)).sum().backward()
    optimiser.step()
    moved = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    still = set(before) - moved
    assert {"conv1.weight", "bn1.running_mean", "layer1.0.conv1.weight", "layer1.1.bn2.running_var"} <= still
    assert {"layer2.0.conv1.weight", "layer2.0.bn1.running_mean", "fc.weight"} <= moved
    with pytest.raises(OverreadError, match="has 5 stages before its head; expected 0 to 5"):
        optimiser_for(model, replace(RECIPE, freeze_stages=6))


def test_stages_thaw_from_the_head_down_one_after_another():
    """resnet18: head 5, then layer4 .. layer1 and the stem; two epochs of the head, then one stage each two epochs."""
    recipe, model = replace(RECIPE, head_epochs=2, unfreeze_epochs=2, freeze_stages=1), build("resnet18")
    learning = []
    for epoch in (0, 1, 2, 3, 4, 8, 30):
        freeze(model, recipe, epoch)
        learns = {name.split(".")[0] for name, value in model.named_parameters() if value.requires_grad}
        assert model.layer4.training == ("layer4" in learns) and model.fc.training
        learning.append(sorted(learns))
    layers = ["layer1", "layer2", "layer3", "layer4"]
    assert learning == [["fc"]] * 2 + [["fc", "layer4"]] * 2 + [["fc", "layer3", "layer4"]] + [["fc", *layers]] * 2


def test_layer_decay_slows_each_stage_by_its_distance_from_the_head():
    model = build("resnet18")
    recipe = replace(RECIPE, layer_decay=0.5, backbone_rate=0.8, schedule="constant", learning_rate=1.0)
    optimiser = optimiser_for(model, recipe)
    set_rates(optimiser, recipe, 0.0)
    rate = {id(value): group["lr"] for group in optimiser.param_groups for value in group["params"]}
    found = {name: rate[id(value)] for name, value in model.named_parameters()}
    stage = stages(model)
    for name in ("conv1.weight", "layer1.0.bn1.weight", "layer4.1.conv2.weight"):
        assert found[name] == pytest.approx(0.8 * 0.5 ** (stage["fc.weight"] - stage[name]))
    assert found["fc.weight"] == 1.0


def test_plateau_counts_rounds_without_gain():
    assert [plateaus([0.5, 0.6, 0.6, 0.6, 0.55][:n]) for n in range(6)] == [0, 0, 0, 0, 0, 1]
    assert plateaus([0.5] * 8) == 2 and plateaus([0.1, 0.2, 0.3, 0.4]) == 0
    optimiser = torch.optim.SGD([{"params": [torch.zeros(1, requires_grad=True)], "scale": 1.0, "in_head": True}], lr=1)
    recipe = replace(RECIPE, schedule="plateau", learning_rate=0.9)
    assert set_rates(optimiser, recipe, 8.0, [0.5] * 7) == pytest.approx(0.9 / 9)


def test_stopping_early_waits_as_long_as_asked():
    recipe = replace(RECIPE, patience=2)
    assert not stop_early(recipe, [0.5, 0.4]) and stop_early(recipe, [0.5, 0.4, 0.5])
    assert not stop_early(recipe, [0.5, 0.4, 0.51]) and not stop_early(RECIPE, [0.5] * 50)


@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.0])
def test_focal_loss_is_torchvisions(gamma):
    torch.manual_seed(0)
    logits, target = 3 * torch.randn(50), (torch.rand(50) < 0.3).float()
    found = loss_of(replace(RECIPE, loss="focal", focal_gamma=gamma), logits, target, torch.ones(50))
    assert float(found) == pytest.approx(float(sigmoid_focal_loss(logits, target, -1, gamma, "mean")), rel=1e-5)


def test_a_mean_of_weights_follows_its_definition():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    average = average_of(model, replace(RECIPE, ema=0.8))
    expected = None
    for _ in range(5):
        with torch.no_grad():
            for value in model.parameters():
                value.add_(torch.randn_like(value))
        update(average, model)
        now = model[0].weight.detach().clone()
        expected = now if expected is None else 0.8 * expected + 0.2 * now
    assert torch.allclose(average.module[0].weight, expected, atol=1e-6)
    assert average_of(model, RECIPE) is None


def test_an_epochs_figures_are_those_of_its_studies():
    random = np.random.default_rng(0)
    tune = pd.DataFrame(
        {"study_id": [f"s{n // 2}" for n in range(60)], "label": [float(n // 2 % 3 == 0) for n in range(60)]}
    )
    tune = tune.assign(
        patient_id=tune["study_id"], group_id=tune["study_id"], bone="hand", view=None, image_id=range(60)
    )
    logits = random.normal(tune["label"] - 0.5, 1)
    found = tuning_figures(tune, {"logit": logits})
    scores = pd.Series(1 / (1 + np.exp(-logits))).groupby(tune["study_id"]).mean()
    labels = tune.groupby("study_id")["label"].first()
    called = scores >= 0.5
    assert found["tune_auroc"] == pytest.approx(roc_auc_score(labels, scores))
    assert found["tune_accuracy"] == pytest.approx(accuracy_score(labels, called))
    assert found["tune_precision"] == pytest.approx(precision_score(labels, called))
    assert found["tune_recall"] == pytest.approx(recall_score(labels, called))


@pytest.mark.parametrize(
    "change",
    [{"ema": 1.0}, {"layer_decay": 0}, {"clip_norm": -1}, {"accumulate": 0}, {"loss": "hinge"}, {"precision": "int8"}],
)
def test_a_recipe_says_what_it_expected(change):
    with pytest.raises(OverreadError, match="expected"):
        replace(RECIPE, **change)
