"""ROC and precision-recall curves of one or more models, each with a mark at its threshold."""

import pandas as pd
import plotly.graph_objects as go

from core.plural import count_text
from dashboard.shared import theme
from dashboard.shared.plain import chart_text

# Neither model takes a colour that means a class: the first is solid, the second dashed and muted.
_LINES = ((theme.TEXT, "solid", "diamond"), (theme.MUTED, "dash", "diamond-open"))


def roc(tables: dict[str, pd.DataFrame], here: dict[str, tuple[float, float]], n: int) -> go.Figure:
    """From ranking.roc_table by model; `here` holds sensitivity and specificity at each one's threshold."""
    figure = theme.figure(
        "ROC", count_text(n, "study"), "1 - specificity (false alarms among normal studies)", "Sensitivity"
    )
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", line={"color": theme.LINE, "dash": "dot"}, hoverinfo="skip", showlegend=False
    )
    hover = "threshold %{customdata:.3f}<br>sensitivity %{y:.1%}, false alarms %{x:.1%}"
    for place, (name, table) in enumerate(tables.items()):
        _curve(figure, name, table, "false_positive_rate", "sensitivity", place, hover)
    for place, (sensitivity, specificity) in enumerate(here.values()):
        _mark(figure, 1 - specificity, sensitivity, place)
    return _square(figure, len(tables) > 1)


def precision_recall(
    tables: dict[str, pd.DataFrame], here: dict[str, tuple[float, float]], share: float, n: int
) -> go.Figure:
    """From ranking.precision_recall_table by model; `here` holds sensitivity and PPV at each one's threshold; `share`
    abnormal is the precision of chance."""
    figure = theme.figure(
        "Precision and recall",
        count_text(n, "study"),
        "Sensitivity (recall)",
        "Positive predictive value (precision)",
    )
    figure.add_scatter(
        x=[0, 1], y=[share, share], mode="lines", line={"color": theme.LINE, "dash": "dot"}, hoverinfo="skip",
        showlegend=False,
    )  # fmt: skip
    hover = "threshold %{customdata:.3f}<br>sensitivity %{x:.1%}, PPV %{y:.1%}"
    for place, (name, table) in enumerate(tables.items()):
        _curve(figure, name, table, "sensitivity", "ppv", place, hover)
    for place, (sensitivity, ppv) in enumerate(here.values()):
        _mark(figure, sensitivity, ppv, place)
    return _square(figure, len(tables) > 1)


def _curve(figure: go.Figure, name: str, table: pd.DataFrame, x: str, y: str, place: int, hover: str) -> None:
    colour, dash, _ = _LINES[place % 2]
    name = chart_text(name)
    figure.add_scatter(
        x=table[x],
        y=table[y],
        mode="lines",
        line={"color": colour, "dash": dash, "width": 2},
        customdata=table["threshold"],
        name=name,
        hovertemplate=f"{name}<br>{hover}<extra></extra>",
    )


def _mark(figure: go.Figure, x: float, y: float, place: int) -> None:
    width = 2.5 if place % 2 else 0
    figure.add_scatter(
        x=[x],
        y=[y],
        mode="markers",
        name="threshold",
        showlegend=False,
        hoverinfo="skip",
        marker={"color": theme.THRESHOLD, "size": 13, "symbol": _LINES[place % 2][2], "line": {"width": width}},
    )


def _square(figure: go.Figure, legend: bool) -> go.Figure:
    ends = {"range": [-0.02, 1.02], "tickvals": [0, 0.25, 0.5, 0.75, 1], "tickformat": ".0%"}
    return figure.update_xaxes(**ends).update_yaxes(**ends).update_layout(showlegend=legend)
