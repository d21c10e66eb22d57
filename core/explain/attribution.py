"""Attributions: what in a radiograph moves its logit or its study's score, as float maps, by name through Captum."""

import math
import threading
from collections.abc import Callable
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from core.errors import OverreadError
from core.explain.attribution_target import Explained, held_copy
from core.explain.layers import Layer, known_layer
from core.explain.memory import at_once, in_parts
from core.scores.classifier import Classifier

BASELINES = ("black", "blur", "grey")
# What is shown where nothing else is asked for.
DEFAULT_PAIR = ("hires_cam", "occlusion")
# Sundararajan 2017 asks for completeness; beyond this share of the change in logit a map is refused.
WORST_GAP = 0.05


class Refused(OverreadError):
    """A method that would silently give something else on this network or radiograph."""


@dataclass(frozen=True)
class Attribution:
    """One map of one radiograph, float32 [size, size].

    Where `signed`, positive speaks for abnormal and negative for normal; else it is a magnitude. value: what is
    explained, a logit. gap: the part of the change from the baseline that the map leaves unexplained (NaN where the
    method promises no completeness). note: the method's settings, in words.
    """

    method: str
    map: np.ndarray
    value: float
    explains: str
    note: str
    signed: bool = True
    gap: float = math.nan
    layer: str = ""
    baseline: str = ""


@dataclass(frozen=True)
class Method:
    """A way to explain. `call(task) -> Found`; cost: about how many forward-and-backward passes it takes.

    draws: whether Captum draws random numbers for it.
    """

    name: str
    title: str
    call: Callable
    signed: bool
    cost: float
    source: str
    uses: tuple[str, ...]
    draws: bool = False


@dataclass(frozen=True)
class Task:
    """What a method is given: inputs [1, n, s, s] in the network's units, and its baseline in the same.

    batch: how many variants of the input go through the network at once.
    """

    explained: Explained
    inputs: torch.Tensor
    baseline: torch.Tensor
    baseline_name: str
    std: float
    wanted_layer: str
    pixels: np.ndarray
    batch: int
    layers: dict = field(default_factory=dict)

    def layer(self, cells: int = 0) -> Layer:
        """Where Grad-CAM looks, or the last map of at least so many cells a side; asked with the views as a batch."""
        rows = self.inputs.detach().transpose(0, 1)
        return known_layer(self.layers, self.explained.model, rows, self.wanted_layer, cells)


@dataclass(frozen=True)
class Found:
    """What a method gives back: maps [1, n, s, s], its settings in words, its gap where it promises completeness."""

    maps: torch.Tensor
    note: str
    gap: float = math.nan
    layer: str = ""


METHODS: dict[str, Method] = {}
_DRAWING = threading.Lock()


def method(
    title: str, *, cost: float, source: str, uses: tuple[str, ...] = (), signed: bool = True, draws: bool = False
) -> Callable:
    """Register `call(task) -> Found` under its name. uses: which of the options 'layer' and 'baseline' it reads."""

    def keep(call: Callable) -> Callable:
        METHODS[call.__name__] = Method(call.__name__, title, call, signed, cost, source, uses, draws)
        return call

    return keep


def attribute(
    classifier: Classifier,
    pixels: np.ndarray,
    name: str,
    *,
    layer: str = "",
    baseline: str | np.ndarray = "black",
    seed: int = 0,
    cancelled: Callable[[], bool] | None = None,
) -> Attribution:
    """The map of one radiograph, uint8 [size, size], for its own logit.

    baseline: what 'nothing' looks like, in pixels: black, blur, grey, or a picture uint8 [size, size] such as the
    data set's mean. Refused where the method would not be itself here; OverreadError on unknown names.
    """
    return _attribute(classifier, pixels[None], name, "", layer, baseline, seed, cancelled)[0]


def attribute_study(
    classifier: Classifier,
    pixels: np.ndarray,
    name: str,
    aggregation: str = "mean",
    *,
    layer: str = "",
    baseline: str | np.ndarray = "black",
    seed: int = 0,
    cancelled: Callable[[], bool] | None = None,
) -> list[Attribution]:
    """One map a view, of views uint8 [n, size, size], for the logit of their study's score under `aggregation`.

    The maps of a study share one scale: a view that does not move the score is pale beside one that does.
    """
    return _attribute(classifier, pixels, name, aggregation, layer, baseline, seed, cancelled)


def _attribute(classifier, pixels, name, aggregation, layer, baseline, seed, cancelled) -> list[Attribution]:
    from core.explain import methods  # noqa: F401  registers them

    if name not in METHODS:
        raise OverreadError(f"There is no saliency method {name!r}; choose one of {', '.join(METHODS)}.")
    chosen, side = METHODS[name], classifier.spec.size
    if pixels.ndim != 3 or not len(pixels) or pixels.dtype != np.uint8:
        raise OverreadError(
            f"Pixels {pixels.dtype} {list(pixels.shape)} were given; expected uint8 [views, {side}, {side}]."
        )
    if pixels.shape[1:] != (side, side):
        raise OverreadError(
            f"Pixels of {pixels.shape[1]} x {pixels.shape[2]} were given; this network takes {side} x {side}."
        )

    def at(batch: int) -> tuple[Found, float, str]:
        return _found(classifier, pixels, chosen, aggregation, layer, baseline, seed, cancelled, batch)

    found, value, base_name = in_parts(at, at_once(side, len(pixels)), chosen.title, side)
    maps = found.maps.detach().float().cpu().numpy()[0]
    if not np.isfinite(maps).all():
        raise Refused(f"{chosen.title} gives values that are not numbers here; choose another method.")
    if not math.isnan(found.gap) and not found.gap <= WORST_GAP:
        raise Refused(
            f"{chosen.title} leaves {found.gap:.0%} of the change in logit unexplained ({found.note}), where at most "
            f"{WORST_GAP:.0%} is tolerable; choose another method or baseline."
        )
    explains = f"the study's score ({aggregation})" if aggregation else "this radiograph's logit"
    base_name = base_name if "baseline" in chosen.uses else ""
    return [
        Attribution(name, one, value, explains, found.note, chosen.signed, found.gap, found.layer, base_name)
        for one in maps
    ]


def _found(
    classifier, pixels, chosen, aggregation, layer, baseline, seed, cancelled, batch
) -> tuple[Found, float, str]:
    """What a method finds with so many variants at once, the logit explained, and the baseline's name."""
    base_name = baseline if isinstance(baseline, str) else "a given picture"
    drawn = _own_numbers(seed, classifier.device) if chosen.draws else nullcontext()
    with held_copy(classifier.model) as copy, torch.enable_grad(), drawn:
        explained = Explained(copy.model, aggregation, cancelled).eval()
        inputs = classifier.tensor(pixels).transpose(0, 1).contiguous().requires_grad_(True)
        base = classifier.tensor(_baseline(pixels, baseline, classifier.spec.mean)).transpose(0, 1).contiguous()
        task = Task(explained, inputs, base, base_name, classifier.spec.std, layer, pixels, batch, copy.layers)
        with torch.no_grad():
            value = float(explained(inputs)[0, 0])
        return chosen.call(task), value, base_name


@contextmanager
def _own_numbers(seed: int, device: torch.device):
    """Captum draws from the generators that the whole process shares: one at a time, seeded, and put back after."""
    with _DRAWING, torch.random.fork_rng([device] if device.type == "cuda" else []):
        before = np.random.get_state()  # noqa: NPY002  Captum draws from the old generator too
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        try:
            yield
        finally:
            np.random.set_state(before)  # noqa: NPY002


def _baseline(pixels: np.ndarray, baseline: str | np.ndarray, mean: float) -> np.ndarray:
    """What 'nothing' looks like, uint8 like the pixels. In pixels, since zeros of a tensor are no picture."""
    if isinstance(baseline, np.ndarray):
        if baseline.shape != pixels.shape[1:] or baseline.dtype != np.uint8:
            raise OverreadError(
                f"A baseline {baseline.dtype} {list(baseline.shape)} was given; "
                f"expected uint8 {list(pixels.shape[1:])}."
            )
        return np.repeat(baseline[None], len(pixels), axis=0)
    if baseline == "black":
        return np.zeros_like(pixels)
    if baseline == "grey":
        return np.full_like(pixels, round(255 * min(max(mean, 0), 1)))
    if baseline == "blur":
        return blurred(pixels)
    raise OverreadError(
        f"The baseline {baseline!r} is not known; choose one of {', '.join(BASELINES)}, or give pixels."
    )


def blurred(pixels: np.ndarray, part: float = 1 / 12) -> np.ndarray:
    """Squares uint8 [n, s, s] under a Gaussian of s * part pixels: shape and exposure stay, findings go."""
    wide = part * pixels.shape[-1]
    return (
        np.stack([gaussian_filter(one.astype(np.float32), wide, mode="nearest") for one in pixels])
        .round()
        .astype(np.uint8)
    )
