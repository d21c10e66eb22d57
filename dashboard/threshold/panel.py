"""The live panel of the threshold page: its settings, and the data sent to the browser."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st

from core.metrics.counts import class_sizes
from core.metrics.threshold_grid import grid_at
from core.plural import count_clause, count_text
from core.scores.view import View
from dashboard.shared import address, selection, study_tables, widgets
from dashboard.shared.address import KEPT
from dashboard.shared.study_tables import Tables
from dashboard.threshold import live_panel
from dashboard.threshold.rule import share


def draw_settings() -> str:
    """A field for the exact threshold, and the axis of the scores, which is returned."""
    st.session_state["threshold_exact"] = st.session_state["threshold"]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.number_input(
            "Exact threshold", 0.0, 1.0, value=None, step=0.001, format="%.4f", key="threshold_exact",
            on_change=_take_exact, width=170, help=selection.HELP["threshold"],
        )  # fmt: skip
        return address.bound(st.segmented_control,
            "Score axis", live_panel.AXES, default="probability", required=True, key="axis",
            help="Log-odds spread scores that crowd near 0 or 1.", **KEPT,
        )  # fmt: skip


@dataclass(frozen=True)
class Moves:
    """React to a moved threshold. released: when it is let go. moving: several times a second while it is dragged."""

    released: Callable[[float], None]
    moving: Callable[[float], None] | None = None


ALONE = Moves(lambda threshold: selection.choose(threshold=threshold))


def draw_panel(
    view: View,
    tables: Tables,
    prevalence: float | None,
    axis: str,
    marks: list[tuple[str, float]],
    moves: Moves = ALONE,
) -> None:
    """The panel. Alone, a threshold that is dragged in the browser becomes the shared one when it is released."""
    drawn = live_panel.payload(tables.grid)
    data = {
        **drawn,
        "bins": study_tables.bins(view, axis),
        "value": exact_row(tables, view.threshold),
        "rates": live_panel.rates_shown(),
        "prevalence": prevalence,
        "stated": _prevalence_sentence(prevalence, tables),
        "axis_title": f"Score (mean probability of abnormal{', in log-odds' if axis == 'log-odds' else ''})",
        "area": _area_words(tables),
        "precision": "" if math.isnan(tables.precision) else f"average precision {tables.precision:.3f}",
        "marks": _merged_marks(marks),
        "id": live_panel.identity(drawn),
    }
    live_panel.draw({**data, "live": moves.moving is not None}, moves.released, moves.moving)


def exact_row(tables: Tables, threshold: float) -> dict:
    """The chosen threshold and its exact counts per group, whether or not it is one of the panel's candidates."""
    tp, fp = grid_at(tables.grid, tables.studies, threshold)
    return {"threshold": float(threshold), "tp": tp.tolist(), "fp": fp.tolist()}


def resolution(tables: Tables) -> str:
    """Which thresholds the panel offers, in a sentence."""
    grid = tables.grid
    if grid.complete:
        count = len(grid.thresholds) - 1
        if count < 2:
            return "Every study has the same score." if count else "No study has a label, so there is no score to show."
        return f"Every one of the {count_text(count, 'distinct score')} can be chosen."
    abnormal, normal = grid.between
    return (
        f"The line can be dragged to {len(grid.thresholds) - 1:,} of "
        f"{count_text(len(tables.counts) - 1, 'distinct score')}; counts there are exact. At most {abnormal:,} "
        f"abnormal and {count_clause(normal, 'normal study', 'are')} between two of them. Type any other threshold."
    )


def _take_exact() -> None:
    # An emptied box is not a threshold of 0.
    if st.session_state["threshold_exact"] is not None:
        selection.choose(threshold=st.session_state["threshold_exact"])


def _prevalence_sentence(prevalence: float | None, tables: Tables) -> str:
    if prevalence is not None:
        return f"Predictive values and alerts: at a prevalence of {prevalence:.1%}."
    abnormal, normal = class_sizes(tables.counts)
    here = f" ({share(abnormal, normal)})" if abnormal + normal else ""
    return f"Predictive values and alerts: prevalence of these studies{here}."


def _merged_marks(marks: list[tuple[str, float]]) -> list[dict]:
    """One line per threshold: names at the same threshold share it."""
    places: dict[float, list[str]] = {}
    for name, at in marks:
        places.setdefault(min(max(float(at), 0.0), 1.0), []).append(name)
    return [{"name": ", ".join(names), "threshold": at} for at, names in places.items()]


def _area_words(tables: Tables) -> str:
    value, rest = widgets.estimate_text(tables.area, "auroc")
    if value == "Not estimable":
        return ""
    by_patient = tables.by_patient
    if by_patient is None or math.isnan(by_patient.low):
        return f"AUROC {value} {rest}"
    # DeLong's interval takes the studies of one patient as independent; resampled patients do not.
    interval, n = rest.rsplit(", n = ", 1)
    second = f"({by_patient.low:.3f}-{by_patient.high:.3f})"
    more = "" if second == interval else f", by patient {second}"
    return f"AUROC {value} {interval}{more}, n\u00a0=\u00a0{n}"
