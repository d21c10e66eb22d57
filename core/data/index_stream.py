"""The rows of an index in parts, in their order, so that memory does not grow with the length of the index."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pandas as pd
import pyarrow.parquet as pq

from core.checksums import check_file
from core.data.datasets import DESCRIPTION_KEY, Dataset
from core.errors import OverreadError, reason_of
from core.parquet_files import open_table
from core.schema import INDEX, check

_ROWS = 8_192  # read at a time


@dataclass(frozen=True)
class IndexStream:
    """An opened index. It keeps its rows where the data set is indexed again meanwhile.

    rows: how many radiographs it lists.
    """

    dataset: Dataset
    rows: int
    _file: pq.ParquetFile = field(repr=False)

    @property
    def columns(self) -> list[str]:
        """The columns of INDEX and the further ones."""
        return self._file.schema_arrow.names

    def parts(self, columns: Sequence[str]) -> Iterator[pd.DataFrame]:
        """The columns, some thousand rows at a time. Their row labels are the places in the index."""
        place, schema = 0, {name: INDEX[name] for name in columns if name in INDEX}
        try:
            for batch in self._file.iter_batches(_ROWS, columns=list(columns)):
                frame = batch.to_pandas()
                frame.index = pd.RangeIndex(place, place + len(frame))
                place += len(frame)
                yield check(frame, schema, str(self.dataset.folder / "index.parquet"))[list(columns)]
        except (OSError, ValueError) as error:
            if isinstance(error, OverreadError):
                raise
            raise _unreadable(self.dataset, error) from error


def open_index(dataset: Dataset) -> IndexStream:
    """Open the index of a data set. OverreadError where it was indexed again since `dataset` was read."""
    try:
        check_file(dataset.folder / "index.parquet")
        opened = open_table(dataset.folder / "index.parquet")
    except (OSError, ValueError) as error:
        raise _unreadable(dataset, error) from error
    description = (opened.schema_arrow.metadata or {}).get(DESCRIPTION_KEY)
    if description and json.loads(description)["index_hash"] != dataset.index_hash:
        raise index_changed(dataset)
    if not opened.metadata.num_rows:
        raise OverreadError(
            f"{dataset.folder / 'index.parquet'} contains no radiograph. Index the data set again.", code="index-empty"
        )
    return IndexStream(dataset, opened.metadata.num_rows, opened)


def index_changed(dataset: Dataset) -> OverreadError:
    """The error for an index that was replaced while it was in use."""
    return OverreadError(
        f"{dataset.name} was indexed again while it was read, and the results so far belong to the earlier index. "
        "Run the same command again.",
        code="index-changed",
    )


def _unreadable(dataset: Dataset, error: Exception) -> OverreadError:
    return OverreadError(
        f"{dataset.folder / 'index.parquet'} cannot be read ({reason_of(error)}). Index the data set again.",
        code="index-unreadable",
    )
