"""Numbers of names are those that pandas gives, for columns in order and out of order."""

import numpy as np
import pandas as pd
import pytest

from core.ordered import all_differ, codes_of, first_of_each

COLUMNS = {
    "ascending": pd.Series(["a", "b", "c"]),
    "in runs": pd.Series(["a", "a", "b", "c", "c", "c"], index=[5, 4, 3, 2, 1, 0]),
    "the same again later": pd.Series(["a", "b", "a"]),
    "descending": pd.Series(["c", "b", "b"]),
    "one": pd.Series(["a"]),
    "none": pd.Series([], dtype="str"),
    "empty text": pd.Series(["", "", "a"]),
    "missing": pd.Series(["a", None, "b", None]),
    "all missing": pd.Series([None, None], dtype="str"),
    "beyond the first plane": pd.Series(["\uffff", "\U00010000", "\U00010000"]),
    "in several chunks": pd.concat([pd.Series(["a", "b"]), pd.Series(["b", "c"])]),
    "a part of a column": pd.Series(["z", "a", "b", "b"]).iloc[1:],
    "objects": pd.Series(["a", "b", "a"], dtype=object),
    "numbers": pd.Series([1.0, 2.0, 1.0, np.nan]),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_the_answers_are_those_of_pandas(name):
    column = COLUMNS[name]
    assert first_of_each(column).tolist() == (~column.duplicated()).tolist()
    assert all_differ(column) == column.is_unique
    assert codes_of(column).tolist() == pd.factorize(column)[0].tolist()


def test_names_that_are_nearly_in_order_are_not_taken_for_ordered():
    names = [f"p{number:04d}" for number in range(2000)]
    names[1500] = names[20]
    column = pd.Series(names)
    assert not all_differ(column)
    assert first_of_each(column).sum() == 1999
    assert codes_of(column)[1500] == 20
