"""The live panel of the threshold page: the prevalence it is read at, its axis, and what is sent to the browser."""

import math

import streamlit as st

from core.data.index import Dataset
from core.metrics.counts import class_sizes
from core.metrics.threshold_grid import grid_at
from dashboard.shared import selection, study_tables, widgets
from dashboard.shared.selection import Selection
from dashboard.shared.study_tables import Tables
from dashboard.threshold import live_panel
from dashboard.threshold.rule import share

KEPT = {"bind": "query-params", "persist_state": "session"}


def settings() -> str:
    """A threshold typed to its last digit, and the axis of the scores, which is returned."""
    st.session_state["threshold_exact"] = st.session_state["threshold"]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.number_input(
            "Threshold, exactly", 0.0, 1.0, value=None, step=0.001, format="%.4f", key="threshold_exact",
            on_change=_take_exact, width=170, help=selection.HELP["threshold"],
        )  # fmt: skip
        return st.segmented_control(
            "Score axis", live_panel.AXES, default="probability", required=True, key="axis",
            help="Log-odds spread scores that crowd near 0 or 1.", **KEPT,
        )  # fmt: skip


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
        "bins": study_tables.bins(dataset, source, chosen.split, chosen.one_bone, axis),
        "value": exact_row(tables, chosen.threshold),
        "rates": live_panel.rates_shown(),
        "prevalence": prevalence,
        "stated": _stated(prevalence, tables),
        "axis_title": f"Score (mean probability of abnormal{', in log-odds' if axis == 'log-odds' else ''})",
        "area": _area(tables),
        "precision": "" if math.isnan(tables.precision) else f"average precision {tables.precision:.3f}",
        "marks": _marks(marks),
        "id": live_panel.identity(drawn),
    }
    live_panel.draw(data, lambda threshold: selection.choose(threshold=threshold))


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


def _marks(marks: list[tuple[str, float]]) -> list[dict]:
    """One line a place: names that stand at the same threshold share it."""
    places: dict[float, list[str]] = {}
    for name, at in marks:
        places.setdefault(min(max(float(at), 0.0), 1.0), []).append(name)
    return [{"name": ", ".join(names), "threshold": at} for at, names in places.items()]


def _area(tables: Tables) -> str:
    value, rest = widgets.estimate_text(tables.area, "auroc")
    if value == "Not estimable":
        return ""
    wider = tables.by_patient
    if wider is None or math.isnan(wider.low):
        return f"AUROC {value} {rest}"
    # The closed form takes the studies of one patient as independent; resampled patients do not.
    interval, n = rest.rsplit(", n = ", 1)
    by_patient = f"({wider.low:.3f}-{wider.high:.3f})"
    more = "" if by_patient == interval else f", by patient {by_patient}"
    return f"AUROC {value} {interval}{more}, n\u00a0=\u00a0{n}"


def resolution(tables: Tables) -> str:
    """Which thresholds can be dragged to."""
    grid = tables.grid
    if grid.complete:
        count = len(grid.thresholds) - 1
        if count < 2:
            return "Every study has the same score." if count else "No labelled study: no score."
        return f"Every one of the {count:,} distinct scores can be chosen."
    abnormal, normal = grid.between
    return (
        f"{len(grid.thresholds) - 1:,} of {len(tables.counts) - 1:,} distinct scores can be dragged to, each with its "
        f"exact counts; between two neighbours lie at most {abnormal:,} abnormal and {normal:,} normal studies. "
        "Any other threshold can be typed."
    )
