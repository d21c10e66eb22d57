"""Checks of whether a map can be trusted, beside references that ignore the model.

On radiographs every popular method failed at least one such check (Arun 2021), so no map is shown without them.
"""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from scipy import ndimage
from scipy.stats import spearmanr
from torch import nn

from core.explain.attribution import attribute, attribute_study
from core.explain.curves import LEAST_CHANGE, insertion_deletion, square_means
from core.explain.map_values import DEFAULT_SETTINGS, Attribution, MapSettings
from core.explain.method_registry import WORST_GAP, MethodRefused
from core.explain.pointing import finding_checks
from core.explain.regions import find_regions
from core.explain.score_functions import StudyView, radiograph_score
from core.explain.trust_report import Check, TrustReport, model_check, report_of
from core.scores.classifier import Classifier

# A map this similar to the map of a network with shuffled weights does not show what was learned.
ALIKE = 0.5


@dataclass(frozen=True)
class Evidence:
    """Facts that the checks need beside the map.

    finding: bool [s, s], the known place of the abnormality. model_auroc: the network's study AUROC and its lower
    bound on studies it was not trained on; without it no map is trusted, since the weights may be random.
    """

    finding: np.ndarray | None = None
    model_auroc: tuple[float, float] | None = None


NO_EVIDENCE = Evidence()


def check_map(
    classifier: Classifier,
    pixels: np.ndarray,
    attribution: Attribution,
    evidence: Evidence = NO_EVIDENCE,
    settings: MapSettings = DEFAULT_SETTINGS,
    study: StudyView | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> TrustReport:
    """Check one map of one radiograph, uint8 [s, s].

    settings: those the map was made with. study: where the map explains a study's score, the view within its study.
    """
    parts = [part() for part in check_parts(classifier, pixels, attribution, settings, study, cancelled)]
    checks = [model_check(evidence.model_auroc), *(check for part in parts for check in part.checks)]
    checks += finding_checks(attribution.map, evidence.finding)
    return report_of(tuple(checks), parts[0].better_than_edges, parts[0].curves)


@dataclass(frozen=True)
class CheckPart:
    """The result of one part of the checks. The first part has the curves, too."""

    checks: tuple[Check, ...]
    better_than_edges: bool | None = None
    curves: dict = field(default_factory=dict)


def check_parts(
    classifier: Classifier,
    pixels: np.ndarray,
    attribution: Attribution,
    settings: MapSettings = DEFAULT_SETTINGS,
    study: StudyView | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> list[Callable[[], CheckPart]]:
    """The checks of a map that need neither the network's AUROC nor the finding, as parts to call in this order.

    Between two parts, and where `cancelled` ends one, other work can be done; a part that was ended starts again.
    """

    def remake(network: Classifier, variant: np.ndarray) -> np.ndarray:
        if study:
            views, aggregation = study.replaced_by(variant), study.aggregation
            return attribute_study(network, views, attribution.method, aggregation, settings, cancelled)[
                study.place
            ].map
        return attribute(network, variant, attribution.method, settings, cancelled).map

    def curves() -> CheckPart:
        score = study.score(classifier, cancelled) if study else radiograph_score(classifier, cancelled)
        found = insertion_deletion(score, pixels, attribution, settings.seed)
        return CheckPart(
            (*_curve_checks(found), *_gap_checks(attribution)), found["better_than_edges"], found["curves"]
        )

    def randomisation() -> CheckPart:
        return CheckPart((_randomisation_check(classifier, pixels, attribution, remake, settings.seed),))

    def stability_and_places() -> CheckPart:
        stability = _stability_check(classifier, pixels, attribution, remake)
        return CheckPart((stability, *_place_checks(pixels, attribution)))

    return [curves, randomisation, stability_and_places]


def shuffle_weights(model: nn.Module, seed: int, layers: slice = slice(None)) -> nn.Module:
    """Return a copy with the weights of each of these layers shuffled, which keeps their scale.

    layers: counted from the logit down.
    """
    shuffled = copy.deepcopy(model)
    from_logit = [parameter for parameter in shuffled.parameters() if parameter.ndim > 1][::-1]
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in from_logit[layers]:
            order = torch.randperm(parameter.numel(), generator=generator).to(parameter.device)
            parameter.copy_(parameter.flatten()[order].view_as(parameter))
    return shuffled


def likeness(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's correlation of the magnitudes of two maps in squares of s / 28; 1 where both are flat."""
    one, two = (square_means(np.abs(values)).ravel() for values in (first, second))
    if np.ptp(one) == 0 or np.ptp(two) == 0:
        return float(np.ptp(one) == np.ptp(two))
    return float(spearmanr(one, two).statistic)


def _curve_checks(curves: dict) -> list[Check]:
    change, enough = abs(curves["change"]), curves["better_than_edges"] is not None
    words = f"blurring the radiograph moves its score by {change:.3f}"
    words = words if enough else f"{words}: the map has nothing to explain"
    checks = [Check("change", change, LEAST_CHANGE, enough, words)]
    if not enough:
        return checks
    for name, reference in (("edges", "an edge detector"), ("random", "a random map"), ("centre", "a central spot")):
        passed = curves["map"] > curves[name]
        words = (
            f"{'better' if passed else 'no better'} than {reference} at finding what moves the score "
            f"({curves['map']:+.2f} against {curves[name]:+.2f})"
        )
        checks.append(Check(name, curves["map"], curves[name], passed, words))
    return checks


def _gap_checks(attribution: Attribution) -> list[Check]:
    if math.isnan(attribution.gap):
        return []
    words = f"the map leaves {attribution.gap:.1%} of the change in logit from its baseline unexplained"
    return [Check("convergence", attribution.gap, WORST_GAP, attribution.gap <= WORST_GAP, words)]


def _randomisation_check(classifier, pixels, attribution, remake, seed) -> Check:
    depth = sum(parameter.ndim > 1 for parameter in classifier.model.parameters())
    alike = []
    # Cascading from the logit down: the last layer, half of the layers, all of them.
    for layers in (1, max(2, depth // 2), depth):
        shuffled = shuffle_weights(classifier.model, seed, slice(layers))
        network = Classifier(shuffled, classifier.spec, classifier.device)
        try:
            alike.append(likeness(attribution.map, remake(network, pixels)))
        except MethodRefused:
            # The method cannot explain the shuffled network, so the maps differ.
            alike.append(0.0)
    passed = alike[-1] < ALIKE
    words = (
        f"correlation with the map of shuffled weights {alike[-1]:.2f} (last layer only {alike[0]:.2f}, half "
        f"{alike[1]:.2f})"
    )
    words = words if passed else f"{words}: any weights give a similar map"
    return Check("randomisation", alike[-1], ALIKE, passed, words)


def _stability_check(classifier, pixels, attribution, remake) -> Check:
    step = max(1, round(pixels.shape[0] / 64))
    alike = []
    for down, across in ((step, 0), (0, -step)):
        shifted = ndimage.shift(pixels, (down, across), order=0, mode="nearest")
        try:
            back = ndimage.shift(remake(classifier, shifted), (-down, -across), order=1, mode="nearest")
            alike.append(likeness(attribution.map, back))
        except MethodRefused:
            alike.append(0.0)
    value = float(np.mean(alike))
    passed = value >= ALIKE
    words = f"correlation after a shift by {step} px {value:.2f}"
    words = words if passed else f"{words}: the map depends on the exact position of the radiograph"
    return Check("stability", value, ALIKE, passed, words)


def _place_checks(pixels: np.ndarray, attribution: Attribution) -> list[Check]:
    found, magnitude = find_regions(pixels), np.abs(attribution.map)
    total = float(magnitude.sum())
    places = [("border", found.border, "on the border"), ("marks", found.marks, "on burnt-in marks")]
    if found.body_known:
        places.append(("outside", ~found.body, "outside the body"))
    checks = []
    for name, mask, place in places:
        share, area = (float(magnitude[mask].sum()) / total if total else 0.0), float(mask.mean())
        # Coarse maps spill over their region, but half of a map outside the patient is more than that.
        passed = share < max(0.5, min(1.5 * area, 0.9))
        words = f"{share:.0%} of the map is {place} ({area:.0%} of the area)"
        checks.append(Check(name, share, area, passed, words))
    return checks
