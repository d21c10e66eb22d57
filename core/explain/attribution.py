"""Attribution maps through Captum, by name: the parts of a radiograph that change its logit, or its study's score."""

import math
import threading
from collections.abc import Callable
from contextlib import contextmanager, nullcontext

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from core.errors import OverreadError
from core.explain.attribution_target import AttributionTarget
from core.explain.map_values import DEFAULT_SETTINGS, Attribution, MapSettings
from core.explain.memory import batch_that_fits, retry_with_smaller_batches
from core.explain.method_registry import WORST_GAP, MapRequest, Method, MethodMap, MethodRefused
from core.explain.methods import METHODS
from core.explain.private_copy import locked_copy
from core.scores.classifier import Classifier

BASELINES = ("black", "blur", "grey")
_RANDOM_STATE = threading.Lock()


def attribute(
    classifier: Classifier,
    pixels: np.ndarray,
    method: str,
    settings: MapSettings = DEFAULT_SETTINGS,
    cancelled: Callable[[], bool] | None = None,
) -> Attribution:
    """Return the map of one radiograph, uint8 [size, size], for its own logit.

    Raises MethodRefused where the method would compute something else on this network.
    """
    return attribute_study(classifier, pixels[None], method, "", settings, cancelled)[0]


def attribute_study(
    classifier: Classifier,
    pixels: np.ndarray,
    method: str,
    aggregation: str = "mean",
    settings: MapSettings = DEFAULT_SETTINGS,
    cancelled: Callable[[], bool] | None = None,
) -> list[Attribution]:
    """Return one map for each view, uint8 [n, size, size], for the logit of their study's score.

    The maps of a study share one scale, so a view that hardly moves the score is pale beside one that does. With the
    aggregation '' there must be one view, and its own logit is explained. OverreadError for an unknown method.
    """
    if method not in METHODS:
        raise OverreadError(
            f"There is no saliency method {method!r}; choose one of {', '.join(METHODS)}.",
            code="saliency-method-unknown",
        )
    chosen, side = METHODS[method], classifier.spec.size
    _check_pixels(pixels, side)

    def compute(batch: int) -> tuple[MethodMap, float]:
        return _run_method(chosen, classifier, pixels, aggregation, settings, cancelled, batch)

    result, value = retry_with_smaller_batches(compute, batch_that_fits(side, len(pixels)), chosen.title, side)
    maps = result.maps.detach().float().cpu().numpy()[0]
    if not np.isfinite(maps).all():
        raise MethodRefused(
            f"The map of {chosen.title} has values that are not finite here; choose another method.",
            code="map-not-finite",
        )
    if not math.isnan(result.gap) and not result.gap <= WORST_GAP:
        raise MethodRefused(
            f"The map of {chosen.title} leaves {result.gap:.0%} of the change in logit unexplained ({result.note}); "
            f"at most {WORST_GAP:.0%} is accepted. Choose another method or baseline.",
            code="map-incomplete",
        )
    explains = f"the study's score ({aggregation})" if aggregation else "this radiograph's logit"
    baseline = _baseline_name(settings.baseline) if "baseline" in chosen.facts.uses else ""
    return [
        Attribution(method, one, value, explains, result.note, chosen.signed, result.gap, result.layer, baseline)
        for one in maps
    ]


def _check_pixels(pixels: np.ndarray, side: int) -> None:
    if pixels.ndim != 3 or not len(pixels) or pixels.dtype != np.uint8:
        raise OverreadError(
            f"The pixels are {pixels.dtype} {list(pixels.shape)}; expected uint8 [views, {side}, {side}].",
            code="pixels-malformed",
        )
    if pixels.shape[1:] != (side, side):
        raise OverreadError(
            f"The pixels are {pixels.shape[1]} x {pixels.shape[2]}; this network takes {side} x {side}.",
            code="pixels-wrong-size",
        )


def _run_method(
    method: Method,
    classifier: Classifier,
    pixels: np.ndarray,
    aggregation: str,
    settings: MapSettings,
    cancelled: Callable[[], bool] | None,
    batch: int,
) -> tuple[MethodMap, float]:
    """A method's result with so many variants at once, and the logit that it explains."""
    seeded = _seeded_generators(settings.seed, classifier.device) if method.facts.draws else nullcontext()
    with locked_copy(classifier.model) as copy, torch.enable_grad(), seeded:
        target = AttributionTarget(copy.model, aggregation, cancelled).eval()
        inputs = classifier.tensor(pixels).transpose(0, 1).contiguous().requires_grad_(True)
        baseline_pixels = _baseline_pixels(pixels, settings.baseline, classifier.spec.mean)
        request = MapRequest(
            target=target,
            inputs=inputs,
            baseline=classifier.tensor(baseline_pixels).transpose(0, 1).contiguous(),
            baseline_name=_baseline_name(settings.baseline),
            noise_unit=classifier.spec.std,
            layer_name=settings.layer,
            pixels=pixels,
            batch=batch,
            layer_cache=copy.layers,
        )
        with torch.no_grad():
            value = float(target(inputs)[0, 0])
        return method.call(request), value


@contextmanager
def _seeded_generators(seed: int, device: torch.device):
    """Seed the generators for one caller at a time, and restore them afterwards.

    Captum draws from the generators that the whole process shares.
    """
    with _RANDOM_STATE, torch.random.fork_rng([device] if device.type == "cuda" else []):
        before = np.random.get_state()  # noqa: NPY002  Captum uses NumPy's legacy generator too
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        try:
            yield
        finally:
            np.random.set_state(before)  # noqa: NPY002


def _baseline_name(baseline: str | np.ndarray) -> str:
    return baseline if isinstance(baseline, str) else "a given picture"


def _baseline_pixels(pixels: np.ndarray, baseline: str | np.ndarray, mean: float) -> np.ndarray:
    """The baseline of each view, uint8 like the pixels: zeros of the normalised tensor would be no picture."""
    if isinstance(baseline, np.ndarray):
        if baseline.shape != pixels.shape[1:] or baseline.dtype != np.uint8:
            raise OverreadError(
                f"The baseline is {baseline.dtype} {list(baseline.shape)}; expected uint8 {list(pixels.shape[1:])}.",
                code="baseline-malformed",
            )
        return np.repeat(baseline[None], len(pixels), axis=0)
    if baseline == "black":
        return np.zeros_like(pixels)
    if baseline == "grey":
        return np.full_like(pixels, round(255 * min(max(mean, 0), 1)))
    if baseline == "blur":
        return blurred(pixels)
    raise OverreadError(
        f"The baseline {baseline!r} is unknown; choose one of {', '.join(BASELINES)}, or pass pixels.",
        code="baseline-unknown",
    )


def blurred(pixels: np.ndarray, sigma_share: float = 1 / 12) -> np.ndarray:
    """Pixels uint8 [n, s, s] under a Gaussian of s * sigma_share: shape and exposure remain, findings disappear."""
    sigma = sigma_share * pixels.shape[-1]
    return (
        np.stack([gaussian_filter(one.astype(np.float32), sigma, mode="nearest") for one in pixels])
        .round()
        .astype(np.uint8)
    )
