"""ROC and precision-recall, each with the threshold's place on it."""

import pandas as pd
import plotly.graph_objects as go

from dashboard import theme


def roc(table: pd.DataFrame, sensitivity: float, specificity: float, n: int) -> go.Figure:
    """From ranking.roc_table; the mark is what the threshold gives now."""
    figure = theme.figure("ROC", f"{n:,} studies", "1 - specificity (false alarms among normal studies)", "Sensitivity")
    figure.add_scatter(x=[0, 1], y=[0, 1], mode="lines", line={"color": theme.LINE, "dash": "dot"}, hoverinfo="skip")
    figure.add_scatter(
        x=table["false_positive_rate"],
        y=table["sensitivity"],
        mode="lines",
        line={"color": theme.TEXT, "width": 2},
        customdata=table["threshold"],
        name="ROC",
        hovertemplate="threshold %{customdata:.3f}<br>sensitivity %{y:.1%}, false alarms %{x:.1%}<extra></extra>",
    )
    _here(figure, 1 - specificity, sensitivity)
    return _square(figure)


def precision_recall(table: pd.DataFrame, sensitivity: float, ppv: float, share: float, n: int) -> go.Figure:
    """From ranking.precision_recall_table; `share` abnormal is what chance would reach."""
    figure = theme.figure(
        "Precision and recall", f"{n:,} studies", "Sensitivity (recall)", "Positive predictive value (precision)"
    )
    figure.add_scatter(
        x=[0, 1], y=[share, share], mode="lines", line={"color": theme.LINE, "dash": "dot"}, hoverinfo="skip"
    )
    figure.add_scatter(
        x=table["sensitivity"],
        y=table["ppv"],
        mode="lines",
        line={"color": theme.TEXT, "width": 2},
        customdata=table["threshold"],
        name="Precision and recall",
        hovertemplate="threshold %{customdata:.3f}<br>sensitivity %{x:.1%}, PPV %{y:.1%}<extra></extra>",
    )
    _here(figure, sensitivity, ppv)
    return _square(figure)


def _here(figure: go.Figure, x: float, y: float) -> None:
    figure.add_scatter(
        x=[x],
        y=[y],
        mode="markers",
        name="threshold",
        hoverinfo="skip",
        marker={"color": theme.THRESHOLD, "size": 13, "symbol": "diamond", "line": {"color": theme.PANEL, "width": 2}},
    )


def _square(figure: go.Figure) -> go.Figure:
    ends = {"range": [-0.02, 1.02], "tickvals": [0, 0.25, 0.5, 0.75, 1], "tickformat": ".0%"}
    return figure.update_xaxes(**ends).update_yaxes(**ends).update_layout(showlegend=False)
