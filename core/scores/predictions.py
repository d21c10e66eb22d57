"""Stored Predictions: reading and writing them needs no torch, so that evaluating needs none."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from core.data.index import Dataset
from core.errors import OverreadError
from core.models.checkpoint import PREDICTIONS as FILE
from core.models.checkpoint import Checkpoint
from core.paths import predictions_folder, write_atomically
from core.schema import PREDICTIONS, check


def dataset_reference(dataset: Dataset) -> str:
    """`name@` and eight digits of the index's hash: what scores carry to say which rows they belong to."""
    return f"{dataset.name}@{dataset.index_hash[:8]}"


def effective_splits(index: pd.DataFrame, checkpoint: Checkpoint) -> pd.Series:
    """The split of each row as this checkpoint sees it, whatever the index calls it.

    'train' and 'tune' for the files it learned from and chose its epoch on, and for all else of their patients, also
    after the files were indexed anew or under another name. The rest keeps the split that the index gives.
    """
    part = index["sha1"].map(checkpoint.learned())
    groups = index["group_id"]
    trained = part.eq("train").groupby(groups).transform("max")
    seen = part.notna().groupby(groups).transform("max")
    return index["split"].mask(seen, "tune").mask(trained, "train").astype("str")


def unlearned_by(index: pd.DataFrame, checkpoint: Checkpoint) -> np.ndarray:
    """Of an ensemble: the member that may score each row, int [n], since it learned from none of that patient's files.

    -1 where all of them may.
    """
    member = index["sha1"].map(checkpoint.unlearned_by())
    return member.groupby(index["group_id"]).transform("max").fillna(-1).to_numpy(int)


def knows(index: pd.DataFrame, checkpoint: Checkpoint) -> bool:
    """Whether the checkpoint learned from any of these files."""
    return bool(index["sha1"].isin(checkpoint.learned().index).any())


def predictions_path(checkpoint: Checkpoint, dataset: Dataset) -> Path:
    """Where `predict` keeps the scores of a checkpoint on a data set."""
    return predictions_folder(dataset.name) / f"{checkpoint.name}.parquet"


def read_file(file: Path | str) -> pd.DataFrame:
    """Predictions from a Parquet file, checked. OverreadError says what does not fit."""
    file = Path(file)
    try:
        frame = pd.read_parquet(file)
    except FileNotFoundError:
        raise OverreadError(
            f"There is no predictions file {file}; make one with: python -m core predict CHECKPOINT --data NAME"
        ) from None
    except (OSError, ValueError) as error:
        raise OverreadError(
            f"{file} cannot be read as Parquet ({str(error).splitlines()[0]}); score again with: "
            "python -m core predict CHECKPOINT --data NAME"
        ) from error
    return check(frame, PREDICTIONS, str(file))


def read_predictions(checkpoint: Checkpoint, dataset: Dataset) -> pd.DataFrame | None:
    """The stored scores of these very weights on this very index; None where there are none."""
    for file in (predictions_path(checkpoint, dataset), checkpoint.folder / FILE):
        if file.exists():
            frame = read_file(file)
            if len(frame) and belongs(frame, checkpoint, dataset):
                return _renamed(frame, checkpoint, dataset)
    return None


def belongs(frame: pd.DataFrame, checkpoint: Checkpoint, dataset: Dataset) -> bool:
    """Whether scores were made by these weights on this index, whatever name either had then."""
    weights, rows = checkpoint.reference.split("@")[-1], dataset_reference(dataset).split("@")[-1]
    made_by, made_on = (frame[name].str.rsplit("@", n=1).str[-1] for name in ("checkpoint", "dataset"))
    return bool((made_by == weights).all() and (made_on == rows).all())


def store_predictions(frame: pd.DataFrame, checkpoint: Checkpoint, dataset: Dataset, file: Path | None = None) -> Path:
    """Keep scores; rows of other splits by the same weights on the same index stay beside them."""
    file = file or predictions_path(checkpoint, dataset)
    if file.exists():
        older = _older(file)
        if len(older) and belongs(older, checkpoint, dataset):
            if augmented(older) != augmented(frame):
                raise OverreadError(
                    f"{file} holds scores with {augmented(older) or 'no augmentation'}, and the new ones have "
                    f"{augmented(frame) or 'none'}; choose another --out."
                )
            older = _renamed(older, checkpoint, dataset)
            frame = pd.concat([older[~older["image_id"].isin(frame["image_id"])], frame], ignore_index=True)
    check(frame, PREDICTIONS, "the new scores")
    return write_atomically(file, lambda path: frame.to_parquet(path, index=False))


def augmented(frame: pd.DataFrame) -> str:
    """The test-time augmentation of scores and its draws; '' where there is none."""
    if "tta" not in frame or frame.empty:
        return ""
    return f"{frame['tta'].iloc[0]} x {frame['draws'].iloc[0]}"


def tta_path(checkpoint: Checkpoint, dataset: Dataset, tta_hash: str, draws: int) -> Path:
    """Where scores with test-time augmentation are kept, beside the plain ones."""
    return predictions_folder(dataset.name) / f"{checkpoint.name}.tta-{tta_hash}-{draws}.parquet"


def _renamed(frame: pd.DataFrame, checkpoint: Checkpoint, dataset: Dataset) -> pd.DataFrame:
    """The same scores under the names that checkpoint and data set have now."""
    return frame.assign(checkpoint=checkpoint.reference, dataset=dataset_reference(dataset))


def _older(file: Path) -> pd.DataFrame:
    """The scores in a file that is to be replaced; none where it is damaged. Somebody else's table is not replaced."""
    try:
        names = pq.read_schema(file).names
    except (OSError, pa.ArrowException):
        return pd.DataFrame()
    if not {"image_id", "logit"} <= set(names):
        raise OverreadError(f"{file} is a table of something else ({', '.join(names[:4])} ...); choose another --out.")
    try:
        return read_file(file)
    except OverreadError:
        return pd.DataFrame()
