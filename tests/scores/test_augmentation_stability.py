"""How often an augmentation changes a decision: compared with a plain loop, after an interruption, and by bone."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from core.data.augment import PRESETS, Augmentation, apply
from core.data.index import build_index, write_dataset
from core.scores import augmentation_stability as stability
from core.scores.augmentation_stability import (
    StabilitySample,
    draw_logits,
    score_stability,
    stability_rows,
    stability_table,
)
from core.scores.classifier import load_classifier
from core.scores.source import source_of
from core.training.loop import train
from core.training.options import RunOptions
from tests.refusals import refused
from tests.training.test_loop import RECIPE

STRONG = replace(PRESETS["strong"], mixup=0.5)


@pytest.fixture
def trained(mura, workspace, tmp_path):
    tree = write_dataset("tree", build_index(mura, folds=4))
    return train(replace(RECIPE, epochs=1), tree, tmp_path / "out", RunOptions(device="cpu")), tree


def test_each_draw_is_the_score_of_its_sample(trained):
    checkpoint, _ = trained
    classifier = load_classifier(checkpoint, "cpu")
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16)).astype(np.uint8)
    found = draw_logits(classifier, STRONG, pixels, "a", 3, range(20))
    for epoch in (0, 7, 19):
        unit = apply(STRONG.without_mixing, torch.from_numpy(pixels)[None], ["a"], 3, epoch)
        with torch.inference_mode():
            assert found[epoch] == pytest.approx(classifier.model(classifier.spec.normalise(unit)).item(), abs=1e-4)
    assert found.std() > 0
    still = draw_logits(classifier, Augmentation(), pixels, "a", 3, range(5))
    assert still == pytest.approx(classifier.logits(pixels[None])[0], abs=1e-5)


def test_score_stability_by_hand():
    found = score_stability(0.0, [-1, 1, 1, 1], 0.5)
    assert found["flips"] == 0.25 and found["original"] == 0.5 and found["draws"] == 4
    assert found["mean"] == pytest.approx((0.26894 + 3 * 0.73106) / 4, abs=1e-4)
    assert score_stability(2.0, [2.0] * 8, 0.5)["spread"] == 0


def test_an_interrupted_run_continues_and_gives_the_same(trained, monkeypatch):
    checkpoint, tree = trained
    straight = stability_rows(source_of(checkpoint, tree), STRONG, StabilitySample("valid", 12, 6), device="cpu")
    stability.stability_file(source_of(checkpoint, tree), STRONG, 6, 0).unlink()
    calls, draw = [], stability.draw_logits
    monkeypatch.setattr(stability, "_KEEP_EVERY", 2)

    def stop(*arguments):
        calls.append(1)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return draw(*arguments)

    monkeypatch.setattr(stability, "draw_logits", stop)
    with pytest.raises(KeyboardInterrupt):
        stability_rows(source_of(checkpoint, tree), STRONG, StabilitySample("valid", 12, 6), device="cpu")
    again = stability_rows(source_of(checkpoint, tree), STRONG, StabilitySample("valid", 12, 6), device="cpu")
    # Four were kept of five made, so eight more; the stop itself was one call.
    assert len(calls) == 6 + 8 and set(straight["bone"]) == {"elbow", "wrist"}
    pd.testing.assert_frame_equal(again.sort_values("image_id", ignore_index=True),
                                  straight.sort_values("image_id", ignore_index=True))  # fmt: skip
    calls.clear()
    stability_rows(source_of(checkpoint, tree), STRONG, StabilitySample("valid", 12, 6), device="cpu")
    assert not calls
    stability.stability_file(source_of(checkpoint, tree), STRONG, 6, 0).write_bytes(b"cut")
    assert len(stability_rows(source_of(checkpoint, tree), STRONG, StabilitySample("valid", 4, 6), device="cpu")) == 4


def test_the_least_stable_bone_comes_first():
    rows = pd.DataFrame(
        {
            "image_id": list("abcd"),
            "bone": ["wrist", "wrist", "hand", "hand"],
            "original": [1, 1, 1, -1.0],
            "draw_0": [1, 1, -1, 1.0],
            "draw_1": [1, -1, -1, -1.0],
        }
    )
    table = stability_table(rows, 0.5)
    assert table["bone"].to_list() == ["hand", "wrist"] and table["flips"].to_list() == [0.75, 0.25]
    assert table["unsteady"].to_list() == [1, 0.5] and table["worst"].to_list() == ["c", "b"]


def test_an_unknown_split_is_refused(trained):
    checkpoint, tree = trained
    with refused("split-unknown", "test"):
        stability_rows(source_of(checkpoint, tree), STRONG, StabilitySample("test", 4), device="cpu")
