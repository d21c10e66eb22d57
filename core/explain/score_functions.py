"""Functions that score variants of a radiograph, for checks that blur, reveal or shift parts of it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from core.explain.attribution_target import end_if_cancelled, weigh
from core.explain.memory import batch_that_fits, retry_with_smaller_batches
from core.models.networks.poolings import pool_rows
from core.scores.classifier import Classifier

ScoreFunction = Callable[[np.ndarray], np.ndarray]


def radiograph_score(classifier: Classifier, cancelled: Callable[[], bool] | None = None) -> ScoreFunction:
    """Return a function from variants of a radiograph, uint8 [k, s, s], to their own logits [k]."""
    return lambda variants: _scores(classifier, variants, cancelled)[:, 0]


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

    def score(self, classifier: Classifier, cancelled: Callable[[], bool] | None = None) -> ScoreFunction:
        """Return a function from variants of this view, uint8 [k, s, s], to the logits [k] of the study's score.

        The other views go through the network once, since the network scores each view by itself.
        """
        weighs = self.aggregation == "attention"
        pool = weigh if weighs else partial(pool_rows, self.aggregation)

        def logits(variants: np.ndarray) -> np.ndarray:
            columns = slice(None) if weighs else slice(1)
            others = _scores(classifier, np.delete(self.views, self.place, axis=0), cancelled)[:, columns]
            own = _scores(classifier, variants, cancelled)[:, columns]
            rows = np.repeat(others[None], len(own), axis=0)
            views = torch.from_numpy(np.insert(rows, self.place, own, axis=1))
            return pool(views if weighs else views[..., 0]).numpy()

        return logits


def _scores(classifier: Classifier, pixels: np.ndarray, cancelled: Callable[[], bool] | None) -> np.ndarray:
    """`Classifier.scores` of any number of radiographs; ends between two batches where it is cancelled."""
    side = classifier.spec.size

    def scores(batch: int) -> np.ndarray:
        found = [np.zeros((0, len(classifier.columns)))]
        for start in range(0, len(pixels), batch):
            end_if_cancelled(cancelled)
            found.append(classifier.scores(pixels[start : start + batch], batch))
        return np.concatenate(found)

    return retry_with_smaller_batches(scores, min(32, 4 * batch_that_fits(side)), "The map check", side)
