"""The calibration curve: the observed share of abnormal studies against the mean score of each bin."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from core.plural import count_text
from dashboard.shared import theme


def reliability(table: pd.DataFrame, title: str) -> go.Figure:
    """From calibration.reliability_table: one point per bin with Wilson's interval, larger for more studies."""
    rows = table[table["n"] > 0]
    figure = theme.figure(
        title,
        f"{count_text(int(rows['n'].sum()), 'study')} in {len(table)} bins",
        "Mean score of the bin",
        "Share abnormal",
        360,
    )
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", line={"color": theme.MUTED, "dash": "dot"}, hoverinfo="skip", showlegend=False
    )
    figure.add_scatter(
        x=rows["mean_score"],
        y=rows["share_abnormal"],
        mode="lines+markers",
        cliponaxis=False,
        name="observed",
        line={"color": theme.faded(theme.TEXT, 0.45), "width": 1.5},
        # The offset keeps the smallest bin visible.
        marker={"color": theme.TEXT, "opacity": 1, "size": 6 + 14 * np.sqrt(rows["n"] / max(rows["n"].max(), 1))},
        error_y={
            "type": "data",
            "symmetric": False,
            "array": rows["high"] - rows["share_abnormal"],
            "arrayminus": rows["share_abnormal"] - rows["low"],
            "color": theme.TEXT,
            "thickness": 1.5,
            "width": 0,
        },
        customdata=rows[["n", "n_abnormal", "low", "high"]],
        hovertemplate="score %{x:.1%}: %{y:.1%} abnormal (%{customdata[2]:.1%} to %{customdata[3]:.1%})<br>"
        "%{customdata[1]:,} of %{customdata[0]:,} studies<extra></extra>",
    )
    ends = {"range": [-0.03, 1.03], "tickvals": [0, 0.25, 0.5, 0.75, 1], "tickformat": ".0%"}
    return figure.update_xaxes(**ends).update_yaxes(**ends).update_layout(showlegend=False)
