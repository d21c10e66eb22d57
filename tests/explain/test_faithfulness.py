import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from core.data.input_spec import InputSpec
from core.explain.attribution import attribute
from core.explain.curves import insertion_deletion, reference_maps
from core.explain.faithfulness import Evidence, check_map, likeness, shuffle_weights
from core.explain.map_values import Attribution
from core.explain.pointing import pointing
from core.explain.regions import find_regions
from core.explain.score_functions import StudyView
from core.models.networks import build
from core.scores.classifier import Classifier

CPU = torch.device("cpu")
SIDE = 56


class Box(nn.Module):
    """The logit is the squared contrast to grey in one square, which a good map must point at."""

    def forward(self, x):
        return (x[:, 0, 8:20, 30:42] ** 2).mean((1, 2))[:, None] * 8 - 4


SPEC = InputSpec(SIDE, mean=0.5, std=0.5)
BOX = Classifier(Box().eval(), SPEC, CPU)
INSIDE = np.zeros((SIDE, SIDE), bool)
INSIDE[8:20, 30:42] = True


def film() -> np.ndarray:
    """Noise: blurring removes what the model reads, and there are edges everywhere."""
    return np.random.default_rng(0).integers(0, 2, (SIDE, SIDE)).astype(np.uint8) * 255


def attribution(values: np.ndarray) -> Attribution:
    return Attribution("saliency", values.astype(np.float32), 0.0, "this radiograph's logit", "")


def test_a_map_of_the_pixels_that_the_model_reads_beats_every_reference():
    found = insertion_deletion(BOX.logits, film(), attribution(INSIDE))
    assert found["change"] > 0.5 and found["better_than_edges"] is True
    # The first 4% of the squares cause the whole change, and the two curves differ by it from there on.
    assert found["map"] == pytest.approx(1, abs=0.15)
    assert max(abs(found[name]) for name in ("random", "centre", "edges")) < 0.6
    backwards = insertion_deletion(BOX.logits, film(), attribution(-INSIDE.astype(float)))
    assert backwards["map"] < 0 and backwards["better_than_edges"] is False


def test_evidence_for_normal_is_the_negative_side_of_a_map():
    class Opposite(nn.Module):
        def forward(self, x):
            return -Box()(x)

    classifier = Classifier(Opposite().eval(), SPEC, CPU)
    assert insertion_deletion(classifier.logits, film(), attribution(-INSIDE.astype(float)))["map"] > 0.8
    magnitude = dataclasses.replace(attribution(INSIDE), signed=False)
    assert insertion_deletion(classifier.logits, film(), magnitude)["map"] > 0.8


def test_a_map_has_nothing_to_explain_where_blurring_changes_nothing():
    flat = np.full((SIDE, SIDE), 90, np.uint8)
    trust = check_map(BOX, flat, attribution(INSIDE), Evidence(model_auroc=(0.9, 0.8)))
    assert trust.verdict == "do not trust" and "nothing to explain" in trust.why
    assert trust.better_than_edges is None


@pytest.mark.parametrize(
    "architecture", ["resnet10t", "small_cnn", pytest.param("mobilenetv2_035", marks=pytest.mark.slow)]
)
def test_a_network_with_random_weights_is_never_trusted(architecture):
    torch.manual_seed(1)
    classifier = Classifier(build(architecture).eval().requires_grad_(False), InputSpec(64), CPU)
    pixels = np.random.default_rng(3).integers(0, 256, (64, 64)).astype(np.uint8)
    for name in ("grad_cam", "saliency"):
        found = attribute(classifier, pixels, name)
        assert check_map(classifier, pixels, found).verdict == "do not trust"
        # An AUROC whose interval includes one half fails, whatever the map looks like.
        assert check_map(classifier, pixels, found, Evidence(model_auroc=(0.52, 0.44))).verdict == "do not trust"


def test_a_map_that_does_not_depend_on_the_weights_fails_randomisation():
    """With equal weights, shuffling gives the same network and the same gradient."""

    class Same(nn.Module):
        def __init__(self):
            super().__init__()
            self.flat, self.head = nn.Flatten(), nn.Linear(SIDE * SIDE, 1)
            nn.init.constant_(self.head.weight, 20 / SIDE**2)

        def forward(self, x):
            return self.head(self.flat(x**2))

    classifier = Classifier(Same().eval(), SPEC, CPU)
    found = attribute(classifier, film(), "saliency")
    failed = {check.name for check in check_map(classifier, film(), found).checks if check.passed is False}
    assert "randomisation" in failed


def test_shuffling_keeps_each_layer_s_values_and_the_original():
    torch.manual_seed(0)
    model = build("resnet10t")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    mixed = shuffle_weights(model, 0)
    top = shuffle_weights(model, 0, slice(1)).state_dict()
    for name, value in mixed.state_dict().items():
        assert torch.equal(value.flatten().sort().values, before[name].flatten().sort().values)
        if before[name].ndim > 1:
            assert not torch.equal(value, before[name])
            assert torch.equal(top[name], before[name]) == (not name.startswith("fc"))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_likeness():
    rng = np.random.default_rng(0)
    one, two = rng.normal(size=(56, 56)), rng.normal(size=(56, 56))
    assert likeness(one, one) == likeness(one, -3 * one) == pytest.approx(1)
    assert abs(likeness(one, two)) < 0.15
    assert likeness(np.zeros((56, 56)), np.zeros((56, 56))) == 1 and likeness(one, np.zeros((56, 56))) == 0


def test_pointing_by_hand():
    found, truth = np.zeros((30, 30)), np.zeros((30, 30), bool)
    truth[10:14, 10:14] = True
    found[10:14, 10:12], found[25, 25] = 1.0, 1.5
    facts = pointing(found, truth)
    # The mask contains 8 of the 9.5 and 8 of the 16 strongest pixels; the peak is far away.
    assert facts["hit"] == 0 and facts["inside"] == pytest.approx(8 / 9.5) and facts["area"] == 16 / 900
    found[25, 25] = 0.5
    assert pointing(found, truth)["hit"] == 1
    assert pointing(-found, truth) == {**pointing(np.zeros((30, 30)), truth)}


def test_regions_of_a_limb_with_a_letter():
    pixels = np.zeros((112, 112), np.uint8)
    columns = np.indices(pixels.shape)[1]
    limb = np.abs(columns - 60) < 22
    pixels[limb] = 70
    pixels[np.abs(columns - 60) < 9] = 170
    pixels[8:16, 8:13] = 255
    parts = find_regions(pixels)
    assert parts.body_known and (parts.body & limb).sum() / (parts.body | limb).sum() > 0.85
    assert parts.marks[8:16, 8:13].all() and not parts.marks[:, 40:80].any()
    assert parts.border[0].all() and not parts.border[56, 56]
    flat = find_regions(np.full((64, 64), 120, np.uint8))
    assert not flat.body_known and flat.body.all() and not flat.marks.any()


def test_a_map_on_a_letter_fails_the_checks_of_marks_and_body():
    pixels = np.zeros((112, 112), np.uint8)
    pixels[:, 40:80] = 120
    pixels[8:20, 8:14] = 255
    classifier = Classifier(Box().eval(), InputSpec(112, mean=0.5, std=0.5), CPU)
    on_letter = np.zeros((112, 112))
    on_letter[8:20, 8:14] = 1
    checks = {check.name: check for check in check_map(classifier, pixels, attribution(on_letter)).checks}
    assert checks["marks"].passed is False and checks["marks"].value == pytest.approx(1)
    assert checks["outside"].passed is False


def test_a_view_is_checked_by_the_score_of_its_study():
    other = np.zeros((SIDE, SIDE), np.uint8)
    views = np.stack([other, film()])
    # The mean of the two logits changes half as much as the view's own logit, in the same order.
    found, alone = attribution(INSIDE), insertion_deletion(BOX.logits, film(), attribution(INSIDE))
    study = StudyView(views, 1, "logit_mean")
    both = insertion_deletion(study.score(BOX), film(), found)
    assert both["map"] == pytest.approx(alone["map"]) and 0 < both["change"] < alone["change"]
    assert study.score(BOX)(film()[None])[0] == pytest.approx(BOX.logits(views).mean(), rel=1e-5)
    trust = check_map(BOX, film(), found, Evidence(model_auroc=(0.9, 0.8)), study=study)
    assert trust.better_than_edges and {"edges", "randomisation", "stability"} <= {check.name for check in trust.checks}


def test_reference_maps_do_not_depend_on_the_model():
    maps = reference_maps(film())
    assert set(maps) == {"random", "centre", "edges"}
    assert maps["centre"].argmax() in {SIDE * row + column for row in (27, 28) for column in (27, 28)}
    step = np.zeros((SIDE, SIDE), np.uint8)
    step[:, 28:] = 200
    assert abs(reference_maps(step)["edges"].argmax() % SIDE - 27.5) < 1.5
