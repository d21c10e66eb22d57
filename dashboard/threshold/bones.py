"""One threshold for all bones, beside a small shift for each bone and, where data allow it, a threshold of its own."""

import math
from html import escape

import pandas as pd
import streamlit as st

from core.metrics.thresholds import FEWEST_ABNORMAL, PerBone
from core.scores.view import View
from dashboard.shared import address, study_tables, widgets
from dashboard.shared.selection import bone_name
from dashboard.shared.study_tables import Tables
from dashboard.threshold.rule import Answer

AT_ONCE = 100_000  # fitting more studies takes seconds, so the page asks first


def draw_bones(view: View, tables: Tables, answer: Answer) -> None:
    """The rule on all bones together, with shrunken offsets, and on each alone; nothing where one bone is chosen."""
    if view.bone or len(tables.grid.groups) < 2:
        return
    with address.more("Each bone", icon=":material/orthopedics:"):
        _draw_bones(view, tables, answer)


def _draw_bones(view: View, tables: Tables, answer: Answer) -> None:
    widgets.caption("Per bone", f"one threshold for all bones, and one for each, on {view.split}")
    if answer.rule.kind in ("two", "threshold"):
        widgets.note("Choose a constraint that gives one threshold to see it per bone.")
        return
    if not answer.choice.feasible:
        widgets.note("The constraint cannot be met on all bones together, so there is nothing to shift per bone.")
        return
    many = len(tables.studies) > AT_ONCE
    if many and not st.toggle("Fit the bones", key="fit_bones", help="This takes some seconds for so many studies."):
        return
    found = study_tables.per_bone(view, answer.rule, answer.choice.bound, answer.prevalence)
    st.html(bones_html(found))
    widgets.note(bones_sentence(found))


def bones_html(found: PerBone) -> str:
    """One row per bone: misses and false alarms at the pooled and the shifted threshold, and whether it has its own."""
    groups = (("", 1), (f"One for all: {found.pooled.threshold:.4f}", 2), ("Shifted", 3), ("", 1))
    names = ("", "Missed", "False alarms", "Threshold", "Missed", "False alarms", "Own threshold")
    top = "".join(f'<th class="number" colspan="{width}">{name}</th>' for name, width in groups)
    head = "".join(f'<th class="{"number" if name in names[1:-1] else ""}">{name}</th>' for name in names)
    body = "".join(_row(row) for row in found.table.to_dict("records"))
    rows = f"<thead><tr>{top}</tr><tr>{head}</tr></thead><tbody>{body}</tbody>"
    return f'<div class="table tight"><table>{rows}</table></div>'


def bones_sentence(found: PerBone) -> str:
    """The effect of the offsets, and when a bone gets a threshold of its own."""
    if found.why:
        offsets = f"No bone is shifted: {found.why}."
    else:
        fn, fp, fn_shifted, fp_shifted = (
            int(found.table[name].sum()) for name in ("fn", "fp", "shifted_fn", "shifted_fp")
        )
        offsets = (
            "The shifts are offsets on the log-odds of the score, shrunk to 0 for bones with few studies (spread "
            f"{found.tau:.2f}). In all, {fn_shifted:,} missed and {fp_shifted:,} false alarms instead of {fn:,} and "
            f"{fp:,}."
        )
    return (
        f"{offsets} A bone gets its own threshold only with {FEWEST_ABNORMAL} abnormal studies and a gain in "
        "balanced accuracy on patients it was not chosen on. Only the threshold for all bones can be locked."
    )


def _row(row: dict) -> str:
    unmoved = math.isnan(row["offset"]) or abs(row["offset"]) < 0.005
    moved = "" if unmoved else f"<small>{row['offset']:+.2f} log-odds</small>"
    cells = [
        f'<span class="mark missed">{_count(row["fn"])}</span><small>of {row["n_abnormal"]:,}</small>',
        f'<span class="mark alarm">{_count(row["fp"])}</span><small>of {row["n"] - row["n_abnormal"]:,}</small>',
        f"{row['threshold_shifted']:.4f}{moved}",
        f'<span class="mark missed">{_count(row["shifted_fn"])}</span>',
        f'<span class="mark alarm">{_count(row["shifted_fp"])}</span>',
    ]
    numbers = "".join(f'<td class="number">{cell}</td>' for cell in cells)
    if row["own"]:
        gain, low, high = (100 * row[name] for name in ("own_gain", "own_gain_low", "own_gain_high"))
        own = f"{row['own_threshold']:.4f}<small>balanced accuracy +{gain:.1f} points ({low:.1f} to {high:.1f})</small>"
    else:
        own = f"No<small>{escape(row['why'])}</small>"
    name = escape(bone_name(row["bone"]))
    return f'<tr><td><b>{name}</b></td>{numbers}<td class="why">{own}</td></tr>'


def _count(count: float) -> str:
    return "-" if pd.isna(count) else f"{int(count):,}"
