"""Read and write files of PREDICTIONS. `core.scores.stored_scores` finds those of a source. No torch."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from core.among import among
from core.data.references import name_in, same_content
from core.data.spreadsheet import csv_for_spreadsheets, unguarded
from core.errors import OverreadError, reason_of
from core.parquet_files import read_parquet, read_schema, write_parquet
from core.paths import predictions_folder, write_atomically
from core.schema import PREDICTIONS, check
from core.scores.shards import MANIFEST, is_sharded, read_shards, read_table


def read_file(file: Path | str, split: str = "", bone: str = "", columns: Sequence[str] | None = None) -> pd.DataFrame:
    """PREDICTIONS from a Parquet or CSV file or from a folder of shards, checked.

    split, bone: only these rows, '' for all. columns: of shards, only these are read, as far as the scores have them;
    scores in one file keep all. OverreadError where it is missing or cannot be read.
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
    return part_of(check(frame, PREDICTIONS, str(file)), split, bone)


def belongs(frame: pd.DataFrame, checkpoint: str, dataset: str) -> bool:
    """Whether scores were made by these weights on this index (`name@hash8`); names may have changed since."""
    # Of each distinct value: splitting every row takes five times as long as reading the table.
    wanted = {"checkpoint": checkpoint, "dataset": dataset}
    return all(same_content(str(found), made_by) for name, made_by in wanted.items() for found in frame[name].unique())


def renamed(frame: pd.DataFrame, checkpoint: str, dataset: str) -> pd.DataFrame:
    """Scores under the current names of their checkpoint and data set, `name@hash8`."""
    names = {"checkpoint": checkpoint, "dataset": dataset}
    return frame.assign(**{name: value for name, value in names.items() if name in frame})


def predictions_file(checkpoint: str, dataset: str) -> Path:
    """The file of a checkpoint's scores on a data set, both by name."""
    return predictions_folder(dataset) / f"{checkpoint}.parquet"


def store_predictions(frame: pd.DataFrame, file: Path | None = None) -> Path:
    """Store scores of one checkpoint on one data set: those that the table itself names.

    Rows of other splits by the same weights on the same index are kept in the file. file: Parquet, or CSV where its
    name ends in .csv; by default the workspace's. OverreadError for another ending of the name, or where the file has
    scores with another augmentation.
    """
    checkpoint, dataset = _made_by(frame)
    file = file or predictions_file(name_in(checkpoint), name_in(dataset))
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
            older = renamed(older, checkpoint, dataset)
            frame = pd.concat([older[~among(older["image_id"], frame["image_id"])], frame], ignore_index=True)
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


def part_of(frame: pd.DataFrame, split: str, bone: str) -> pd.DataFrame:
    """Some rows of scores that are in memory."""
    for name, value in (("split", split), ("bone", bone)):
        if value:
            frame = frame[frame[name] == value].reset_index(drop=True)
    return frame


def _made_by(frame: pd.DataFrame) -> tuple[str, str]:
    """The checkpoint and the data set of new scores, `name@hash8`. OverreadError unless there is one of each."""
    checkpoints, datasets = (sorted(frame[name].unique()) for name in ("checkpoint", "dataset"))
    if len(checkpoints) != 1 or len(datasets) != 1:
        raise OverreadError(
            f"The new scores are of {' and '.join(checkpoints) or 'no checkpoint'} on "
            f"{' and '.join(datasets) or 'no data set'}; expected one of each. Score each by its own command.",
            code="scores-of-several-sources",
        )
    return checkpoints[0], datasets[0]


def _read_csv(file: Path) -> pd.DataFrame:
    """A CSV file that `store_predictions` wrote, with the same values to the last digit."""
    texts = [name for name, column in PREDICTIONS.items() if column.kind == "text"] + ["precision", "tta", "pooling"]
    # A patient may be called NA, so only an empty cell has no value.
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
