"""The tables of the Compare page, as HTML."""

from dataclasses import replace
from html import escape
from urllib.parse import urlencode

import numpy as np
import pandas as pd

from core.metrics.compare import p_text
from core.metrics.rates import RATES, headline_rates, interval_text
from core.scores.view import View
from dashboard.shared.selection import bone_name


def measures_html(facts: dict, one: str, other: str) -> str:
    """One row per measure: both values with intervals and their difference.

    First the measures that can be compared study by study, with the studies only one model gets right and p; the other
    rates open below.
    """
    paired = [("AUROC", "auroc", "ratio")]
    paired += [(rate.title, rate.name, rate.format) for rate in RATES.values() if rate.share_of]
    unpaired = [(rate.title, rate.name, rate.format) for rate in RATES.values() if not rate.share_of]
    models = ("", one, other, f"{one} minus {other}")
    first = _table(
        _head(*models, f"Only {one} right", f"Only {other} right", "p"),
        [_row(title, [*_values(facts, key, kind, True), *_changes(facts, key)]) for title, key, kind in paired],
    )
    rest = _table(_head(*models), [_row(title, _values(facts, key, kind, False)) for title, key, kind in unpaired])
    summary = "Other rates, whose difference has no interval"
    return f"{first}<details><summary>{summary}</summary>{rest}</details>"


def bones_html(bones: pd.DataFrame, view: View, more: dict) -> str:
    """One row per bone: the differences, the changed studies, adjusted p. The bone is a link that chooses it."""
    names = ("", "Studies", "AUROC", *(rate.heading for rate in headline_rates()), "Fixed", "Broken", "p, adjusted")
    rows = []
    for row in bones.to_dict("records"):
        link = "compare?" + urlencode(replace(view, bone=row["bone"]).address(**more))
        name = f'<a href="{escape(link)}" target="_self">{escape(bone_name(row["bone"]))}</a>'
        cells = [
            f"{row['n']:,}<small>{row['n_abnormal']:,} abnormal</small>",
            difference(row, "auroc_difference", "ratio"),
            *(difference(row, f"{rate.name}_difference", rate.format) for rate in headline_rates()),
            f"{row['fixed']:,}",
            f"{row['broken']:,}",
            p_text(row["accuracy_p_holm"]),
        ]
        rows.append(_row(name, cells))
    return _table(_head(*names), rows)


def difference(row: dict, key: str, kind: str, paired: bool = True) -> str:
    """`+0.012 (-0.003 to +0.027)`, shares in points; a dash where it is not estimable. Only paired figures have an
    interval."""
    value, low, high = (row[f"{key}{end}"] for end in ("", "_low", "_high"))
    if np.isnan(value):
        return "-"
    factor, digits, unit = {"ratio": (1, 3, ""), "percent": (100, 1, " points"), "number": (1, 1, "")}[kind]

    def signed(number: float) -> str:
        # Adding 0 after rounding turns -0.0 into 0.0.
        return f"{round(number, digits) + 0.0:+.{digits}f}"

    if np.isnan(low):
        return f"{signed(factor * value)}{'<small>too few for an interval</small>' if paired else unit}"
    return f"{signed(factor * value)}<small>{signed(factor * low)} to {signed(factor * high)}{unit}</small>"


def interval_html(facts: dict, key: str, kind: str) -> str:
    """The value, and its interval in small print."""
    value, *interval = interval_text(facts, key, kind).split(" (")
    return value.capitalize() + (f"<small>{interval[0].removesuffix(')')}</small>" if interval else "")


def _values(facts: dict, key: str, kind: str, paired: bool) -> list[str]:
    return [
        interval_html(facts, f"{key}_a", kind),
        interval_html(facts, f"{key}_b", kind),
        difference(facts, f"{key}_difference", kind, paired),
    ]


def _changes(facts: dict, key: str) -> list[str]:
    only = [f"{facts[f'{key}_only_{side}']:,}" if f"{key}_only_a" in facts else "" for side in "ab"]
    return [*only, p_text(facts.get(f"{key}_p", np.nan))]


def _head(*names: str) -> str:
    return "".join(f'<th class="{"number" if place else ""}">{escape(name)}</th>' for place, name in enumerate(names))


def _row(name: str, cells: list[str]) -> str:
    return f"<tr><td><b>{name}</b></td>{''.join(f'<td class=number>{cell}</td>' for cell in cells)}</tr>"


def _table(head: str, rows: list[str]) -> str:
    return f'<div class="table tight"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
