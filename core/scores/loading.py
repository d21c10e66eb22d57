"""Load the scores of a split: from a file, an imported set or a checkpoint's stored scores, else computed now."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from core.data.index import read_dataset
from core.data.references import name_in
from core.errors import OverreadError
from core.models.checkpoint import PREDICTIONS
from core.paths import home
from core.scores.halves import in_split, known_splits, whole_of
from core.scores.imports import imported_predictions
from core.scores.predictions import read_file
from core.scores.shards import is_sharded, read_table
from core.scores.source import Source, find_source, source_of
from core.scores.stored_scores import read_predictions, split_names, splits_for, stored_splits

# The columns from which the default split and the halves of a split are found.
_FOR_SPLITS = ("study_id", "group_id", "bone", "label", "split", "dataset")


def split_for_evaluation(rows: pd.DataFrame) -> str:
    """The split that is evaluated where none is named: valid, else the only one; '' where several are left."""
    known = set(rows["split"].unique())
    return "valid" if "valid" in known else next(iter(known)) if len(known) == 1 else ""


def find_scores(name: str, data: str = "") -> Source | Path:
    """The predictions file or the source that a command names; a checkpoint on the data set of a name, where given.

    OverreadError for imported scores of another data set.
    """
    if _is_file(name):
        return Path(name)
    found = find_source(name)
    if found.kind == "imported":
        require_matched(found, data)
        return found
    return source_of(found.checkpoint, read_dataset(data)) if data else found


def require_matched(source: Source, data: str) -> None:
    """OverreadError unless imported scores were matched to the data set of this name; '' for any."""
    if data and name_in(source.belongs_to) != data:
        owner = f"those of {source.belongs_to}, not of {data}" if source.belongs_to else "matched to no data set"
        raise OverreadError(
            f"The imported scores {source.name} are {owner}; name the data set that they belong to, or import them "
            f"again with --data {data}.",
            code="scores-of-other-dataset",
        )


def split_scores(
    source: Source | Path,
    split: str = "",
    progress: Callable[[int, int, str], None] | None = None,
    default: Callable[[pd.DataFrame], str] = split_for_evaluation,
    columns: Sequence[str] | None = None,
) -> tuple[pd.DataFrame, str]:
    """PREDICTIONS of one split, and the name of that split. Computes only scores that are not stored.

    source: a source, or a predictions file (`find_scores`). A checkpoint without a data set is read by the scores it
    carries from its training. split: a split or a half of one (`core.scores.halves`), by default what `default` returns
    for the rows. columns: of scores in shards, only these are read, and only of this split. OverreadError for a
    checkpoint without scores of its own and without a data set.
    """
    if isinstance(source, Path):
        return _rows_in(source, str(source), split, default, columns)
    if source.kind == "imported":
        frame = imported_predictions(source.imported)
        require_matched(source, source.data if source.dataset and source.dataset.kind != "scores" else "")
        return _rows_of(frame, source.name, _used_split(split, frame, source.name, default))
    if not source.data:
        file = source.checkpoint.folder / PREDICTIONS
        if not file.exists():
            raise OverreadError(
                f"The checkpoint {source.name} has no scores of its own{_scored_sets(source.name)}; name a "
                "data set with --data, and it is scored now if it has not been.",
                code="checkpoint-without-scores",
            )
        return _rows_in(file, source.name, split, default, columns)
    # From the index, not from the stored scores: else a scored training split could become the default.
    names = pd.DataFrame({"split": split_names(source)}) if _by_name(split, default) else None
    used = _used_split(split, splits_for(source) if names is None else names, source.data, default)
    if whole_of(used) not in stored_splits(source):
        from core.scores.score_table import ScoringOrder, score_table

        score_table(ScoringOrder(source, [whole_of(used)]), progress)
    stored = read_predictions(source, split=whole_of(used), columns=_with_own(columns))
    return _rows_of(stored, source.name, used)


def scores_if_stored(source: Source) -> pd.DataFrame | None:
    """PREDICTIONS of a source as they are stored; None where it has none."""
    if source.kind == "imported":
        return imported_predictions(source.imported)
    return read_predictions(source) if source.has_network and source.dataset else None


def stored_scores(source: Source | Path) -> pd.DataFrame:
    """Every stored score of a source on its data set, of all splits, or those of a file. OverreadError without any."""
    if isinstance(source, Path):
        return read_file(source)
    if source.kind == "imported":
        require_matched(source, source.data)
        return imported_predictions(source.imported)
    frame = read_predictions(source)
    if frame is None:
        raise OverreadError(
            f"{source.name} has not scored {source.data}; "
            f"run: python -m core predict {source.name} --data {source.data}",
            code="dataset-not-scored",
        )
    return frame


def _is_file(name: str) -> bool:
    return Path(name).suffix in {".parquet", ".pq", ".csv"}


def _used_split(split: str, rows: pd.DataFrame, owner: str, default: Callable[[pd.DataFrame], str]) -> str:
    used = split or default(rows)
    if used not in known_splits(rows):
        found = ", ".join(sorted(set(rows["split"].unique()))) or "none"
        lacking = f"no split {used}" if used else "no split valid, which is the default"
        raise OverreadError(f"{owner} has {lacking} (found: {found}); choose one with --split.", code="split-unknown")
    return used


def _rows_in(file: Path, owner: str, split: str, default, columns) -> tuple[pd.DataFrame, str]:
    """The rows of one split of a file or of shards, of which no other split is read where its name is enough."""
    if not is_sharded(file):
        frame = read_file(file)
        return _rows_of(frame, owner, _used_split(split, frame, owner, default))
    names = pd.DataFrame({"split": read_table(file).splits}) if _by_name(split, default) else None
    rows = read_file(file, columns=_FOR_SPLITS) if names is None else names
    used = _used_split(split, rows, owner, default)
    return _rows_of(read_file(file, whole_of(used), columns=_with_own(columns)), owner, used)


def _by_name(split: str, default: Callable[[pd.DataFrame], str]) -> bool:
    """Whether the names of the splits are enough to find the one to use."""
    return bool(split) or default is split_for_evaluation


def _with_own(columns: Sequence[str] | None) -> list[str] | None:
    """The columns, and those from which the halves of a split are found."""
    return None if columns is None else [*dict.fromkeys([*columns, *_FOR_SPLITS])]


def _rows_of(frame: pd.DataFrame, owner: str, used: str) -> tuple[pd.DataFrame, str]:
    rows = frame[in_split(frame, used)].reset_index(drop=True)
    if rows.empty:
        raise OverreadError(
            f"{owner} has no scores in the split {used}; none of its radiographs could be decoded.",
            code="split-without-scores",
        )
    return rows, used


def _scored_sets(name: str) -> str:
    """The data sets that a checkpoint of this name has scored, in words; '' where there is none."""
    files = sorted((home() / "predictions").glob(f"*/{name}.parquet"))
    return f" (it has scored: {', '.join(file.parent.name for file in files)})" if files else ""
