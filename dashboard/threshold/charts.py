"""The decision curve: net benefit of the model, of calling every study abnormal, and of calling none abnormal."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from dashboard.shared import theme


def net_benefit(table: pd.DataFrame, threshold: float) -> go.Figure:
    """From decision.net_benefit_table, per 100 studies; the mark is the shared threshold."""
    figure = theme.figure(
        "Decision curve",
        "net benefit per 100 studies",
        "Threshold, as the probability from which one would review",
        "Net benefit per 100 studies",
    )
    lines = (
        ("The model", "net_benefit", theme.TEXT, "solid", 2.4),
        ("Every study called abnormal", "treat_all", theme.MUTED, "dash", 1.5),
        ("None called abnormal", "treat_none", theme.MUTED, "dot", 1.5),
    )
    for name, column, colour, dash, width in lines:
        figure.add_scatter(
            x=table["threshold"],
            y=100 * table[column],
            mode="lines",
            name=name,
            line={"color": colour, "dash": dash, "width": width},
            hovertemplate=f"{name}<br>threshold %{{x:.2f}}: %{{y:.1f}} per 100<extra></extra>",
        )
    figure.add_shape(
        type="line", x0=threshold, x1=threshold, yref="paper", y0=0, y1=1, line={"color": theme.THRESHOLD, "width": 2}
    )
    if table["threshold"].min() <= threshold <= table["threshold"].max():
        figure.add_scatter(
            x=[threshold],
            y=[100 * float(np.interp(threshold, table["threshold"], table["net_benefit"]))],
            mode="markers",
            showlegend=False,
            hoverinfo="skip",
            marker={"color": theme.THRESHOLD, "size": 11, "symbol": "diamond"},
        )
    top = 100 * max(table["net_benefit"].max(), table["treat_all"].max(), 0.001)
    # The line of calling all abnormal falls without end, so the axis is cut at the model's range.
    bottom = max(min(1.1 * 100 * table["net_benefit"].min(), -0.35 * top), -top)
    return figure.update_yaxes(range=[bottom, 1.08 * top]).update_xaxes(range=[0, 1])
