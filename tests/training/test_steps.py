"""Learning rates, freezing, losses and the mean of weights, each compared with its definition."""

import copy
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import accuracy_score, precision_score, recall_score, roc_auc_score
from torchvision.ops import sigmoid_focal_loss

from core.models.networks import build, find_head, stages
from core.training.average import running_average, update_average
from core.training.loss import loss_of, tuning_figures
from core.training.optim import count_plateaus, freeze, optimiser_for, set_rates
from core.training.recipe import Recipe
from core.training.validation import should_stop
from tests.refusals import refused

RECIPE = Recipe("r", "resnet18", size=32, epochs=10)
FAMILIES = ["resnet18", "mobilenetv2_100", "densenet121", "convnext_atto", "vit_tiny_patch16_224", "small_cnn"]


@pytest.mark.parametrize("architecture", FAMILIES)
def test_stages_run_from_the_stem_to_the_head(architecture):
    model = build(architecture)
    found, (_, head) = stages(model), find_head(model)
    assert set(found) == {name for name, _ in model.named_parameters()}
    last = max(found.values())
    assert {name for name, stage in found.items() if stage == last} == set(head)
    first = next(name for name, _ in model.named_parameters() if "cls_token" not in name and "pos_embed" not in name)
    assert found[first] == 0 and last >= (2 if architecture == "small_cnn" else 4)


def test_top_level_modules_are_stages_where_timm_has_no_groups(monkeypatch):
    """As in timm's RDNet, which refuses coarse groups."""
    model = build("lcnet_035")

    def refuse(coarse=False):
        raise AssertionError("coarse grouping is not implemented")

    monkeypatch.setattr(model, "group_matcher", refuse, raising=False)
    found, (_, head) = stages(model), find_head(model)
    assert found["conv_stem.weight"] == 0 and {found[name] for name in head} == {max(found.values())}
    assert found["blocks.0.0.conv_dw.weight"] == found["blocks.5.1.conv_pw.weight"] > 0


def test_frozen_stages_and_their_norms_do_not_change():
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
    with refused("stages-out-of-range", 6, "0 to 5"):
        optimiser_for(model, replace(RECIPE, freeze_stages=6))


def test_stages_start_to_learn_from_the_head_down():
    """resnet18: two epochs of the head alone, then one more stage every two epochs: layer4, layer3 ... the stem."""
    recipe, model = replace(RECIPE, head_epochs=2, unfreeze_epochs=2, freeze_stages=1), build("resnet18")
    learning = []
    for epoch in (0, 1, 2, 3, 4, 8, 30):
        freeze(model, recipe, epoch)
        learns = {name.split(".")[0] for name, value in model.named_parameters() if value.requires_grad}
        assert model.layer4.training == ("layer4" in learns) and model.fc.training
        learning.append(sorted(learns))
    layers = ["layer1", "layer2", "layer3", "layer4"]
    assert learning == [["fc"]] * 2 + [["fc", "layer4"]] * 2 + [["fc", "layer3", "layer4"]] + [["fc", *layers]] * 2


def test_layer_decay_lowers_rates_by_the_distance_from_the_head():
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


def test_plateaus_are_counted_and_lower_the_rate():
    assert [count_plateaus([0.5, 0.6, 0.6, 0.6, 0.55][:n]) for n in range(6)] == [0, 0, 0, 0, 0, 1]
    assert count_plateaus([0.5] * 8) == 2 and count_plateaus([0.1, 0.2, 0.3, 0.4]) == 0
    optimiser = torch.optim.SGD([{"params": [torch.zeros(1, requires_grad=True)], "scale": 1.0, "in_head": True}], lr=1)
    recipe = replace(RECIPE, schedule="plateau", learning_rate=0.9)
    assert set_rates(optimiser, recipe, 8.0, [0.5] * 7) == pytest.approx(0.9 / 9)


def test_early_stopping_waits_for_patience_epochs():
    recipe = replace(RECIPE, patience=2)
    assert not should_stop(recipe, [0.5, 0.4]) and should_stop(recipe, [0.5, 0.4, 0.5])
    assert not should_stop(recipe, [0.5, 0.4, 0.51]) and not should_stop(RECIPE, [0.5] * 50)


@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.0])
def test_focal_loss_equals_that_of_torchvision(gamma):
    torch.manual_seed(0)
    logits, target = 3 * torch.randn(50), (torch.rand(50) < 0.3).float()
    found = loss_of(replace(RECIPE, loss="focal", focal_gamma=gamma), logits, target, torch.ones(50))
    assert float(found) == pytest.approx(float(sigmoid_focal_loss(logits, target, -1, gamma, "mean")), rel=1e-5)


def test_the_running_mean_follows_its_definition():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    average = running_average(model, replace(RECIPE, ema=0.8))
    expected = None
    for _ in range(5):
        with torch.no_grad():
            for value in model.parameters():
                value.add_(torch.randn_like(value))
        update_average(average, model)
        now = model[0].weight.detach().clone()
        expected = now if expected is None else 0.8 * expected + 0.2 * now
    assert torch.allclose(average.module[0].weight, expected, atol=1e-6)
    assert running_average(model, RECIPE) is None


def test_tuning_figures_equal_those_of_scikit_learn():
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
def test_a_value_out_of_range_is_refused(change):
    with refused("setting-value", next(iter(change))):
        replace(RECIPE, **change)
