"""Concurrent callers get the same maps as single ones, also while another caller's method fails."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch

from core.data.input_spec import InputSpec
from core.explain import private_copy as private_copy_module
from core.explain.attribution import attribute
from core.explain.methods import METHODS
from core.explain.private_copy import count_hooks, private_copy
from core.models.networks import build
from core.scores.classifier import Classifier

CPU = torch.device("cpu")
FILMS = np.random.default_rng(5).integers(0, 256, (3, 32, 32)).astype(np.uint8)


def of(seed: int) -> Classifier:
    torch.manual_seed(seed)
    return Classifier(build("resnet10t").eval().requires_grad_(False), InputSpec(32), CPU)


def replaced(monkeypatch, name: str, call) -> None:
    facts = replace(METHODS[name].facts, draws=True)
    monkeypatch.setitem(METHODS, name, replace(METHODS[name], call=call, facts=facts))


def test_callers_of_two_networks_draw_their_own_numbers(monkeypatch):
    """Two networks share the random generators of the process, although each has its own lock."""
    networks, names = [of(0), of(1)], ["smooth_grad", "gradient_shap", "kernel_shap"]
    asked = [(place, name, place) for name in names for place in range(2)]
    alone = {key: attribute(networks[key[0]], FILMS[key[2]], key[1]).map for key in asked}

    def fails(request):
        torch.rand(1000)
        raise RuntimeError("method failed")

    replaced(monkeypatch, "layer_activation", fails)

    def visit(key):
        if key is None:
            with pytest.raises(RuntimeError, match="method failed"):
                attribute(networks[0], FILMS[2], "layer_activation")
            return True
        return np.allclose(attribute(networks[key[0]], FILMS[key[2]], key[1]).map, alone[key], rtol=1e-4, atol=1e-7)

    mixed = [key for pair in zip(asked, [None] * len(asked)) for key in pair]
    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(visit, mixed))


def test_a_map_is_reproducible_and_restores_the_generators():
    torch.manual_seed(7)
    before, old = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    classifier = of(0)
    torch.set_rng_state(before)
    maps = [attribute(classifier, FILMS[0], name).map for name in ("gradient_shap", "kernel_shap") for _ in range(2)]
    assert (maps[0] == maps[1]).all() and (maps[2] == maps[3]).all()
    assert torch.equal(torch.get_rng_state(), before)
    assert (np.random.get_state()[1] == old).all()  # noqa: NPY002


def test_a_caller_that_waits_for_a_failing_method_gets_a_clean_network(monkeypatch):
    """The second caller already has the copy when the first one leaves hooks on it."""
    classifier, held, waits, asked = of(0), threading.Event(), threading.Event(), []
    alone = attribute(classifier, FILMS[0], "saliency").map
    given = private_copy

    def counted(model):
        copy = given(model)
        asked.append(copy)
        (held if len(asked) == 1 else waits).set()
        return copy

    def fails(request):
        request.target.model.layer1.register_forward_hook(lambda _module, _inputs, output: 0 * output)
        assert waits.wait(60)
        raise RuntimeError("method failed")

    monkeypatch.setattr(private_copy_module, "private_copy", counted)
    replaced(monkeypatch, "layer_activation", fails)
    with ThreadPoolExecutor(2) as pool:
        failing = pool.submit(attribute, classifier, FILMS[1], "layer_activation")
        waiting = pool.submit(lambda: held.wait(60) and attribute(classifier, FILMS[0], "saliency").map)
        assert waiting.result(60) == pytest.approx(alone)
        with pytest.raises(RuntimeError, match="method failed"):
            failing.result(60)
    assert asked[1] is asked[0] and not count_hooks(private_copy(classifier.model).model)
