"""Checks of whether a map can be trusted, beside references that ignore the model.

On radiographs every popular method failed at least one such check (Arun 2021), so no map is shown without them.
"""

import copy
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

import numpy as np
import torch
from scipy import ndimage
from scipy.stats import spearmanr
from torch import nn

from core.explain.attribution import DEFAULT_SETTINGS, Attribution, MapSettings, attribute, attribute_study
from core.explain.curves import LEAST_CHANGE, insertion_deletion, square_means
from core.explain.method_registry import WORST_GAP, MethodRefused
from core.explain.regions import find_regions
from core.explain.score_functions import StudyView, radiograph_score
from core.scores.classifier import Classifier

# A map this similar to the map of a network with shuffled weights does not show what was learned.
ALIKE = 0.5
# Random weights react to exposure, metal and size: on 686 studies, two of eleven such networks had an AUROC of .59 and
# .61 with lower bounds above one half (docs/lab-log.md). A network counts as trained above this.
LEAST_AUROC = 0.6


@dataclass(frozen=True)
class Check:
    """One check: its figure, the reference it is compared with, whether it passed, and a sentence."""

    name: str
    value: float
    reference: float
    passed: bool
    words: str


@dataclass(frozen=True)
class TrustReport:
    """All checks of one map. verdict: 'holds up' or 'do not trust'. why: the sentence that explains the verdict.

    curves: {map | random | centre | edges: {insertion | deletion: scores as more squares change}}.
    """

    verdict: str
    why: str
    better_than_edges: bool | None
    checks: tuple[Check, ...]
    curves: dict = field(default_factory=dict)

    def figure(self, name: str) -> float:
        """The value of a check; NaN where it was not made."""
        return next((check.value for check in self.checks if check.name == name), math.nan)

    def to_dict(self) -> dict:
        """Plain values for JSON; NaN and infinity become None."""
        return {key: _plain(value) for key, value in asdict(self).items()}


@dataclass(frozen=True)
class Evidence:
    """What is known besides the map.

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
    checks = [_model_check(evidence.model_auroc)]
    score = study.score(classifier) if study else radiograph_score(classifier)
    curves = insertion_deletion(score, pixels, attribution, settings.seed)
    checks += _curve_checks(curves)
    if not math.isnan(attribution.gap):
        words = f"the map leaves {attribution.gap:.1%} of the change in logit from its baseline unexplained"
        checks.append(Check("convergence", attribution.gap, WORST_GAP, attribution.gap <= WORST_GAP, words))

    def remake(network: Classifier, variant: np.ndarray) -> np.ndarray:
        if study:
            views, aggregation = study.replaced_by(variant), study.aggregation
            return attribute_study(network, views, attribution.method, aggregation, settings, cancelled)[
                study.place
            ].map
        return attribute(network, variant, attribution.method, settings, cancelled).map

    checks.append(_randomisation_check(classifier, pixels, attribution, remake, settings.seed))
    checks.append(_stability_check(classifier, pixels, attribution, remake))
    checks += _place_checks(pixels, attribution)
    if evidence.finding is not None and evidence.finding.any():
        checks += _finding_checks(attribution, evidence.finding)
    return _report(checks, curves)


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


def pointing(values: np.ndarray, finding: np.ndarray) -> dict[str, float]:
    """Return the figures of a map against the mask of a finding.

    `hit`: 1 where the strongest place is within s / 15 of the mask, else 0 (pointing game, Zhang 2018). `chance`: the
    probability that a random place hits. `inside`: the share of the positive map inside the mask. `area`: the mask's
    share of the picture. `overlap`: intersection over union of the mask and equally many of the strongest pixels.
    """
    positive = np.maximum(values, 0)
    near = ndimage.distance_transform_edt(~finding) <= finding.shape[0] / 15
    strongest = np.zeros(finding.shape, bool)
    if positive.max() > 0:
        strongest.ravel()[np.argsort(positive, axis=None)[::-1][: int(finding.sum())]] = True
    hit = positive.max() > 0 and near.ravel()[positive.argmax()]
    total = positive.sum()
    return {
        "hit": float(hit),
        "chance": float(near.mean()),
        "inside": float(positive[finding].sum() / total) if total else 0.0,
        "area": float(finding.mean()),
        "overlap": float((strongest & finding).sum() / max((strongest | finding).sum(), 1)),
    }


def network_knows(auroc: tuple[float, float] | None) -> tuple[bool, str]:
    """Whether a network's study AUROC and lower bound show that it learned something, and a clause that says so."""
    if auroc is None or math.isnan(auroc[0]):
        return False, "it is not known whether this network separates abnormal from normal: it has no known AUROC"
    value, low = auroc
    words = f"the network's study AUROC is {value:.3f} ({'no interval' if math.isnan(low) else f'from {low:.3f}'})"
    # The comparison fails for a NaN bound too: without an interval there are too few studies.
    if low > LEAST_AUROC:
        return True, words
    return False, f"{words}, and random weights may reach {LEAST_AUROC}: the network may have learned nothing"


def _model_check(auroc: tuple[float, float] | None) -> Check:
    passed, words = network_knows(auroc)
    return Check("model", auroc[0] if auroc else math.nan, LEAST_AUROC, passed, words)


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
        f"likeness to the map of shuffled weights {alike[-1]:.2f} (last layer only {alike[0]:.2f}, half {alike[1]:.2f})"
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
    words = f"likeness after a shift by {step} px {value:.2f}"
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


def _finding_checks(attribution: Attribution, finding: np.ndarray) -> list[Check]:
    facts = pointing(attribution.map, finding)
    place = "on" if facts["hit"] else "off"
    strongest = f"the strongest place of the map is {place} the known finding"
    inside = (
        f"{facts['inside']:.0%} of the map is on the finding, which covers {facts['area']:.0%}; "
        f"overlap {facts['overlap']:.2f}"
    )
    return [
        Check("pointing", facts["hit"], facts["chance"], bool(facts["hit"]), strongest),
        Check("inside", facts["inside"], facts["area"], facts["inside"] > facts["area"], inside),
    ]


def _report(checks: list[Check], curves: dict) -> TrustReport:
    failed = [check for check in checks if not check.passed]
    verdict, why = ("do not trust", failed[0].words) if failed else ("holds up", "it passes every check here")
    return TrustReport(verdict, why, curves["better_than_edges"], tuple(checks), curves["curves"])


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
