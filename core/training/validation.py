"""After each epoch: validate on the held-out fold, keep the weights if they are the best, decide whether to stop."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from core.checksums import remove_checked, write_checked
from core.data.index import Dataset
from core.models.checkpoint import HISTORY, PREDICTIONS, read_checkpoint, save_weights, write_manifest
from core.scores.classifier import Classifier
from core.scores.predict import predict
from core.scores.predictions import store_predictions
from core.scores.source import source_of
from core.training.loss import tuning_figures
from core.training.options import RunOptions
from core.training.recipe import Recipe
from core.training.state import STATE_FILE, RunState


@dataclass(frozen=True)
class HeldOut:
    """The fold that chooses the epoch. rows: of the index [n]; places: the row of each in `cached`, uint8 [N, s, s].

    pooling: the aggregation that the network learns through, '' for its own default.
    """

    rows: pd.DataFrame
    cached: np.ndarray
    places: np.ndarray
    pooling: str = ""

    def pixels(self) -> np.ndarray:
        """Its pixels uint8 [n, s, s], read from the cache."""
        return self.cached[self.places]


def validate_epoch(
    out: Path,
    classifier: Classifier,
    held_out: HeldOut,
    state: RunState,
    figures: dict,
    say: Callable[[str], None],
) -> RunState:
    """The state after one more epoch. Weights are written if they are the best so far; history.csv always.

    figures: loss and times of the epoch, for its row of the history.
    """
    epoch = state.epoch + 1
    scores = dict(zip(classifier.columns, classifier.scores(held_out.pixels()).T))
    tuning = tuning_figures(held_out.rows, scores, held_out.pooling)
    # With one class held out no AUROC exists; the loss then decides.
    estimable = bool(np.isfinite(tuning["tune_auroc"]))
    score = tuning["tune_auroc"] if estimable else -tuning["tune_loss"]
    # A run killed after the weights of an epoch and before its state comes to that epoch a second time.
    again = state.manifest.get("epoch") == epoch + 1 and score >= state.best
    best = epoch == 0 or score > state.best or again
    row = {"epoch": epoch + 1, **figures, **tuning, "best": best}
    history, manifest = (*state.history, row), dict(state.manifest)
    if best:
        # JSON has no NaN.
        manifest |= {"epoch": epoch + 1, "tune_auroc": tuning["tune_auroc"] if estimable else None, "judged": score}
        manifest = save_weights(out, manifest, classifier.model.state_dict())
    write_checked(out / HISTORY, lambda path: pd.DataFrame(history).to_csv(path, index=False))
    say(
        f"epoch {epoch + 1}: loss {row['train_loss']:.4f}, tuning loss {row['tune_loss']:.4f}, "
        f"tuning study AUROC {row['tune_auroc']:.3f}, "
        f"{row['seconds']:.1f} s, {row['images_per_second']:.0f} radiographs/s{' (best)' if best else ''}"
    )
    return replace(
        state,
        epoch=epoch,
        best=score if best else state.best,
        scores=(*state.scores, score),
        manifest=manifest,
        history=history,
    )


def should_stop(recipe: Recipe, scores: tuple[float, ...]) -> bool:
    """Whether the last `patience` epochs brought no better score than the epochs before them."""
    waited = recipe.patience and len(scores) > recipe.patience
    return bool(waited) and max(scores[-recipe.patience :]) <= max(scores[: -recipe.patience])


def outlook_text(state: RunState) -> str:
    """The best AUROC so far, such as ', best AUROC 0.871'; the progress itself has the time that is left."""
    best = max((row["tune_auroc"] for row in state.history), default=float("nan"))
    return f", best AUROC {best:.3f}" if best == best else ""


def finish_run(out: Path, dataset: Dataset, state: RunState, options: RunOptions) -> None:
    """Mark the checkpoint as complete, score the radiographs that it did not learn from and remove the state."""
    write_manifest(out, {**state.manifest, "complete": True})
    scores = predict(source_of(read_checkpoint(out), dataset), None, options.progress, options.device)
    store_predictions(scores, out / PREDICTIONS)
    remove_checked(out / STATE_FILE)
