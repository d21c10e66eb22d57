"""Which scores a command means: a file's, an imported set's, a checkpoint's stored ones, or new ones made now."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from core.data.index import Dataset, read_dataset, read_index
from core.errors import OverreadError
from core.models.checkpoint import PREDICTIONS
from core.scores.imports import imported_predictions
from core.scores.predictions import effective_splits, read_file, read_predictions, store_predictions
from core.scores.source import Source, find_source

JUDGED = ("valid",)  # the split that is judged where none is named
CHOSEN = ("tune", "valid")  # the split that a threshold is chosen on where none is named


def scores_for(
    scored: str | Source,
    data: str = "",
    split: str = "",
    progress: Callable[[int, int, str], None] | None = None,
    prefer: tuple[str, ...] = JUDGED,
) -> tuple[pd.DataFrame, str]:
    """Predictions of one split and that split's name. Scores anew only what has not been scored.

    scored: a predictions file, an imported set, or a checkpoint; with `data` the checkpoint's scores on that data set,
    else those kept from its training. split: by default the first of `prefer` that is there, else the only one.
    """
    if isinstance(scored, str) and Path(scored).suffix in {".parquet", ".pq"}:
        frame = read_file(scored)
        return _part(frame, scored, _used(split, set(frame["split"]), scored, prefer))
    found = scored if isinstance(scored, Source) else find_source(scored)
    if found.kind == "imported":
        frame = imported_predictions(found.model)
        if data and found.belongs_to.rsplit("@", 1)[0] != data:
            of = f"those of {found.belongs_to}" if found.belongs_to else "matched to no data set"
            raise OverreadError(
                f"The imported scores {found.name} are {of}, not of {data}; leave --data out, or import them again "
                f"with --data {data}."
            )
        return _part(frame, found.name, _used(split, set(frame["split"]), found.name, prefer))
    checkpoint = found.model
    if not data:
        if not (checkpoint.folder / PREDICTIONS).exists():
            raise OverreadError(
                f"The checkpoint {checkpoint.name} carries no scores; name a data set with --data, "
                "and it is scored now."
            )
        frame = read_file(checkpoint.folder / PREDICTIONS)
        return _part(frame, found.name, _used(split, set(frame["split"]), found.name, prefer))
    dataset = read_dataset(data)
    # From the index, not from what happens to have been scored: a training split scored last is no result.
    used = _used(split, set(effective_splits(read_index(data), checkpoint)), data, prefer)
    stored = read_predictions(checkpoint, dataset)
    if stored is None or used not in set(stored["split"]):
        from core.scores.predict import predict

        stored = predict(checkpoint, dataset, [used], progress)
        store_predictions(stored, checkpoint, dataset)
    return _part(stored, found.name, used)


def known_scores(scored: str | Source, dataset: Dataset) -> pd.DataFrame:
    """Every score of a data set that is kept, whatever its split. OverreadError where it was not scored."""
    if isinstance(scored, str) and Path(scored).suffix in {".parquet", ".pq"}:
        return read_file(scored)
    found = scored if isinstance(scored, Source) else find_source(scored)
    if found.kind == "imported":
        frame = imported_predictions(found.model)
        if found.belongs_to.rsplit("@", 1)[0] != dataset.name:
            raise OverreadError(
                f"The imported scores {found.name} do not belong to {dataset.name}; import them with --data."
            )
        return frame
    frame = read_predictions(found.model, dataset)
    if frame is None:
        raise OverreadError(
            f"{found.name} has not scored {dataset.name}; "
            f"run: python -m core predict {found.name} --data {dataset.name}"
        )
    return frame


def _used(split: str, there: set[str], what: str, prefer: tuple[str, ...] = JUDGED) -> str:
    used = split or next((name for name in prefer if name in there), next(iter(there)) if len(there) == 1 else "")
    if used not in there:
        raise OverreadError(
            f"{what} has the split {', '.join(sorted(there)) or 'none'}, not {used or ' or '.join(prefer)}; "
            "choose one with --split."
        )
    return used


def _part(frame: pd.DataFrame, what: str, used: str) -> tuple[pd.DataFrame, str]:
    part = frame[frame["split"] == used].reset_index(drop=True)
    if part.empty:
        raise OverreadError(f"{what} has no scores in the split {used}; none of its radiographs could be decoded.")
    return part, used
