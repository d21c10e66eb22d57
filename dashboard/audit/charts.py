"""How well the label is guessed without the anatomy: AUROC by group of measures, with its interval."""

import plotly.graph_objects as go

from dashboard.shared import theme


def shortcut(whole: dict, parts: dict[str, dict]) -> go.Figure:
    """Dots with whiskers: all measures, then the groups from the best guess down; what cannot be told is left out."""
    known = {name: found for name, found in parts.items() if found["value"] is not None}
    names = ["all together", *sorted(known, key=lambda name: -known[name]["value"])]
    found = [whole, *(known[name] for name in names[1:])]
    names, found = names[::-1], found[::-1]
    figure = theme.figure(
        "AUROC of the label from measures alone",
        f"{whole['n']:,} studies, 95% intervals",
        "AUROC",
        height=80 + 30 * len(names),
    )
    figure.add_shape(type="line", x0=0.5, x1=0.5, yref="paper", y0=0, y1=1, line={"color": theme.MUTED, "dash": "dot"})
    value = [entry["value"] for entry in found]
    figure.add_scatter(
        x=value,
        y=names,
        mode="markers",
        marker={"color": theme.ALARM, "size": 9},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [entry["high"] - entry["value"] for entry in found],
            "arrayminus": [entry["value"] - entry["low"] for entry in found],
            "color": theme.ALARM,
            "thickness": 1.5,
            "width": 0,
        },
        customdata=[[entry["low"], entry["high"]] for entry in found],
        hovertemplate="%{y}: %{x:.3f} (%{customdata[0]:.3f} to %{customdata[1]:.3f})<extra></extra>",
    )
    return figure.update_xaxes(range=[0.35, 1.02], tickformat=".1f").update_layout(showlegend=False)
