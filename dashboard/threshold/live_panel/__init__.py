"""The live threshold panel: the browser draws it from counts that are sent once. Dragging sends nothing.

`figures.js` has the formulas, `marks.js` draws and `panel.js` moves what is drawn; all are sent as one module. No text
of a data set goes into the scripts: names are sent as data and set as text.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import streamlit as st

from core.metrics.rates import RATES
from core.metrics.threshold_grid import ThresholdGrid

_HERE = Path(__file__).parent
_SCRIPTS = ("figures.js", "marks.js", "panel.js")
# The rates that figures.js computes, in the panel's order, and whether a cell is as wide as two.
RATES_SHOWN = {"sensitivity": 1, "specificity": 1, "alerts_per_100": 1, "kappa": 1, "ppv": 0, "npv": 0}
AXES = ("probability", "log-odds")


def payload(grid: ThresholdGrid) -> dict:
    """The panel's data: candidate thresholds, and per group the gain in tp and fp from each candidate to the next."""
    # The first candidate, above every score, is sent as 1.0, the largest threshold; it is dropped if a score is 1.0.
    first = 0 if len(grid.thresholds) == 1 or grid.thresholds[1] < 1 else 1
    thresholds = np.minimum(grid.thresholds[first:], 1.0)
    steps = {name: np.diff(getattr(grid, name)[:, first:], axis=1, prepend=0).tolist() for name in ("tp", "fp")}
    return {"thresholds": thresholds.tolist(), "groups": [name.capitalize() for name in grid.groups], **steps}


def rates_shown() -> list[list[str]]:
    """Name, title, format and width of each rate of the panel, from core.metrics.rates."""
    shown = [(RATES[name], "wide" if wide else "") for name, wide in RATES_SHOWN.items()]
    return [[rate.name, rate.title, rate.format, wide] for rate, wide in shown]


def identity(data: dict) -> str:
    """A hash of the data, by which the browser distinguishes new studies from a new threshold."""
    return hashlib.sha1(json.dumps(data).encode()).hexdigest()[:16]


def draw(
    data: dict,
    chosen: Callable[[float], None],
    moving: Callable[[float], None] | None = None,
    key: str = "live_panel",
) -> None:
    """Mount the panel. When the visitor releases the threshold, `chosen(threshold)` runs before the page does.

    moving: also called several times a second while it is dragged; `data["live"]` then is True.
    """
    script = "".join((_HERE / name).read_text(encoding="utf-8") for name in _SCRIPTS)
    mount = st.components.v2.component(
        "overread.live_panel",
        html=(_HERE / "panel.html").read_text(encoding="utf-8"),
        css=(_HERE / "panel.css").read_text(encoding="utf-8"),
        js=script,
    )
    mount(
        key=key, data=data, on_threshold_change=lambda: _sent(chosen, key, "threshold"),
        on_moving_change=lambda: _sent(moving, key, "moving") if moving else None,
    )  # fmt: skip


def _sent(chosen: Callable[[float], None], key: str, what: str) -> None:
    threshold = st.session_state[key].get(what)
    if isinstance(threshold, (int, float)) and 0 <= threshold <= 1:
        chosen(float(threshold))
