"""`among` answers as pandas' `isin` does, for every kind of names and columns."""

import numpy as np
import pandas as pd
import pytest

from core.among import among

COLUMN = pd.Series(["a", "b", None, "c", "a", "é\u202e"], index=[5, 3, 9, 1, 2, 7], name="study_id")


@pytest.mark.parametrize(
    "names",
    [
        ["a", "c"],
        {"b", "é\u202e"},
        pd.Series(["a", None]),
        pd.Index(["c"]),
        np.array(["a", "b"], object),
        (name for name in ("a", "z")),
        {"a": 1}.keys(),
        [],
        [None, "a"],
        pd.Series([], dtype=object),
        ["a", 3],
        pd.Categorical(["a", "b"]),
        pd.Series(["a", "b"], dtype="category"),
    ],
    # Names of their own: the order of a set, and the place of a generator, differ between the processes of a test run.
    ids=[
        "list",
        "set",
        "series",
        "index",
        "array",
        "generator",
        "keys",
        "empty",
        "missing",
        "empty series",
        "number",
        "categorical",
        "categories",
    ],
)
@pytest.mark.parametrize(
    "column", [COLUMN, COLUMN.astype(object), COLUMN.astype("category")], ids=lambda c: str(c.dtype)
)
def test_it_answers_as_isin(column, names):
    names = names if hasattr(names, "__len__") else list(names)
    pd.testing.assert_series_equal(among(column, names), column.isin(names))


def test_an_empty_column_and_numbers():
    assert among(COLUMN.iloc[:0], ["a"]).empty
    assert among(pd.Series([1, 2]), [2]).tolist() == [False, True]
