"""Scores of changed radiographs: what a test asks when it blurs, uncovers or moves a part."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from core.device import autocast
from core.explain.attribution_target import Explained
from core.explain.memory import at_once, in_parts
from core.scores.classifier import Classifier


def own_score(classifier: Classifier) -> Callable[[np.ndarray], np.ndarray]:
    """Variants of a radiograph, uint8 [k, s, s], to their own logits [k], as many at once as memory holds."""
    side = classifier.spec.size

    def logits(variants: np.ndarray) -> np.ndarray:
        rows = min(64, 4 * at_once(side))
        return in_parts(lambda batch: classifier.logits(variants, batch), rows, "The trust check", side)

    return logits


@dataclass(frozen=True)
class Study:
    """The study of a view: views uint8 [n, s, s], which of them is judged, and how they become one score."""

    views: np.ndarray
    place: int
    aggregation: str

    def with_view(self, shown: np.ndarray) -> np.ndarray:
        """The views with another radiograph in this one's place."""
        views = self.views.copy()
        views[self.place] = shown
        return views

    def score(self, classifier: Classifier) -> Callable[[np.ndarray], np.ndarray]:
        """Variants of this view, uint8 [k, s, s], to the logits [k] of the study's score; the other views stay."""
        explained = Explained(classifier.model, self.aggregation).eval()

        def logits(variants: np.ndarray) -> np.ndarray:
            made = []
            with torch.inference_mode(), autocast(classifier.device):
                for shown in variants:
                    views = classifier.tensor(self.with_view(shown)).transpose(0, 1)
                    made.append(float(explained(views)[0, 0]))
            return np.array(made)

        return logits
