"""Functions that score variants of a radiograph, for checks that blur, reveal or shift parts of it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from core.device import autocast
from core.explain.attribution_target import AttributionTarget
from core.explain.memory import batch_that_fits, retry_with_smaller_batches
from core.scores.classifier import Classifier

ScoreFunction = Callable[[np.ndarray], np.ndarray]


def radiograph_score(classifier: Classifier) -> ScoreFunction:
    """Return a function from variants of a radiograph, uint8 [k, s, s], to their own logits [k]."""
    side = classifier.spec.size

    def logits(variants: np.ndarray) -> np.ndarray:
        return retry_with_smaller_batches(
            lambda batch: classifier.logits(variants, batch), min(64, 4 * batch_that_fits(side)), "The map check", side
        )

    return logits


@dataclass(frozen=True)
class StudyView:
    """One view within its study: all views uint8 [n, s, s], the view's place among them, and the aggregation."""

    views: np.ndarray
    place: int
    aggregation: str

    def replaced_by(self, variant: np.ndarray) -> np.ndarray:
        """The views of the study with `variant` in place of this view."""
        views = self.views.copy()
        views[self.place] = variant
        return views

    def score(self, classifier: Classifier) -> ScoreFunction:
        """Return a function from variants of this view, uint8 [k, s, s], to the logits [k] of the study's score."""
        target = AttributionTarget(classifier.model, self.aggregation).eval()

        def logits(variants: np.ndarray) -> np.ndarray:
            values = []
            with torch.inference_mode(), autocast(classifier.device):
                for variant in variants:
                    views = classifier.tensor(self.replaced_by(variant)).transpose(0, 1)
                    values.append(float(target(views)[0, 0]))
            return np.array(values)

        return logits
