"""CSV for spreadsheets, which run a cell that begins like a formula. Such a text gets an apostrophe before it.

Reading takes the apostrophe off, so an export that is imported again has the same texts.
"""

import re

import pandas as pd

# Also the full-width forms of these signs, which some spreadsheets treat in the same way.
_STARTS = "=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20"
# A text that itself begins with apostrophes gets one more, so that reading can remove it again.
_FORMULA = re.compile(f"'*[{_STARTS}]")
_GUARDED = re.compile(f"'+[{_STARTS}]")


def guarded(cell: object) -> object:
    """A text that would be run as a formula with an apostrophe before it; any other cell, numbers too, unchanged."""
    return f"'{cell}" if isinstance(cell, str) and _FORMULA.match(cell) else cell


def unguarded(cell: str) -> str:
    """A cell as it was before `guarded`."""
    return cell[1:] if _GUARDED.match(cell) else cell


def guarded_table(table: pd.DataFrame) -> pd.DataFrame:
    """A table whose texts and column names are guarded, for `to_csv`."""
    done = table.copy()
    for place, kind in enumerate(table.dtypes):
        if not pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_datetime64_any_dtype(kind):
            cells = table.iloc[:, place].astype(object).map(guarded)
            done.isetitem(place, cells)
    done.columns = [guarded(name) for name in table.columns]
    return done


def csv_for_spreadsheets(table: pd.DataFrame) -> str:
    """The table as CSV without its index, guarded."""
    return guarded_table(table).to_csv(index=False)
