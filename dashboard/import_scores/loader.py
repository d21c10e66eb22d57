"""Tables of scores as they were read, and the guesses about them."""

from pathlib import Path

from core.data.index import list_datasets
from core.data.tables import Table, read_table
from core.scores.import_guess import Guess, guess_columns, guess_dataset, guess_scale
from core.scores.import_upload import check_table
from dashboard.shared.cache import FileStamp, cached_data, cached_resource, stamp


@cached_resource(max_entries=2, show_spinner="Reading the table")
def table_of(file: FileStamp) -> Table:
    """A table of scores. Shared: nobody may change it. OverreadError for one that a page cannot read."""
    check_table(Path(file.path))
    return read_table(file.path)


@cached_data(max_entries=8)
def column_guesses(file: FileStamp) -> list[Guess]:
    """The guessed meaning of each column."""
    return guess_columns(table_of(file))


@cached_data(max_entries=16)
def scale_guesses(file: FileStamp, score: str) -> list[Guess]:
    """The scale of a column of scores, guessed."""
    return guess_scale(table_of(file), score)


def dataset_guess(file: FileStamp, image: str, study: str) -> Guess | None:
    """The data set whose radiographs the table names, guessed."""
    indexed = tuple(stamp(dataset.folder / "index.parquet") for dataset in list_datasets())
    return _dataset_guess(file, image, study, indexed)


@cached_data(max_entries=16)
def _dataset_guess(file: FileStamp, image: str, study: str, indexed: tuple[FileStamp, ...]) -> Guess | None:
    return guess_dataset(table_of(file), image, study)
