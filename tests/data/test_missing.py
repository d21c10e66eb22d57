"""The one list of words for a missing value."""

import pandas as pd
import pytest

from core.data.missing import blank_missing, is_missing


@pytest.mark.parametrize(
    "word", ["", "  ", "NA", "N/A", "nan", "NULL", "None", "-", "unknown", "ANONYMOUS", "<NA>", "."]
)
def test_words_for_a_missing_value_are_missing_in_any_case_and_with_spaces(word):
    assert is_missing(word) and is_missing(f" {word.lower()} ") and is_missing(word.upper())


@pytest.mark.parametrize("word", ["0", "nathan", "p-1", "normal", "unknown hospital 7", "N/A-12"])
def test_ids_that_only_look_like_such_a_word_are_kept(word):
    assert not is_missing(word)


def test_a_column_keeps_its_other_cells_and_its_index():
    found = blank_missing(pd.Series([" p1 ", "NA", None, "0"], index=[3, 1, 2, 0], dtype="str"))
    assert found.to_dict() == {3: "p1", 1: "", 2: "", 0: "0"}
