"""The AUROC of the label predicted without the anatomy, by group of measures, with intervals."""

import plotly.graph_objects as go

from core.plural import count_text
from dashboard.shared import theme
from dashboard.shared.plain import chart_text


def shortcut_areas(whole: dict, parts: dict[str, dict]) -> go.Figure:
    """Dots with whiskers: all measures, then the groups by descending AUROC, without those that have none."""
    known = {name: area for name, area in parts.items() if area["value"] is not None}
    ordered = sorted(known, key=lambda name: known[name]["value"])
    names, areas = [*map(chart_text, ordered), "all together"], [*(known[name] for name in ordered), whole]
    figure = theme.figure(
        "AUROC of the label from measures alone",
        f"{count_text(whole['n'], 'study')}, 95% intervals",
        "AUROC",
        height=80 + 30 * len(names),
    )
    figure.add_shape(type="line", x0=0.5, x1=0.5, yref="paper", y0=0, y1=1, line={"color": theme.MUTED, "dash": "dot"})
    figure.add_scatter(
        x=[area["value"] for area in areas],
        y=names,
        mode="markers",
        marker={"color": theme.ALARM, "size": 9},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [area["high"] - area["value"] for area in areas],
            "arrayminus": [area["value"] - area["low"] for area in areas],
            "color": theme.ALARM,
            "thickness": 1.5,
            "width": 0,
        },
        customdata=[[area["low"], area["high"]] for area in areas],
        hovertemplate="%{y}: %{x:.3f} (%{customdata[0]:.3f} to %{customdata[1]:.3f})<extra></extra>",
    )
    return figure.update_xaxes(range=[0.35, 1.02], tickformat=".1f").update_layout(showlegend=False)
