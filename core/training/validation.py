"""What follows an epoch: it is judged on what was held out, and its weights are kept if they are the best so far."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

from core.data.index import Dataset
from core.models.checkpoint import HISTORY, PREDICTIONS, read_checkpoint, save_weights, write_manifest
from core.paths import write_atomically
from core.scores.classifier import Classifier
from core.scores.predict import predict
from core.scores.predictions import store_predictions
from core.training.loss import tuning_figures
from core.training.recipe import Recipe
from core.training.state import FILE

Progress = Callable[[int, int, str], None]


def after_epoch(
    out: Path,
    model: nn.Module,
    recipe: Recipe,
    tune: pd.DataFrame,
    pixels: np.ndarray,
    device: torch.device,
    facts: dict,
    epoch: int,
    row: dict,
    say: Callable[[str], None],
) -> dict:
    """The facts of a run after one more epoch, judged on the held-out fold `tune` by its pixels [n, s, s].

    row: what is known of the epoch already. Its weights are written if they are the best so far, its figures always.
    """
    judge = Classifier(model.eval(), recipe.input_spec(), device)
    found = tuning_figures(tune, dict(zip(judge.columns, judge.scores(pixels).T)))
    # With one class held out no AUROC exists; the loss then decides.
    judged = found["tune_auroc"] if np.isfinite(found["tune_auroc"]) else -found["tune_loss"]
    # Killed after an epoch's weights and before its state, a run comes to that epoch a second time.
    again = facts["manifest"].get("epoch") == epoch + 1 and judged >= facts["best"]
    best = epoch == 0 or judged > facts["best"] or again
    row = {"epoch": epoch + 1, **row, **found, "best": best}
    history = [*facts["history"], row]
    manifest = dict(facts["manifest"])
    if best:
        # JSON knows no NaN.
        shown = found["tune_auroc"] if np.isfinite(found["tune_auroc"]) else None
        manifest |= {"epoch": epoch + 1, "tune_auroc": shown, "judged": judged}
        manifest = save_weights(out, manifest, model.state_dict())
    write_atomically(out / HISTORY, lambda path: pd.DataFrame(history).to_csv(path, index=False))
    say(
        f"epoch {epoch + 1}: loss {row['train_loss']:.4f}, tuning loss {row['tune_loss']:.4f}, "
        f"tuning study AUROC {row['tune_auroc']:.3f}, "
        f"{row['seconds']:.1f} s, {row['images_per_second']:.0f} radiographs/s{' (best)' if best else ''}"
    )
    return {
        **facts,
        "epoch": epoch,
        "best": judged if best else facts["best"],
        "judged": [*facts["judged"], judged],
        "manifest": manifest,
        "history": history,
    }


def finish(out: Path, dataset: Dataset, facts: dict, progress: Progress | None, device: str) -> None:
    """Say that the run is whole, and score what it has not learned from."""
    write_manifest(out, {**facts["manifest"], "complete": True})
    checkpoint = read_checkpoint(out)
    store_predictions(predict(checkpoint, dataset, None, progress, device), checkpoint, dataset, out / PREDICTIONS)
    (out / FILE).unlink(missing_ok=True)
