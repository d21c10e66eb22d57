"""The tables of the Bones page, as HTML: one row per slice, then all studies."""

from dataclasses import replace
from html import escape
from urllib.parse import urlencode

import numpy as np

from core.metrics.compare import p_text
from core.metrics.rates import FORMATS, further_rates, headline_rates
from core.scores.view import View
from dashboard.shared.case.cards import count_link

# Figures that need no threshold, after the rates: title, key, format.
SCORE_FIGURES = (
    ("Calibration slope", "calibration_slope", "two decimals"), ("Intercept", "calibration_intercept", "two decimals"),
    ("Average precision", "average_precision", "ratio"), ("Brier", "brier", "ratio"), ("ECE", "ece", "ratio"),
)  # fmt: skip
_FORMATS = {**FORMATS, "two decimals": lambda value: f"{round(value, 2) + 0.0:.2f}"}


def further_figures() -> list[tuple[str, str, str]]:
    """Title, key and format of the figures in the second table."""
    return [(rate.heading, rate.name, rate.format) for rate in further_rates()] + list(SCORE_FIGURES)


def main_html(table, pooled: dict, by: str, names: dict, view: View) -> str:
    """Studies, AUROC, its difference from the other studies, headline rates, missed studies and false alarms."""
    headline = [rate.heading for rate in headline_rates()]
    heads = ("Studies", "AUROC", "Difference", "p, adjusted", *headline, "Missed", "False alarms")
    rows = []
    for row in table.to_dict("records"):
        name = escape(names[row[by]])
        if by == "bone":
            link = "bones?" + urlencode(replace(view, bone=row[by]).address())
            name = f'<a href="{escape(link)}" target="_self">{name}</a>'
        gap, low, high = row["gap"], row["gap_low"], row["gap_high"]
        minus_rest = (
            "-"
            if np.isnan(gap)
            else f"{gap:+.3f}" + ("" if np.isnan(low) else f"<small>{low:+.3f} to {high:+.3f}</small>")
        )
        marked = by == "bone" and row[by] == view.bone
        here = replace(view, bone=row[by]) if by == "bone" else view
        rows.append(_row(name, [*_first(row), minus_rest, p_text(row["gap_p_holm"]), *_last(row, here, by)], marked))
    rows.append(_row("All", [*_first(pooled), "", "", *_last(pooled, view.every_bone, by)]))
    return _table(("", *heads), rows)


def more_html(table, pooled: dict, by: str, names: dict) -> str:
    """The other rates, and the figures that need no threshold."""
    rows = [
        _row(escape(names.get(row.get(by), "All")), [cell(row, key, kind) for _, key, kind in further_figures()])
        for row in (*table.to_dict("records"), pooled)
    ]
    return _table(("", *(title for title, _, _ in further_figures())), rows)


def cell(row: dict, key: str, kind: str) -> str:
    """`0.812` with its interval below; a dash where it is not estimable."""
    value, show = row[key], _FORMATS[kind]
    if np.isnan(value):
        return "-"
    low, high = row.get(f"{key}_low", np.nan), row.get(f"{key}_high", np.nan)
    if np.isnan(low):
        return show(value)
    # A dash between two numbers, unless one of them begins with it.
    between = " to " if low < 0 else "-"
    return f"{show(value)}<small>{show(low)}{between}{show(high)}</small>".replace("%-", "-")


def _first(row: dict) -> list[str]:
    return [f"{row['n']:,}<small>{row['n_abnormal']:,} abnormal</small>", cell(row, "auroc", "ratio")]


def _last(row: dict, view: View, by: str) -> list[str]:
    counts = [
        count_link(row[key], view, outcome) if by == "bone" and view.bone else f"{row[key]:,}"
        for key, outcome in (("fn", "Missed"), ("fp", "False alarm"))
    ]
    return [*(cell(row, rate.name, rate.format) for rate in headline_rates()), *counts]


def _row(name: str, cells: list[str], marked: bool = False) -> str:
    numbers = "".join(f'<td class="number">{cell}</td>' for cell in cells)
    return f'<tr class="{"chosen" if marked else ""}"><td><b>{name}</b></td>{numbers}</tr>'


def _table(heads: tuple, rows: list[str]) -> str:
    head = "".join(f'<th class="{"number" if place else ""}">{name}</th>' for place, name in enumerate(heads))
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    return f'<div class="table tight" tabindex="0">{table}</div>'
