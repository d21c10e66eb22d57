"""Insertion and deletion curves: whether a map finds the parts that change the score, unlike maps that ignore the
model."""

import math

import numpy as np
from scipy import ndimage
from scipy.special import expit

from core.explain.attribution import Attribution, blurred
from core.explain.score_functions import ScoreFunction

STEPS = 12
# If blurring the whole radiograph moves its score by less than this, the map has nothing to explain.
LEAST_CHANGE = 0.05


def insertion_deletion(score: ScoreFunction, pixels: np.ndarray, attribution: Attribution, seed: int = 0) -> dict:
    """Return insertion minus deletion (Petsiuk 2018) for the map and for three maps that ignore the model.

    score: from variants of this radiograph, uint8 [n, s, s], to the logits that the map explains.

    Squares of s / 28 pixels change, strongest first, from blurred to sharp (insertion) and from sharp to blurred
    (deletion). The figure is the mean difference of the two curves, divided by the whole change in logit: on average 0
    for a random order, positive where the strongest places of the map move the logit first. Keys: map, random, centre,
    edges, change (in score), better_than_edges (None where the change is too small), curves (of scores).
    """
    plain = blurred(pixels[None])[0]
    ends = score(np.stack([plain, pixels]))
    change = ends[1] - ends[0]
    # Evidence is what moves the logit in the same direction as the picture as a whole.
    evidence = np.sign(change) * attribution.map if attribution.signed else np.abs(attribution.map)
    ranked = {"map": evidence, **reference_maps(pixels, seed)}
    variants = []
    for values in ranked.values():
        ranks = _square_ranks(values, seed)
        for share in np.linspace(0, 1, STEPS + 1)[1:-1]:
            changed = ranks < share
            variants += [np.where(changed, pixels, plain), np.where(changed, plain, pixels)]
    logits = score(np.stack(variants)).reshape(len(ranked), STEPS - 1, 2)
    # The two curves have the same ends, which cancel.
    areas = (logits[..., 0] - logits[..., 1]).mean(1) / (change if abs(change) > 1e-9 else math.nan)
    figures = dict(zip(ranked, map(float, areas)))
    score_change = float(expit(ends[1]) - expit(ends[0]))
    curves = {
        name: {
            "insertion": expit([ends[0], *logits[place, :, 0], ends[1]]).tolist(),
            "deletion": expit([ends[1], *logits[place, :, 1], ends[0]]).tolist(),
        }
        for place, name in enumerate(ranked)
    }
    better = None if abs(score_change) < LEAST_CHANGE else figures["map"] > figures["edges"]
    return {**figures, "change": score_change, "better_than_edges": better, "curves": curves}


def reference_maps(pixels: np.ndarray, seed: int = 0) -> dict[str, np.ndarray]:
    """Maps that ignore the model: random values, a Gaussian in the centre, and Sobel edges."""
    side = pixels.shape[0]
    from_centre = (np.arange(side) + 0.5) / side - 0.5
    smooth = ndimage.gaussian_filter(pixels.astype(np.float32), side / 112)
    return {
        "random": np.random.default_rng(seed).random(pixels.shape),
        "centre": np.exp(-(from_centre[:, None] ** 2 + from_centre[None] ** 2) / (2 * 0.25**2)),
        "edges": np.hypot(ndimage.sobel(smooth, 0), ndimage.sobel(smooth, 1)),
    }


def square_means(values: np.ndarray) -> np.ndarray:
    """Means over squares of s / 28 pixels, so that single pixels of a noisy map do not act as adversarial attacks."""
    side = values.shape[0]
    cell = max(1, side // 28)
    cut = side // cell * cell
    return values[:cut, :cut].reshape(cut // cell, cell, cut // cell, cell).mean((1, 3))


def _square_ranks(values: np.ndarray, seed: int) -> np.ndarray:
    """For each pixel, the share of squares that are stronger than its own; ties are in random order."""
    means = square_means(values)
    order = np.lexsort((np.random.default_rng(seed).random(means.size), -means.ravel()))
    ranks = np.empty(means.size)
    ranks[order] = np.arange(means.size) / means.size
    cell = max(1, values.shape[0] // 28)
    full = np.kron(ranks.reshape(means.shape), np.ones((cell, cell)))
    left_over = values.shape[0] - full.shape[0]
    return np.pad(full, ((0, left_over), (0, left_over)), mode="edge")
