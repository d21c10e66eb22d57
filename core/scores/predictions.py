"""Read and write stored PREDICTIONS. No torch, so that evaluating needs none."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from core.data.index import Dataset, read_index
from core.data.index_stream import open_index
from core.data.spreadsheet import csv_for_spreadsheets, unguarded
from core.errors import OverreadError, reason_of
from core.models.checkpoint import PREDICTIONS as FILE
from core.models.checkpoint import Checkpoint
from core.parquet_files import read_parquet, read_schema, write_parquet
from core.paths import predictions_folder, write_atomically
from core.schema import PREDICTIONS, check
from core.scores.learned_groups import learned_groups
from core.scores.shards import MANIFEST, is_sharded, read_shards, read_table


def dataset_reference(dataset: Dataset) -> str:
    """`name@` and eight digits of the index's hash, as recorded in the scores."""
    return f"{dataset.name}@{dataset.index_hash[:8]}"


def effective_splits(index: pd.DataFrame, checkpoint: Checkpoint) -> pd.Series:
    """The split of each row of an INDEX for this checkpoint (`LearnedGroups.splits`)."""
    return learned_groups([index], checkpoint).splits(index)


def splits_for(checkpoint: Checkpoint, dataset: Dataset) -> pd.DataFrame:
    """The index of a data set with the splits that hold for this checkpoint, as rows for `core.scores.halves`."""
    index = read_index(dataset.name)
    return index.assign(split=effective_splits(index, checkpoint), dataset=dataset_reference(dataset))


def split_names(checkpoint: Checkpoint, dataset: Dataset) -> list[str]:
    """The splits of an index that hold for this checkpoint, found without holding the index in memory."""
    stream = open_index(dataset)
    learned = learned_groups(stream.parts(["sha1", "group_id"]), checkpoint)
    return sorted(set().union(*(learned.splits(part) for part in stream.parts(["group_id", "split"]))))


def predictions_path(checkpoint: Checkpoint, dataset: Dataset) -> Path:
    """The file of a checkpoint's scores on a data set."""
    return predictions_folder(dataset.name) / f"{checkpoint.name}.parquet"


def read_file(file: Path | str, split: str = "", bone: str = "", columns: Sequence[str] | None = None) -> pd.DataFrame:
    """PREDICTIONS from a Parquet or CSV file or from a folder of shards, checked.

    split, bone: only these rows, '' for all. columns: of shards, only these are read, as far as the scores have them;
    scores in one file keep all.
    """
    file = Path(file)
    if is_sharded(file):
        found = read_shards(read_table(file), split, bone, columns)
        schema = PREDICTIONS if columns is None else {name: PREDICTIONS[name] for name in found if name in PREDICTIONS}
        return check(found, schema, str(file))
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
    return _part(check(frame, PREDICTIONS, str(file)), split, bone)


def read_predictions(
    checkpoint: Checkpoint, dataset: Dataset, split: str = "", bone: str = "", columns: Sequence[str] | None = None
) -> pd.DataFrame | None:
    """The stored scores of exactly these weights on exactly this index; None if there are none.

    split, bone, columns: as in `read_file`.
    """
    for file in (predictions_path(checkpoint, dataset), checkpoint.folder / FILE):
        if is_sharded(file):
            if is_finished(file) and made_by(read_table(file).facts, checkpoint, dataset):
                return _renamed(read_file(file, split, bone, columns), checkpoint, dataset)
        elif file.exists():
            frame = read_file(file)
            if len(frame) and belongs(frame, checkpoint, dataset):
                return _part(_renamed(frame, checkpoint, dataset), split, bone)
    return None


def stored_splits(checkpoint: Checkpoint, dataset: Dataset) -> list[str]:
    """The splits with stored scores of these weights on this index. Reads no row of scores in shards."""
    file = predictions_path(checkpoint, dataset)
    if (
        is_sharded(file)
        and (file / MANIFEST).exists()
        and made_by((table := read_table(file)).facts, checkpoint, dataset)
    ):
        return table.splits
    frame = read_predictions(checkpoint, dataset, columns=["split"])
    return [] if frame is None else sorted(set(frame["split"]))


def made_by(facts: dict, checkpoint: Checkpoint, dataset: Dataset) -> bool:
    """Whether these weights made scores in shards on this index."""
    return facts["weights"] == checkpoint.weights_hash and facts["index"] == dataset.index_hash


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
    if is_finished(file):
        older = older_scores(file)
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
    if not is_sharded(file):
        return write_parquet(file, frame)
    aside = file.with_name(f".{file.name}.superseded")
    shutil.rmtree(aside, ignore_errors=True)
    os.rename(file, aside)
    try:
        write_parquet(file, frame)
    except OverreadError:
        os.rename(aside, file)
        raise
    shutil.rmtree(aside, ignore_errors=True)
    return file


def is_finished(file: Path) -> bool:
    """Whether there are scores in a file, or in a folder with its manifest."""
    return (file / MANIFEST).exists() if is_sharded(file) else file.exists()


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
    names = {"checkpoint": checkpoint.reference, "dataset": dataset_reference(dataset)}
    return frame.assign(**{name: value for name, value in names.items() if name in frame})


def _part(frame: pd.DataFrame, split: str, bone: str) -> pd.DataFrame:
    """Some rows of scores that are in memory."""
    for name, value in (("split", split), ("bone", bone)):
        if value:
            frame = frame[frame[name] == value].reset_index(drop=True)
    return frame


def _read_csv(file: Path) -> pd.DataFrame:
    """A CSV file that `store_predictions` wrote, with the same values to the last digit."""
    texts = [name for name, column in PREDICTIONS.items() if column.kind == "text"] + ["precision", "tta", "pooling"]
    # A patient called NA has a name: only an empty cell has no value.
    frame = pd.read_csv(file, dtype=dict.fromkeys(texts, "str"), keep_default_na=False, na_values=[""])
    for name in set(texts) & set(frame):
        frame[name] = frame[name].map(unguarded, na_action="ignore").astype("str")
    return frame


def older_scores(file: Path) -> pd.DataFrame:
    """The scores in a file that will be replaced; empty if it is damaged. OverreadError for a file of another kind."""
    try:
        if is_sharded(file):
            return read_file(file)
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
