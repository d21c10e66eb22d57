"""A sweep or a question as a picture: each variant's figure with its interval, or a curve over a setting."""

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from core.plural import count_text
from core.workflows.sweeps import SweepTable, read_sweep, sweep_names
from dashboard.shared import address, theme, widgets
from dashboard.shared.plain import chart_text

NAMES = {
    "study_auroc": "AUROC of studies",
    "radiograph_auroc": "AUROC of radiographs",
    "brier": "Brier score (lower is better)",
    "false_alarms": "False alarms in abnormal studies",
    "driver": "The view that drives the score is abnormal",
    "specificity": "Specificity",
    "sensitivity": "Sensitivity",
}
_COLOURS = (theme.TEXT, theme.THRESHOLD, theme.NORMAL, theme.ALARM)


def draw_sweeps() -> None:
    """Draw the chosen sweep of this workspace; nothing where there is none."""
    names = sweep_names()
    if not names:
        return
    widgets.caption("Sweeps", count_text(len(names), "sweep"))
    with st.container(horizontal=True):
        name = address.bound(st.selectbox, "Sweep", names, key="sweep", width=300)
        table = read_sweep(name)
        figure = address.bound(
            st.selectbox, "Figure", table.figures, key="figure", width=300, format_func=lambda key: NAMES.get(key, key)
        )
    widgets.show_figure(picture(table, figure), "sweep_picture")


def picture(table: SweepTable, figure: str) -> go.Figure:
    """One figure of a sweep: a curve over its numeric setting, else a row for each variant, the best figure on top."""
    rows = table.rows[table.rows["figure"] == figure]
    basis = f"n = {int(rows['n'].max()):,}, {count_text(int(rows['seeds'].max()), 'seed')}, 95% intervals"
    return _curve(table, rows, figure, basis) if table.axis else _rows(table, rows, figure, basis)


def _rows(table: SweepTable, rows: pd.DataFrame, figure: str, basis: str) -> go.Figure:
    rows = rows.sort_values("value", kind="stable")
    words = f"{basis}; filled: differs from {table.reference} by more than chance"
    drawn = theme.figure(NAMES.get(figure, figure), chart_text(words), "", "", 90 + 30 * len(rows))
    for filled in (True, False):
        part = rows[rows["differs"] == filled]
        drawn.add_scatter(
            x=part["value"],
            y=[chart_text(name) for name in part["variant"]],
            mode="markers",
            showlegend=False,
            marker={"color": theme.TEXT, "size": 9, "symbol": "circle" if filled else "circle-open"},
            error_x=_errors(part, theme.TEXT),
            hovertemplate="%{y}: %{x:.3f}<extra></extra>",
        )
    value = rows.loc[rows["variant"] == table.reference, "value"]
    if len(value):
        drawn.add_vline(x=float(value.iloc[0]), line={"color": theme.MUTED, "dash": "dot", "width": 1})
    order = [chart_text(name) for name in rows["variant"]]
    return drawn.update_yaxes(categoryorder="array", categoryarray=order, automargin=True)


def _curve(table: SweepTable, rows: pd.DataFrame, figure: str, basis: str) -> go.Figure:
    drawn = theme.figure(NAMES.get(figure, figure), basis, chart_text(table.axis), "", 320)
    for place, (series, part) in enumerate(rows.groupby("series", sort=False)):
        part, colour = part.sort_values("x"), _COLOURS[place % len(_COLOURS)]
        drawn.add_scatter(
            x=part["x"],
            y=part["value"],
            mode="lines+markers",
            name=chart_text(series),
            line={"color": colour},
            error_y=_errors(part, colour),
            hovertemplate="%{x}: %{y:.3f}<extra></extra>",
        )
    return drawn.update_layout(showlegend=rows["series"].nunique() > 1)


def _errors(part: pd.DataFrame, colour: str) -> dict:
    return {
        "type": "data",
        "symmetric": False,
        "array": part["high"] - part["value"],
        "arrayminus": part["value"] - part["low"],
        "color": theme.faded(colour, 0.5),
        "thickness": 1.5,
        "width": 3,
    }
