"""Exports guard against formulas in spreadsheets, and an import gives the same texts back."""

import io

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.spreadsheet import csv_for_spreadsheets, guarded, unguarded
from core.data.tables import read_table

STARTS = "=+-@\t\r"


@given(
    st.text()
    | st.builds(lambda marks, start, rest: marks + start + rest, st.text("'"), st.sampled_from(STARTS), st.text())
)
def test_a_guarded_text_never_begins_like_a_formula_and_comes_back(text):
    assert not str(guarded(text)).startswith(tuple(STARTS))
    assert unguarded(guarded(text)) == text


@pytest.mark.parametrize("cell", [-1.5, 3, None, True, "", "wrist", "a=b", "'tis"])
def test_other_cells_stay_as_they_are(cell):
    assert guarded(cell) is cell


def test_a_table_keeps_its_numbers_and_reads_back(tmp_path):
    texts = ["=HYPERLINK(1)", "+49 30", "-", "@SUM(A1)", "'=1", "plain", "\ttab"]
    table = pd.DataFrame({"note": texts, "=name": texts[::-1], "score": [-0.5, 1, 2, 3, 4, 5, -6]})
    text = csv_for_spreadsheets(table)
    plain = pd.read_csv(io.StringIO(text))
    assert not any(str(cell).startswith(tuple(STARTS)) for cell in [*plain["note"], *plain.columns])
    assert plain["score"].tolist() == table["score"].tolist()
    (tmp_path / "x.csv").write_text(text, newline="")
    found = read_table(tmp_path / "x.csv").frame
    assert found["note"].tolist() == texts
