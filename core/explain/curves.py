"""Insertion and deletion: does what a map points at move the score first, against maps that know no model?"""

import math
from collections.abc import Callable

import numpy as np
from scipy import ndimage
from scipy.special import expit

from core.explain.attribution import Attribution, blurred

STEPS = 12
# Below this change of the score between the radiograph and its blur there is nothing for a map to explain.
LEAST_CHANGE = 0.05


Score = Callable[[np.ndarray], np.ndarray]


def insertion_deletion(score: Score, pixels: np.ndarray, found: Attribution, seed: int = 0) -> dict:
    """Insertion less deletion (Petsiuk 2018) for the map and for maps that know nothing of the model.

    score: variants of this radiograph, uint8 [n, s, s], to the logits that the map explains.

    Squares of s / 28 pixels go, strongest first, from the blurred radiograph into the sharp one (insertion) and the
    other way (deletion). The figure is the mean difference of the two curves over the whole change in logit: 0 for a
    random order on average, positive where what the map points at moves the logit first. Keys: map, random, centre,
    edges, change (in score), better_than_edges (None where the change is too small to judge), curves (of scores).
    """
    plain = blurred(pixels[None])[0]
    ends = score(np.stack([plain, pixels]))
    change = ends[1] - ends[0]
    # Evidence is what moves the logit the way the picture as a whole does.
    evidence = np.sign(change) * found.map if found.signed else np.abs(found.map)
    ranked = {"map": evidence, **reference_maps(pixels, seed)}
    stack, orders = [], {}
    for name, values in ranked.items():
        orders[name] = _places(values, seed)
        for step in np.linspace(0, 1, STEPS + 1)[1:-1]:
            mask = orders[name] < step
            stack += [np.where(mask, pixels, plain), np.where(mask, plain, pixels)]
    logits = score(np.stack(stack)).reshape(len(ranked), STEPS - 1, 2)
    # Both curves share their ends, which therefore cancel.
    areas = (logits[..., 0] - logits[..., 1]).mean(1) / (change if abs(change) > 1e-9 else math.nan)
    facts = dict(zip(ranked, map(float, areas)))
    moved = float(expit(ends[1]) - expit(ends[0]))
    drawn = {
        name: {
            "insertion": expit([ends[0], *logits[place, :, 0], ends[1]]).tolist(),
            "deletion": expit([ends[1], *logits[place, :, 1], ends[0]]).tolist(),
        }
        for place, name in enumerate(ranked)
    }
    better = None if abs(moved) < LEAST_CHANGE else facts["map"] > facts["edges"]
    return {**facts, "change": moved, "better_than_edges": better, "curves": drawn}


def reference_maps(pixels: np.ndarray, seed: int = 0) -> dict[str, np.ndarray]:
    """Maps that know nothing of any model: random, a Gaussian in the centre, and the Sobel edges."""
    side = pixels.shape[0]
    along = (np.arange(side) + 0.5) / side - 0.5
    smooth = ndimage.gaussian_filter(pixels.astype(np.float32), side / 112)
    return {
        "random": np.random.default_rng(seed).random(pixels.shape),
        "centre": np.exp(-(along[:, None] ** 2 + along[None] ** 2) / (2 * 0.25**2)),
        "edges": np.hypot(ndimage.sobel(smooth, 0), ndimage.sobel(smooth, 1)),
    }


def squares(values: np.ndarray) -> np.ndarray:
    """Means over squares of s / 28 pixels, so that single pixels of a noisy map do not act as attacks."""
    side = values.shape[0]
    cell = max(1, side // 28)
    cut = side // cell * cell
    return values[:cut, :cut].reshape(cut // cell, cell, cut // cell, cell).mean((1, 3))


def _places(values: np.ndarray, seed: int) -> np.ndarray:
    """For each pixel, the share of squares that come before its own, strongest first; ties in random order."""
    small = squares(values)
    order = np.lexsort((np.random.default_rng(seed).random(small.size), -small.ravel()))
    place = np.empty(small.size)
    place[order] = np.arange(small.size) / small.size
    cell = max(1, values.shape[0] // 28)
    full = np.kron(place.reshape(small.shape), np.ones((cell, cell)))
    left = values.shape[0] - full.shape[0]
    return np.pad(full, ((0, left), (0, left)), mode="edge")
