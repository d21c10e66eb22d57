"""The tables of the compare page, as HTML."""

from html import escape
from urllib.parse import urlencode

import numpy as np
import pandas as pd

from core.metrics.compare import p_text
from dashboard.shared.selection import Selection, bone_name

MEASURES = (
    ("AUROC", "auroc"),
    ("Sensitivity", "sensitivity"),
    ("Specificity", "specificity"),
    ("Accuracy", "accuracy"),
)


def measures_html(facts: dict, one: str, other: str) -> str:
    """One row a measure: both values with intervals, their difference, the studies that only one gets right, p."""
    names = ("", one, other, f"{one} less {other}", "Right only in the first", "Right only in the second", "p")
    head = "".join(f'<th class="{"number" if place else ""}">{escape(name)}</th>' for place, name in enumerate(names))
    rows = []
    for title, key in MEASURES:
        only = [f"{facts[f'{key}_only_{side}']:,}" if f"{key}_only_a" in facts else "" for side in "ab"]
        cells = [
            _value(facts, f"{key}_a", key),
            _value(facts, f"{key}_b", key),
            difference(facts, f"{key}_difference", key),
            *only,
            p_text(facts[f"{key}_p"]),
        ]
        rows.append(f"<tr><td><b>{title}</b></td>{''.join(f'<td class=number>{cell}</td>' for cell in cells)}</tr>")
    return _table(head, rows)


def bones_html(bones: pd.DataFrame, chosen: Selection, more: dict) -> str:
    """One row a bone: the differences, what changes, p adjusted. The bone is a link that chooses it."""
    names = ("", "Studies", "AUROC", "Sensitivity", "Specificity", "Fixed", "Broken", "p, adjusted")
    head = "".join(f'<th class="{"number" if place else ""}">{name}</th>' for place, name in enumerate(names))
    rows = []
    for row in bones.to_dict("records"):
        link = "compare?" + urlencode(chosen.query(bone=row["bone"], **more))
        name = f'<a href="{escape(link)}" target="_self">{escape(bone_name(row["bone"]))}</a>'
        cells = [
            f"{row['n']:,}<small>{row['n_abnormal']:,} abnormal</small>",
            difference(row, "auroc_difference", "auroc"),
            difference(row, "sensitivity_difference", "sensitivity"),
            difference(row, "specificity_difference", "specificity"),
            f"{row['fixed']:,}",
            f"{row['broken']:,}",
            p_text(row["accuracy_p_holm"]),
        ]
        rows.append(f"<tr><td><b>{name}</b></td>{''.join(f'<td class=number>{cell}</td>' for cell in cells)}</tr>")
    return _table(head, rows)


def difference(row: dict, key: str, kind: str) -> str:
    """`+0.012 (-0.003 to +0.027)`, in points for shares; a dash where there is none."""
    value, low, high = (row[f"{key}{end}"] for end in ("", "_low", "_high"))
    if np.isnan(value):
        return "-"
    show = (lambda part: f"{part:+.3f}") if kind == "auroc" else (lambda part: f"{100 * part:+.1f}")
    unit = "" if kind == "auroc" else " points"
    interval = "too few for an interval" if np.isnan(low) else f"{show(low)} to {show(high)}{unit}"
    return f"{show(value)}<small>{interval}</small>"


def _value(facts: dict, key: str, kind: str) -> str:
    value, low, high = (facts[f"{key}{end}"] for end in ("", "_low", "_high"))
    if np.isnan(value):
        return "Not estimable"
    if kind == "auroc":
        return f"{value:.3f}" + ("" if np.isnan(low) else f"<small>{low:.3f}-{high:.3f}</small>")
    return f"{value:.1%}" + ("" if np.isnan(low) else f"<small>{100 * low:.1f}-{100 * high:.1f}</small>")


def _table(head: str, rows: list[str]) -> str:
    return f'<div class="table tight"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
