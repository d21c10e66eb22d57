"""The tables of sweeps and of questions, as one kind of rows that can be drawn. No torch."""

from dataclasses import dataclass

import pandas as pd

from core.errors import OverreadError, reason_of
from core.paths import checked_name, home

# Columns of a sweep's table that are figures; the ones before them are its settings.
_FIGURES = ("seeds", "n", "abnormal", "auroc")


@dataclass(frozen=True)
class SweepTable:
    """rows: `figure`, `variant`, `value`, `low`, `high`, `n`, `seeds`, `differs` (from the reference by more than
    chance) and, where one setting has two or more numbers as values, `x`, with `series` for the others. axis: the
    setting of x, or ''. reference: the variant that the others are compared with."""

    name: str
    rows: pd.DataFrame
    reference: str
    axis: str = ""

    @property
    def figures(self) -> list[str]:
        """The names of its figures, in their order."""
        return list(dict.fromkeys(self.rows["figure"]))


def sweep_names() -> list[str]:
    """The sweeps of this workspace, the newest first."""
    files = sorted((home() / "sweeps").glob("*.csv"), key=lambda file: file.stat().st_mtime, reverse=True)
    return [file.stem for file in files]


def read_sweep(name: str) -> SweepTable:
    """The table of a sweep. OverreadError where it cannot be read."""
    file = home() / "sweeps" / f"{checked_name(name)}.csv"
    try:
        table = pd.read_csv(file)
        return _of_question(name, table) if "figure" in table else _of_grid(name, table)
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise OverreadError(
            f"{file} cannot be read ({reason_of(error)}); expected the table that `python -m core sweep` writes. Run "
            "the sweep again with --resume.",
            code="sweep-unreadable",
        ) from error


def _of_question(name: str, table: pd.DataFrame) -> SweepTable:
    columns = ["figure", "variant", "value", "low", "high", "n", "seeds"]
    return SweepTable(name, table[columns].assign(differs=table["p_holm"] < 0.05), str(table["variant"].iloc[0]))


def _of_grid(name: str, table: pd.DataFrame) -> SweepTable:
    """A grid has one figure, the AUROC of studies; its reference is the best combination."""
    keys = list(table.columns[: table.columns.get_loc(_FIGURES[0])])
    shown = table[keys].astype(str)
    numbers = [key for key in keys if pd.api.types.is_numeric_dtype(table[key]) and table[key].nunique() > 1]
    axis = max(numbers, key=lambda key: table[key].nunique(), default="")
    rows = pd.DataFrame(
        {
            "figure": "study_auroc",
            "variant": [" ".join(f"{key}={row[key]}" for key in keys) for _, row in shown.iterrows()],
            "value": table["auroc"], "low": table["auroc_low"], "high": table["auroc_high"],
            "n": table["n"], "seeds": table["seeds"], "differs": table["verdict"] == "behind the best",
        }
    )  # fmt: skip
    if axis:
        others = [key for key in keys if key != axis]
        series = [" ".join(f"{key}={row[key]}" for key in others) for _, row in shown.iterrows()]
        rows = rows.assign(x=table[axis], series=series)
    return SweepTable(name, rows, rows["variant"].iloc[0], axis)
