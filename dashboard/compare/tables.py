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


def measures() -> list[tuple[str, str, str]]:
    """Title, key and format of the AUROC and of every rate."""
    return [("AUROC", "auroc", "ratio"), *((rate.title, rate.name, rate.format) for rate in RATES.values())]


def measures_html(facts: dict, one: str, other: str) -> str:
    """One row a measure: both values with intervals, their difference, the studies only one gets right, p."""
    names = ("", one, other, f"{one} minus {other}", "Right only in the first", "Right only in the second", "p")
    head = "".join(f'<th class="{"number" if place else ""}">{escape(name)}</th>' for place, name in enumerate(names))
    rows = []
    for title, key, kind in measures():
        only = [f"{facts[f'{key}_only_{side}']:,}" if f"{key}_only_a" in facts else "" for side in "ab"]
        cells = [
            interval_html(facts, f"{key}_a", kind),
            interval_html(facts, f"{key}_b", kind),
            difference(facts, f"{key}_difference", kind, f"{key}_p" in facts),
            *only,
            p_text(facts.get(f"{key}_p", np.nan)),
        ]
        rows.append(f"<tr><td><b>{title}</b></td>{''.join(f'<td class=number>{cell}</td>' for cell in cells)}</tr>")
    return _table(head, rows)


def bones_html(bones: pd.DataFrame, view: View, more: dict) -> str:
    """One row a bone: the differences, the changed studies, adjusted p. The bone is a link that chooses it."""
    names = ("", "Studies", "AUROC", *(rate.heading for rate in headline_rates()), "Fixed", "Broken", "p, adjusted")
    head = "".join(f'<th class="{"number" if place else ""}">{name}</th>' for place, name in enumerate(names))
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
        rows.append(f"<tr><td><b>{name}</b></td>{''.join(f'<td class=number>{cell}</td>' for cell in cells)}</tr>")
    return _table(head, rows)


def difference(row: dict, key: str, kind: str, paired: bool = True) -> str:
    """`+0.012 (-0.003 to +0.027)`, shares in points; a dash where it is not estimable. Only paired figures have an
    interval."""
    value, low, high = (row[f"{key}{end}"] for end in ("", "_low", "_high"))
    if np.isnan(value):
        return "-"
    factor, digits, unit = {"ratio": (1, 3, ""), "percent": (100, 1, " points"), "number": (1, 1, "")}[kind]
    show = f"{{:+.{digits}f}}".format
    if np.isnan(low):
        return f"{show(factor * value)}<small>{'too few for an interval' if paired else 'no paired interval'}</small>"
    return f"{show(factor * value)}<small>{show(factor * low)} to {show(factor * high)}{unit}</small>"


def interval_html(facts: dict, key: str, kind: str) -> str:
    """The value, and its interval in small print."""
    value, *interval = interval_text(facts, key, kind).split(" (")
    return value.capitalize() + (f"<small>{interval[0].removesuffix(')')}</small>" if interval else "")


def _table(head: str, rows: list[str]) -> str:
    return f'<div class="table tight"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
