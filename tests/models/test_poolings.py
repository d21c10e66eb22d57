"""Poolings of the views' logits: the scores and gradients of hand computation, and finite figures everywhere."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

from core.metrics.studies import AGGREGATIONS, study_table
from core.models.networks import POOLINGS, build
from core.models.networks.attention import pool_views
from core.models.networks.poolings import pool_rows
from core.training.recipe import POOLING_NAMES

# Two studies whose views are mixed up: probabilities .5 and .8 (logits 0, log 4) and, alone, .75 (logit log 3).
SOFT = math.log((math.exp(2.5) + math.exp(4)) / 2) / 5
SLOPE = SOFT * (1 - SOFT)
LOGITS, STUDY = [0.0, math.log(3), math.log(4)], [0, 1, 0]


def pooled(name: str, logits: list[float], study: list[int], count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The pooled logits, and the gradient of their sum."""
    values = torch.tensor(logits, dtype=torch.float64, requires_grad=True)
    found = POOLINGS[name](values, torch.tensor(study), count)
    found.sum().backward()
    return found.detach(), values.grad


@pytest.mark.parametrize(
    ("name", "logit", "gradient"),
    [
        # p = .65: the derivative of its logit is p_i (1 - p_i) / 2 / (.65 * .35).
        ("mean", math.log(0.65 / 0.35), [0.25 / 2 / 0.2275, 0.16 / 2 / 0.2275]),
        ("top2", math.log(0.65 / 0.35), [0.25 / 2 / 0.2275, 0.16 / 2 / 0.2275]),
        ("max", math.log(4), [0.0, 1.0]),
        # 1 - .5 * .2 = .9, and the derivative is p_i / .9.
        ("noisy_or", math.log(9), [0.5 / 0.9, 0.8 / 0.9]),
        ("logit_mean", math.log(2), [0.5, 0.5]),
        # The softmax of 5 p, 1 / (1 + e^1.5) and the rest, times p_i (1 - p_i) / (SOFT * (1 - SOFT)).
        ("lse", math.log(SOFT / (1 - SOFT)), [0.18242552 * 0.25 / SLOPE, 0.81757448 * 0.16 / SLOPE]),
    ],
)
def test_scores_and_gradients_are_those_of_hand_computation(name, logit, gradient):
    found, slopes = pooled(name, LOGITS, STUDY, 2)
    assert found.tolist() == pytest.approx([logit, math.log(3)], abs=1e-6)
    assert slopes.tolist() == pytest.approx([gradient[0], 1.0, gradient[1]], abs=1e-6)


def test_every_aggregation_has_its_pooling_and_every_pooling_is_a_setting():
    assert set(POOLINGS) == set(AGGREGATIONS) - {"attention"}
    assert set(POOLING_NAMES) == {"", "patch_attention", *AGGREGATIONS}


@pytest.mark.parametrize("name", POOLINGS)
def test_a_pooling_scores_studies_like_its_aggregation(name):
    random = np.random.default_rng(5)
    study = random.integers(0, 12, 40)
    study[:12] = np.arange(12)  # studies of 1 to 7 views
    logits = random.normal(0, 4, 40)
    frame = pd.DataFrame(
        {"study_id": study.astype(str), "logit": logits, "label": 1.0, "split": "valid", "bone": "knee"}
    )
    frame = frame.assign(patient_id=frame["study_id"], group_id=frame["study_id"])
    expected = study_table(frame, name).set_index("study_id")["score"]
    found, _ = pooled(name, logits.tolist(), study.tolist(), 12)
    assert torch.sigmoid(found).tolist() == pytest.approx([expected[str(each)] for each in range(12)], abs=1e-10)
    assert pool_rows(name, found[:, None]).tolist() == pytest.approx(found.tolist())


@pytest.mark.parametrize("name", POOLINGS)
@pytest.mark.parametrize("logits", [[0.0, 0.0], [90.0, 95.0], [-90.0, -95.0], [-400.0, 400.0], [300.0], [-300.0]])
def test_saturated_scores_give_finite_losses_and_gradients(name, logits):
    """In float32, the precision of training, e^-104 is 0 and its logarithm infinite."""
    for target in (0.0, 1.0):
        values = torch.tensor(logits, requires_grad=True)
        found = POOLINGS[name](values, torch.zeros(len(logits), dtype=torch.long), 1)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(found, torch.tensor([target]))
        loss.backward()
        assert torch.isfinite(found).all() and torch.isfinite(values.grad).all()
        # A study that is certain and wrong still has a gradient to learn from.
        wrong = min(logits) > 50 if target == 0 else max(logits) < -50
        assert not wrong or values.grad.abs().sum() > 0.4


def test_no_study_gives_no_score():
    for call in POOLINGS.values():
        assert call(torch.zeros(0), torch.zeros(0, dtype=torch.long), 0).shape == (0,)


def test_patches_of_all_views_are_weighed_at_once():
    """The two numbers of each view give the softmax over the patches of the whole study."""
    torch.manual_seed(0)
    model = build("patch_attention:grey_resnet").eval()
    radiographs, study = torch.randn(3, 1, 64, 64), torch.tensor([0, 1, 0])
    maps = model.backbone.forward_features(radiographs).flatten(2).transpose(1, 2)
    seen = model.head.norm(model.head.block(model.head.narrow(maps)))
    logit, attention = model.head.gated(seen.flatten(0, 1)).unflatten(0, seen.shape[:2]).unbind(2)
    both = attention[[0, 2]].flatten().softmax(0) @ logit[[0, 2]].flatten()
    alone = attention[1].softmax(0) @ logit[1]
    found = pool_views(model.views(radiographs), study, 2)
    assert found.tolist() == pytest.approx([both.item(), alone.item()], abs=1e-5)
    assert torch.allclose(model(radiographs, study, 2)[:, 0], found)


@pytest.mark.parametrize("backbone", ["small_cnn", "lcnet_035", "vit_tiny_patch16_224"])
def test_patches_of_any_backbone(backbone):
    model = build(f"patch_attention:{backbone}", {"img_size": 32} if backbone.startswith("vit") else {})
    model(torch.randn(2, 1, 32, 32), torch.tensor([0, 0]), 1).sum().backward()
    assert all(parameter.grad is not None for parameter in model.head.parameters())
