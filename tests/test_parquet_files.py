"""A table is read as pandas reads it, each column in one piece, and a column that is not there is an error."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.parquet_files import read_parquet, read_table, write_parquet

TABLE = pd.DataFrame(
    {
        "name": ["b", None, "a", "b"],
        "number": [1.5, np.nan, 3.0, np.inf],
        "whole": [1, 2, 3, 4],
        "flag": [True, False, True, True],
        "kind": pd.Categorical(["x", "y", "x", None]),
        "day": pd.to_datetime(["2026-11-28", None, "2026-11-30", "2026-12-01"]),
        "object": pd.Series(["p", "q", None, "r"], dtype=object),
    }
)


@pytest.mark.parametrize("rows", [4, 1, 0])
def test_a_table_is_the_one_that_pandas_reads(tmp_path, rows):
    file = write_parquet(tmp_path / "table.parquet", TABLE.head(rows))
    pd.testing.assert_frame_equal(read_parquet(file), pd.read_parquet(file))
    some = ["whole", "name"]
    pd.testing.assert_frame_equal(read_parquet(file, some), pd.read_parquet(file, columns=some))


def test_a_file_of_another_program_with_an_index_and_groups_of_rows(tmp_path):
    file = tmp_path / "theirs.parquet"
    theirs = TABLE.set_index("whole")
    pq.write_table(pa.Table.from_pandas(theirs), file, row_group_size=1)
    assert pq.ParquetFile(file).num_row_groups == 4
    found = read_parquet(file)
    pd.testing.assert_frame_equal(found, pd.read_parquet(file))
    assert pa.chunked_array(found["name"].array._pa_array).num_chunks == 1
    assert read_table(file).column("name").num_chunks == 1


def test_a_column_that_the_file_lacks_is_named(tmp_path):
    file = write_parquet(tmp_path / "table.parquet", TABLE)
    with pytest.raises(ValueError, match="lacks the column.*nope"):
        read_parquet(file, ["name", "nope"])


def test_what_is_no_parquet_file_is_a_value_error(tmp_path):
    file = tmp_path / "table.parquet"
    with pytest.raises(FileNotFoundError):
        read_parquet(file)
    file.write_bytes(b"PAR1 is how it begins, but not how it goes on")
    with pytest.raises(ValueError):
        read_parquet(file)
