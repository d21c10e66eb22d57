"""Is a map to be trusted? Tests of the map itself, beside references that know nothing of the model.

Arun 2021: every popular method failed at least one such test on radiographs. So a map never stands alone.
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

from core.explain.attribution import WORST_GAP, Attribution, Refused, attribute, attribute_study
from core.explain.curves import LEAST_CHANGE, insertion_deletion, squares
from core.explain.regions import regions
from core.explain.variants import Study, own_score
from core.scores.classifier import Classifier

# A map that is this much like that of a network with shuffled weights does not show what was learned.
ALIKE = 0.5
# Random weights see exposure, metal and size: on 686 studies two of eleven such networks had an AUROC of .59 and .61,
# their lower bounds above one half (docs/lab-log.md). What knows something lies above that.
LEAST_AUROC = 0.6


@dataclass(frozen=True)
class Check:
    """One test: its figure, what it is held against, whether it passed, and a sentence."""

    name: str
    value: float
    reference: float
    passed: bool
    words: str


@dataclass(frozen=True)
class Trust:
    """All checks of one map. verdict: 'holds up' or 'do not trust'; why: the sentence behind it.

    curves: {map | random | centre | edges: {insertion | deletion: scores while ever more squares are changed}}.
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
        """Plain values, for JSON; what is not a number is None."""
        return _plain(asdict(self))


def judge(
    classifier: Classifier,
    pixels: np.ndarray,
    found: Attribution,
    *,
    truth: np.ndarray | None = None,
    model_auroc: tuple[float, float] | None = None,
    seed: int = 0,
    options: dict | None = None,
    cancelled: Callable[[], bool] | None = None,
    study: Study | None = None,
) -> Trust:
    """Judge one map of one radiograph, uint8 [s, s].

    truth: bool [s, s], where the abnormality lies. model_auroc: the study AUROC of this network and its lower bound,
    on studies it has not learned from; without it no map is trusted, since the weights may be random. options: layer
    and baseline, as the map was made. study: where the map explains a study's score, the study it is a view of.
    """
    checks = [_model_check(model_auroc)]
    curves = insertion_deletion(study.score(classifier) if study else own_score(classifier), pixels, found, seed)
    checks += _curve_checks(curves)
    if not math.isnan(found.gap):
        words = f"{found.gap:.1%} of the change in logit from its baseline is left unexplained"
        checks.append(Check("convergence", found.gap, WORST_GAP, found.gap <= WORST_GAP, words))

    def remake(network: Classifier, shown: np.ndarray) -> np.ndarray:
        more = {"seed": seed, "cancelled": cancelled, **(options or {})}
        if study:
            views = study.with_view(shown)
            return attribute_study(network, views, found.method, study.aggregation, **more)[study.place].map
        return attribute(network, shown, found.method, **more).map

    checks.append(_randomisation_check(classifier, pixels, found, remake, seed))
    checks.append(_stability_check(classifier, pixels, found, remake))
    checks += _place_checks(pixels, found)
    if truth is not None and truth.any():
        checks += _truth_checks(found, truth)
    return _verdict(checks, curves)


def shuffled(model: nn.Module, seed: int, layers: slice = slice(None)) -> nn.Module:
    """A copy with the weights of these layers, counted from the logit, each shuffled: same scale, nothing learned."""
    made = copy.deepcopy(model)
    ranked = [parameter for parameter in made.parameters() if parameter.ndim > 1][::-1]
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in ranked[layers]:
            order = torch.randperm(parameter.numel(), generator=generator).to(parameter.device)
            parameter.copy_(parameter.flatten()[order].view_as(parameter))
    return made


def likeness(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's correlation of the magnitudes of two maps, in squares of s / 28; 1 where both are flat."""
    one, two = (squares(np.abs(values)).ravel() for values in (first, second))
    if np.ptp(one) == 0 or np.ptp(two) == 0:
        return float(np.ptp(one) == np.ptp(two))
    return float(spearmanr(one, two).statistic)


def pointing(found: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Pointing game (Zhang 2018) within s / 15 of the mask, share of the map inside, overlap of its strongest part.

    `hit` 1 or 0; `chance` what a random place would hit; `inside` the share of the positive map in the mask; `overlap`
    intersection over union of the mask and as many of the strongest pixels.
    """
    positive = np.maximum(found, 0)
    reach = ndimage.distance_transform_edt(~truth) <= truth.shape[0] / 15
    top = np.zeros(truth.shape, bool)
    if positive.max() > 0:
        top.ravel()[np.argsort(positive, axis=None)[::-1][: int(truth.sum())]] = True
    hit = positive.max() > 0 and reach.ravel()[positive.argmax()]
    total = positive.sum()
    return {
        "hit": float(hit),
        "chance": float(reach.mean()),
        "inside": float(positive[truth].sum() / total) if total else 0.0,
        "area": float(truth.mean()),
        "overlap": float((top & truth).sum() / max((top | truth).sum(), 1)),
    }


def _model_check(auroc: tuple[float, float] | None) -> Check:
    passed, words = network_knows(auroc)
    return Check("model", auroc[0] if auroc else math.nan, LEAST_AUROC, passed, words)


def network_knows(auroc: tuple[float, float] | None) -> tuple[bool, str]:
    """Whether a network is shown to know anything, by its study AUROC and the lower bound; and that in words."""
    if auroc is None or math.isnan(auroc[0]):
        return False, "nothing here shows that this network tells abnormal from normal: it has no known AUROC"
    value, low = auroc
    # Without an interval there are too few studies to tell.
    words = f"the network's study AUROC is {value:.3f} ({'no interval' if math.isnan(low) else f'from {low:.3f}'})"
    if low > LEAST_AUROC:
        return True, words
    return False, f"{words}, and random weights may reach {LEAST_AUROC}: it may know nothing, whatever its map shows"


def _curve_checks(curves: dict) -> list[Check]:
    moved, enough = abs(curves["change"]), curves["better_than_edges"] is not None
    words = f"blurring the radiograph moves its score by {moved:.3f}"
    made = [
        Check(
            "change",
            moved,
            LEAST_CHANGE,
            enough,
            words if enough else f"{words}: there is nothing for a map to explain",
        )
    ]
    if not enough:
        return made
    for name, words in (("edges", "an edge detector"), ("random", "a random map"), ("centre", "a spot in the centre")):
        passed = curves["map"] > curves[name]
        made.append(
            Check(
                name,
                curves["map"],
                curves[name],
                passed,
                f"{'better' if passed else 'no better'} than {words} at finding what moves the score "
                f"({curves['map']:+.2f} against {curves[name]:+.2f})",
            )
        )
    return made


def _randomisation_check(classifier, pixels, found, remake, seed) -> Check:
    depth = sum(parameter.ndim > 1 for parameter in classifier.model.parameters())
    alike = []
    # Cascading from the logit down: the last layer, half of them, all.
    for layers in (1, max(2, depth // 2), depth):
        network = Classifier(shuffled(classifier.model, seed, slice(layers)), classifier.spec, classifier.device)
        try:
            alike.append(likeness(found.map, remake(network, pixels)))
        except Refused:
            # The method itself says that it cannot explain the shuffled network: not alike.
            alike.append(0.0)
    passed = alike[-1] < ALIKE
    words = (
        f"likeness to the map of shuffled weights {alike[-1]:.2f} (last layer only {alike[0]:.2f}, half {alike[1]:.2f})"
    )
    return Check(
        "randomisation", alike[-1], ALIKE, passed, words if passed else f"{words}: it shows what any network shows"
    )


def _stability_check(classifier, pixels, found, remake) -> Check:
    step = max(1, round(pixels.shape[0] / 64))
    alike = []
    for down, across in ((step, 0), (0, -step)):
        moved = ndimage.shift(pixels, (down, across), order=0, mode="nearest")
        try:
            back = ndimage.shift(remake(classifier, moved), (-down, -across), order=1, mode="nearest")
            alike.append(likeness(found.map, back))
        except Refused:
            alike.append(0.0)
    value = float(np.mean(alike))
    passed = value >= ALIKE
    words = f"likeness after a shift by {step} px {value:.2f}"
    return Check(
        "stability", value, ALIKE, passed, words if passed else f"{words}: it changes with the radiograph's place"
    )


def _place_checks(pixels: np.ndarray, found: Attribution) -> list[Check]:
    parts, size = regions(pixels), np.abs(found.map)
    total = float(size.sum())
    made = []
    listed = [("border", parts.border, "on the border"), ("marks", parts.marks, "on burnt-in marks")]
    if parts.body_known:
        listed.append(("outside", ~parts.body, "outside the body"))
    for name, mask, words in listed:
        share, area = (float(size[mask].sum()) / total if total else 0.0), float(mask.mean())
        # Coarse maps spill over; half of a map off the patient is more than that.
        passed = share < max(0.5, min(1.5 * area, 0.9))
        made.append(Check(name, share, area, passed, f"{share:.0%} of the map lies {words} ({area:.0%} of the area)"))
    return made


def _truth_checks(found: Attribution, truth: np.ndarray) -> list[Check]:
    facts = pointing(found.map, truth)
    at = "on" if facts["hit"] else "off"
    return [
        Check(
            "pointing",
            facts["hit"],
            facts["chance"],
            bool(facts["hit"]),
            f"its strongest place lies {at} the known finding",
        ),
        Check(
            "inside",
            facts["inside"],
            facts["area"],
            facts["inside"] > facts["area"],
            f"{facts['inside']:.0%} of it lies on the finding, which covers {facts['area']:.0%}; "
            f"overlap {facts['overlap']:.2f}",
        ),
    ]


def _verdict(checks: list[Check], curves: dict) -> Trust:
    failed = [check for check in checks if not check.passed]
    verdict, why = ("do not trust", failed[0].words) if failed else ("holds up", "it passes every test here")
    return Trust(verdict, why, curves["better_than_edges"], tuple(checks), curves["curves"])


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
