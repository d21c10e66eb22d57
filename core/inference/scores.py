"""Which scores a command means: a file's, a checkpoint's stored ones, or new ones made now."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from core.data.index import read_dataset, read_index
from core.errors import OverreadError
from core.inference.predictions import effective_splits, read_file, read_predictions, store_predictions
from core.models.checkpoint import PREDICTIONS, read_checkpoint


def scores_for(
    scored: str, data: str = "", split: str = "", progress: Callable[[int, int, str], None] | None = None
) -> tuple[pd.DataFrame, str]:
    """Predictions of one split and that split's name. Scores anew only what has not been scored.

    scored: a predictions file, or a checkpoint; with `data` the checkpoint's scores on that data set, else those kept
    from its training. split: by default valid, else the only one there is.
    """
    if Path(scored).suffix in {".parquet", ".pq"}:
        frame = read_file(scored)
        return _part(frame, scored, _used(split, set(frame["split"]), scored))
    checkpoint = read_checkpoint(scored)
    if not data:
        if not (checkpoint.folder / PREDICTIONS).exists():
            raise OverreadError(
                f"The checkpoint {checkpoint.name} carries no scores; name a data set with --data, "
                "and it is scored now."
            )
        frame = read_file(checkpoint.folder / PREDICTIONS)
        return _part(frame, scored, _used(split, set(frame["split"]), scored))
    dataset = read_dataset(data)
    # From the index, not from what happens to have been scored: a training split scored last is no result.
    used = _used(split, set(effective_splits(read_index(data), checkpoint)), data)
    stored = read_predictions(checkpoint, dataset)
    if stored is None or used not in set(stored["split"]):
        from core.inference.predict import predict

        stored = predict(checkpoint, dataset, [used], progress)
        store_predictions(stored, checkpoint, dataset)
    return _part(stored, scored, used)


def _used(split: str, there: set[str], what: str) -> str:
    used = split or ("valid" if "valid" in there else next(iter(there)) if len(there) == 1 else "")
    if used not in there:
        raise OverreadError(
            f"{what} has the split {', '.join(sorted(there)) or 'none'}, not {used or 'valid'}; "
            "choose one with --split."
        )
    return used


def _part(frame: pd.DataFrame, what: str, used: str) -> tuple[pd.DataFrame, str]:
    part = frame[frame["split"] == used].reset_index(drop=True)
    if part.empty:
        raise OverreadError(f"{what} has no scores in the split {used}; none of its radiographs could be decoded.")
    return part, used
