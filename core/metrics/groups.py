"""Groups of studies or radiographs by any column: categories, or numbers and dates cut at points."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from core.errors import OverreadError
from core.plural import count_text

MOST = 100  # groups; more belong to a column of ids or of free text
FEW_VALUES = 8  # whole numbers with up to this many values, such as 0 and 1, are a group each


@dataclass(frozen=True)
class Grouping:
    """A column, and the points at which its numbers or dates are cut; none means thirds."""

    column: str
    cuts: tuple[str, ...] = ()


def parse_grouping(text: str, columns) -> Grouping:
    """'COLUMN' or 'COLUMN:CUT,CUT'. A name that contains a colon is found first."""
    if text in columns or ":" not in text:
        return Grouping(text)
    column, cuts = text.rsplit(":", 1)
    return Grouping(column, tuple(cut.strip() for cut in cuts.split(",")))


def shared_values(rows: pd.DataFrame, column: str, unit: str = "study_id") -> pd.Series:
    """The value of each study, by its id: the one that its radiographs share; missing where they differ."""
    by_unit = rows.groupby(unit, sort=False)[column]
    return by_unit.first().where(by_unit.nunique() == 1)


def with_groups(table: pd.DataFrame, values: pd.Series, grouping: Grouping) -> pd.DataFrame:
    """The table with the group of each row as an ordered category in the grouping's column.

    values: one per row. Rows without a value are in no group. Intervals contain their lower cut, not their upper one.
    Without cuts, numbers with few different whole values are a group each, other numbers are cut into thirds, and dates
    into years. OverreadError for too many groups.
    """
    values = pd.Series(values.to_numpy(), index=table.index, dtype=values.dtype)
    number, date = pd.api.types.is_numeric_dtype(values), pd.api.types.is_datetime64_any_dtype(values)
    if grouping.cuts:
        groups = _cut(values, _cut_points(grouping, values, number, date), date)
    elif number:
        groups = _whole_numbers(values) if _has_few_values(values) else _thirds(values)
    elif date:
        groups = _whole_numbers(values.dt.year)
    else:
        groups = _ordered(values)
    if (count := len(groups.cat.categories)) > MOST:
        examples = ", ".join(map(str, groups.cat.categories[:3]))
        raise OverreadError(
            f"The column {grouping.column!r} has {count_text(count, 'different value')} (first: {examples}); "
            "expected at most "
            f"{MOST} groups. Choose a column of categories, or cut points for numbers, as in age:10,14.",
            code="too-many-groups",
        )
    return table.assign(**{grouping.column: groups})


def _cut_points(grouping: Grouping, values: pd.Series, number: bool, date: bool) -> list:
    found = []
    for text in grouping.cuts:
        try:
            if date:
                found.append(pd.Timestamp(text))
            elif number and np.isfinite(float(text)):
                found.append(float(text))
        except ValueError:
            break
    if len(found) != len(grouping.cuts) or sorted(set(found)) != found:
        kind = "dates" if date else "numbers"
        first = values.dropna().head(1).tolist()
        raise OverreadError(
            f"The cut points of {grouping.column} are {','.join(grouping.cuts)!r}; expected {kind} in ascending order"
            + ("." if number or date else f", and the column has categories (first: {first}). Leave the cuts out."),
            code="cut-points-invalid",
        )
    return found


def _cut(values: pd.Series, cuts: list, date: bool) -> pd.Series:
    shown = [f"{cut.date()}" if date else f"{cut:g}" for cut in cuts]
    names = [f"under {shown[0]}"]
    names += [f"{low} to under {high}" for low, high in pairwise(shown)]
    names += [f"{shown[-1]} and over" if not date else f"from {shown[-1]}"]
    known = values.notna().to_numpy()
    place = np.full(len(values), -1)
    place[known] = np.searchsorted(np.array(cuts), values[known].to_numpy(), side="right")
    return _categories(place, names, values.index)


def _thirds(values: pd.Series) -> pd.Series:
    found = values.to_numpy(np.float64)
    known = ~np.isnan(found)
    low, high = np.quantile(found[known], [1 / 3, 2 / 3])
    if low == found[known].min() and (found[known] == low).mean() > 0.5:
        return _categories(np.where(known, (found > low).astype(int), -1), [f"{low:.3g}", f"above {low:.3g}"],
                           values.index)  # fmt: skip
    names = [f"up to {low:.3g}", f"above {low:.3g} to {high:.3g}", f"above {high:.3g}"]
    return _categories(np.where(known, (found > low).astype(int) + (found > high), -1), names, values.index)


def _has_few_values(values: pd.Series) -> bool:
    distinct = values.dropna().unique()
    return len(distinct) <= FEW_VALUES and bool((distinct == np.round(distinct)).all())


def _whole_numbers(values: pd.Series) -> pd.Series:
    return _ordered(values, [int(value) for value in sorted(values.dropna().unique())])


def _ordered(values: pd.Series, names: list | None = None) -> pd.Series:
    """The values as categories in ascending order; `names` replaces what is shown of them."""
    codes, distinct = pd.factorize(values, sort=True)
    distinct = distinct.tolist()
    return _categories(codes, distinct if names is None else names, values.index)


def _categories(place: np.ndarray, names: list[str], index: pd.Index) -> pd.Series:
    if len(set(names)) < len(names):  # cut points that differ beyond the digits shown
        names = [f"{number}: {name}" for number, name in enumerate(names, 1)]
    return pd.Series(pd.Categorical.from_codes(place, names, ordered=True), index=index)
