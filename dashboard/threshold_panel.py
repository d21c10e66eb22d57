"""The live panel of the threshold page: the prevalence it is read at, its axis, and what is sent to the browser."""

import math

import streamlit as st

from core.data.index import Dataset
from core.metrics.counts import class_sizes
from core.metrics.grid import grid_at
from dashboard import selection, widgets
from dashboard.components import live_panel
from dashboard.loaders import thresholds
from dashboard.loaders.thresholds import Tables
from dashboard.selection import Selection

KEPT = {"bind": "query-params", "persist_state": "session"}


def settings(tables: Tables) -> tuple[float | None, str]:
    """The prevalence that is stated (a share, or None) and the axis of the scores."""
    abnormal, normal = class_sizes(tables.counts)
    st.session_state["threshold_exact"] = st.session_state["threshold"]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        prevalence = st.number_input(
            "Prevalence where it will be used (%)",
            0.1,
            99.9,
            value=None,
            step=0.5,
            format="%.1f",
            key="prevalence",
            placeholder=f"{share(abnormal, normal)} in these studies" if abnormal + normal else "unknown here",
            width=250,
            help="Abnormal per 100 studies where the model will be used. Predictive values and alerts depend on it; "
            "empty: as in these studies, which is rarely a clinic's.",
            **KEPT,
        )
        st.number_input(
            "Threshold, exactly",
            0.0,
            1.0,
            value=None,
            step=0.001,
            format="%.4f",
            key="threshold_exact",
            on_change=_take_exact,
            width=170,
            help=selection.HELP["threshold"],
        )
        axis = st.segmented_control(
            "Score axis",
            live_panel.AXES,
            default="probability",
            required=True,
            key="axis",
            help="Log-odds spread scores that crowd near 0 or 1.",
            **KEPT,
        )
    return (None if prevalence is None else prevalence / 100), axis


def show(
    dataset: Dataset,
    source,
    chosen: Selection,
    tables: Tables,
    prevalence: float | None,
    axis: str,
    marks: list[tuple[str, float]],
) -> None:
    """The panel. What is let go of in the browser becomes the shared threshold."""
    drawn = live_panel.payload(tables.grid)
    data = {
        **drawn,
        "bins": thresholds.bins(dataset, source, chosen.split, chosen.one_bone, axis),
        "value": exact_row(tables, chosen.threshold),
        "prevalence": prevalence,
        "stated": _stated(prevalence, tables),
        "axis_title": f"Score (mean probability of abnormal{', in log-odds' if axis == 'log-odds' else ''})",
        "area": _area(tables),
        "precision": "" if math.isnan(tables.precision) else f"average precision {tables.precision:.3f}",
        "marks": [{"name": name, "threshold": min(max(float(at), 0.0), 1.0)} for name, at in marks],
        "id": live_panel.identity(drawn),
    }
    live_panel.draw(data, lambda threshold: selection.choose(threshold=threshold))
    widgets.note(_resolution(tables))


def exact_row(tables: Tables, threshold: float) -> dict:
    """The chosen threshold and its exact counts per group, whether or not it is one of the panel's candidates."""
    tp, fp = grid_at(tables.grid, tables.studies, threshold)
    return {"threshold": float(threshold), "tp": tp.tolist(), "fp": fp.tolist()}


def _take_exact() -> None:
    # An emptied box is not a threshold of 0.
    if st.session_state["threshold_exact"] is not None:
        selection.choose(threshold=st.session_state["threshold_exact"])


def _stated(prevalence: float | None, tables: Tables) -> str:
    if prevalence is not None:
        return f"Predictive values and alerts at a prevalence of {prevalence:.1%}; all else as in these studies."
    abnormal, normal = class_sizes(tables.counts)
    here = f" ({share(abnormal, normal)})" if abnormal + normal else ""
    return f"Predictive values and alerts at the prevalence of these studies{here}: state the one of your clinic."


def share(part: int, rest: int) -> str:
    """`41.9%`: the first of both."""
    return f"{part / (part + rest):.1%}"


def _area(tables: Tables) -> str:
    value, rest = widgets.estimate_text(tables.area, "auroc")
    return "" if value == "Not estimable" else f"AUROC {value} {rest}"


def _resolution(tables: Tables) -> str:
    grid = tables.grid
    if grid.complete:
        count = len(grid.thresholds) - 1
        return f"Every one of the {count:,} distinct scores can be chosen." if count else "No labelled study: no score."
    abnormal, normal = grid.between
    return (
        f"{len(grid.thresholds) - 1:,} of {len(tables.counts) - 1:,} distinct scores can be dragged to, each with its "
        f"exact counts; between two neighbours lie at most {abnormal:,} abnormal and {normal:,} normal studies. "
        "Any other threshold can be typed."
    )
