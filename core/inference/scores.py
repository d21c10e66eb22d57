"""Which scores a command means: a file's, a checkpoint's stored ones, or new ones made now."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from core.data.index import read_dataset
from core.errors import OverreadError
from core.inference.predictions import read_file, read_predictions, store_predictions
from core.models.checkpoint import PREDICTIONS, read_checkpoint


def scores_for(
    scored: str, data: str = "", split: str = "", progress: Callable[[int, int, str], None] | None = None
) -> tuple[pd.DataFrame, str]:
    """Predictions of one split and that split's name. Scores anew only what has not been scored.

    scored: a predictions file, or a checkpoint; with `data` the checkpoint's scores on that data set, else those kept
    from its training. split: by default valid, else the only one there is.
    """
    frame = (
        read_file(scored) if Path(scored).suffix == ".parquet" else _checkpoint_scores(scored, data, split, progress)
    )
    there = sorted(set(frame["split"]))
    used = split or ("valid" if "valid" in there else there[0] if len(there) == 1 else "")
    if used not in there:
        raise OverreadError(
            f"{scored} has scores of the split {', '.join(there) or 'none'}, not of {used or 'valid'}; "
            "choose one with --split."
        )
    return frame[frame["split"] == used].reset_index(drop=True), used


def _checkpoint_scores(name: str, data: str, split: str, progress) -> pd.DataFrame:
    checkpoint = read_checkpoint(name)
    if not data:
        if not (checkpoint.folder / PREDICTIONS).exists():
            raise OverreadError(
                f"The checkpoint {checkpoint.name} carries no scores; name a data set with --data, "
                "and it is scored now."
            )
        return read_file(checkpoint.folder / PREDICTIONS)
    dataset = read_dataset(data)
    stored = read_predictions(checkpoint, dataset)
    if stored is not None and (not split or split in set(stored["split"])):
        return stored
    from core.inference.predict import predict

    fresh = predict(checkpoint, dataset, [split] if split else None, progress)
    store_predictions(fresh, checkpoint, dataset)
    return fresh
