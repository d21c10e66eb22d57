"""Read and write stored PREDICTIONS. No torch, so that evaluating needs none."""

from pathlib import Path

import numpy as np
import pandas as pd

from core.data.index import Dataset, read_index
from core.data.spreadsheet import csv_for_spreadsheets, unguarded
from core.errors import OverreadError, reason_of
from core.models.checkpoint import PREDICTIONS as FILE
from core.models.checkpoint import Checkpoint
from core.parquet_files import read_parquet, read_schema, write_parquet
from core.paths import predictions_folder, write_atomically
from core.schema import PREDICTIONS, check


def dataset_reference(dataset: Dataset) -> str:
    """`name@` and eight digits of the index's hash, as recorded in the scores."""
    return f"{dataset.name}@{dataset.index_hash[:8]}"


def effective_splits(index: pd.DataFrame, checkpoint: Checkpoint) -> pd.Series:
    """The split of each row for this checkpoint, which may differ from that of the index.

    'train' and 'tune' for the files it was trained on or chose its epoch on, and for every other file of those
    patients, even if the files were indexed again or under another name. Other rows keep the split of the index.
    """
    part = index["sha1"].map(checkpoint.learned())
    groups = index["group_id"]
    trained = part.eq("train").groupby(groups).transform("max")
    seen = part.notna().groupby(groups).transform("max")
    return index["split"].mask(seen, "tune").mask(trained, "train").astype("str")


def splits_for(checkpoint: Checkpoint, dataset: Dataset) -> pd.DataFrame:
    """The index of a data set with the splits that hold for this checkpoint, as rows for `core.scores.halves`."""
    index = read_index(dataset.name)
    return index.assign(split=effective_splits(index, checkpoint), dataset=dataset_reference(dataset))


def unlearned_by(index: pd.DataFrame, checkpoint: Checkpoint) -> np.ndarray:
    """The member of an ensemble that was not trained on each row's patient, int [n]; -1 if no member was."""
    member = index["sha1"].map(checkpoint.unlearned_by())
    return member.groupby(index["group_id"]).transform("max").fillna(-1).to_numpy(int)


def knows(index: pd.DataFrame, checkpoint: Checkpoint) -> bool:
    """Whether the checkpoint was trained on any of these files."""
    return bool(index["sha1"].isin(checkpoint.learned().index).any())


def predictions_path(checkpoint: Checkpoint, dataset: Dataset) -> Path:
    """The file of a checkpoint's scores on a data set."""
    return predictions_folder(dataset.name) / f"{checkpoint.name}.parquet"


def read_file(file: Path | str) -> pd.DataFrame:
    """PREDICTIONS from a Parquet or CSV file, checked."""
    file = Path(file)
    try:
        frame = _read_csv(file) if file.suffix == ".csv" else read_parquet(file)
    except FileNotFoundError:
        raise OverreadError(
            f"There is no predictions file {file}; make one with: python -m core predict CHECKPOINT --data NAME",
            code="predictions-missing",
        ) from None
    except (OSError, ValueError) as error:
        kind = "CSV" if file.suffix == ".csv" else "Parquet"
        raise OverreadError(
            f"{file} cannot be read as {kind} ({reason_of(error)}); score again "
            "with: python -m core predict CHECKPOINT --data NAME",
            code="predictions-unreadable",
            file=file,
        ) from error
    return check(frame, PREDICTIONS, str(file))


def read_predictions(checkpoint: Checkpoint, dataset: Dataset) -> pd.DataFrame | None:
    """The stored scores of exactly these weights on exactly this index; None if there are none."""
    for file in (predictions_path(checkpoint, dataset), checkpoint.folder / FILE):
        if file.exists():
            frame = read_file(file)
            if len(frame) and belongs(frame, checkpoint, dataset):
                return _renamed(frame, checkpoint, dataset)
    return None


def belongs(frame: pd.DataFrame, checkpoint: Checkpoint, dataset: Dataset) -> bool:
    """Whether scores were made by these weights on this index; names may have changed since."""
    weights, rows = checkpoint.reference.split("@")[-1], dataset_reference(dataset).split("@")[-1]
    made_by, made_on = (frame[name].str.rsplit("@", n=1).str[-1] for name in ("checkpoint", "dataset"))
    return bool((made_by == weights).all() and (made_on == rows).all())


def store_predictions(frame: pd.DataFrame, checkpoint: Checkpoint, dataset: Dataset, file: Path | None = None) -> Path:
    """Store scores. Rows of other splits by the same weights on the same index are kept in the file.

    file: Parquet, or CSV where its name ends in .csv; by default the workspace's.
    """
    file = file or predictions_path(checkpoint, dataset)
    if file.suffix not in ("", ".parquet", ".pq", ".csv"):
        raise OverreadError(
            f"--out is {file}; expected the name of a file that ends in .parquet or .csv.", code="scores-file-unknown"
        )
    if file.exists():
        older = _older(file)
        if len(older) and belongs(older, checkpoint, dataset):
            if augmented(older) != augmented(frame):
                raise OverreadError(
                    f"{file} holds scores with {augmented(older) or 'no augmentation'}, and the new ones have "
                    f"{augmented(frame) or 'none'}; choose another --out.",
                    code="augmentation-differs",
                )
            older = _renamed(older, checkpoint, dataset)
            frame = pd.concat([older[~older["image_id"].isin(frame["image_id"])], frame], ignore_index=True)
    check(frame, PREDICTIONS, "the new scores")
    if file.suffix == ".csv":
        text = csv_for_spreadsheets(frame)
        return write_atomically(file, lambda path: path.write_text(text, encoding="utf-8", newline=""))
    return write_parquet(file, frame)


def augmented(frame: pd.DataFrame) -> str:
    """The test-time augmentation of scores and its number of draws; '' without one."""
    if "tta" not in frame or frame.empty:
        return ""
    return f"{frame['tta'].iloc[0]} x {frame['draws'].iloc[0]}"


def tta_path(checkpoint: Checkpoint, dataset: Dataset, tta_hash: str, draws: int) -> Path:
    """The file of scores with test-time augmentation, next to the plain ones."""
    return predictions_folder(dataset.name) / f"{checkpoint.name}.tta-{tta_hash}-{draws}.parquet"


def _renamed(frame: pd.DataFrame, checkpoint: Checkpoint, dataset: Dataset) -> pd.DataFrame:
    """The same scores under the present names of checkpoint and data set."""
    return frame.assign(checkpoint=checkpoint.reference, dataset=dataset_reference(dataset))


def _read_csv(file: Path) -> pd.DataFrame:
    """A CSV file that `store_predictions` wrote, with the same values to the last digit."""
    texts = [name for name, column in PREDICTIONS.items() if column.kind == "text"] + ["precision", "tta", "pooling"]
    # A patient called NA has a name: only an empty cell has no value.
    frame = pd.read_csv(file, dtype=dict.fromkeys(texts, "str"), keep_default_na=False, na_values=[""])
    for name in set(texts) & set(frame):
        frame[name] = frame[name].map(unguarded, na_action="ignore").astype("str")
    return frame


def _older(file: Path) -> pd.DataFrame:
    """The scores in a file that will be replaced; empty if it is damaged. OverreadError for a file of another kind."""
    try:
        names = list(pd.read_csv(file, nrows=0)) if file.suffix == ".csv" else read_schema(file).names
    except (OSError, ValueError):
        return pd.DataFrame()
    if not {"image_id", "logit"} <= set(names):
        raise OverreadError(
            f"{file} is a table of something else ({', '.join(names[:4])} ...); choose another --out.",
            code="not-predictions",
        )
    try:
        return read_file(file)
    except OverreadError:
        return pd.DataFrame()
