"""The cost of other targets, beside the rule: one click sets each."""

import math
from html import escape

import streamlit as st

from core.metrics.thresholds import Rule
from core.plural import count_text
from core.scores.view import View
from dashboard.shared import widgets
from dashboard.threshold import loader

# The rate that each target costs, and the class whose studies can show the target.
KINDS = {"sensitivity": ("specificity", "abnormal"), "specificity": ("sensitivity", "normal")}


def draw_targets(view: View, rule: Rule, bound: str, prevalence: float | None) -> None:
    """One column per target: its button, and what it costs."""
    rows = loader.costs_of_targets(view.cohort, rule.kind, bound, prevalence)
    other, of_class = KINDS[rule.kind]
    where = "at the prevalence of these studies" if prevalence is None else f"at a prevalence of {prevalence:.1%}"
    widgets.caption(f"Cost of each {rule.kind}", f"its {other}, and alerts per 100, {where}")
    for column, row in zip(st.columns(len(rows), gap="small"), rows):
        with column:
            chosen = math.isclose(row["target"], rule.value)
            st.button(
                f"{100 * row['target']:g}%", key=f"target_{row['target']:g}", width="stretch",
                type="primary" if chosen else "secondary", on_click=_take, args=(rule.kind, row["target"]),
                help=f"Set the target to {100 * row['target']:g}%. {needed_words(row, of_class)}",
            )  # fmt: skip
            st.html(cost_html(row))


def cost_html(row: dict) -> str:
    """The other rate with its interval and the alerts, or a note that the target cannot be met."""
    if not row["feasible"]:
        return '<div class="cost"><b>Not feasible</b></div>'
    value, rest = widgets.estimate_text(row["other"])
    alerts = "" if math.isnan(row["alerts"]) else f"<small>{row['alerts']:.1f} alerts</small>"
    return f'<div class="cost"><b>{value}</b><small>{escape(rest)}</small>{alerts}</div>'


def needed_words(row: dict, of_class: str) -> str:
    """How many studies can show that the target is met."""
    return f"{count_text(row['needed'], of_class + ' study')} {'is' if row['needed'] == 1 else 'are'} needed."


def _take(kind: str, target: float) -> None:
    st.session_state[f"{kind}_target"] = float(f"{100 * target:g}")
