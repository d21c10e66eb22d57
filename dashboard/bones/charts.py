"""One row per slice: the estimate as a dot, its interval as a whisker, the pooled value as a line."""

import pandas as pd
import plotly.graph_objects as go

from core.metrics.rates import RATES
from core.plural import count_text
from dashboard.shared import theme
from dashboard.shared.plain import chart_text

_FORMATS = {"percent": ".1%", "ratio": ".3f", "number": ".1f"}
_COLOURS = {"sensitivity": theme.ABNORMAL, "specificity": theme.NORMAL}


def dot_and_whisker(groups: pd.DataFrame, pooled: dict, measure: str) -> go.Figure:
    """`measure` (auroc or a rate) of each row of subgroups.slice_table; `name` labels it."""
    rows, colour = groups.iloc[::-1], _COLOURS.get(measure, theme.TEXT)
    title, form = ("AUROC", ".3f") if measure == "auroc" else (RATES[measure].title, _FORMATS[RATES[measure].format])
    figure = theme.figure(
        title, f"{count_text(int(groups['n'].sum()), 'study')}, 95% intervals", title, height=80 + 30 * len(rows)
    )
    names = [chart_text(f"{name} ({n:,})") for name, n in zip(rows["name"], rows["n"])]
    value, low, high = rows[measure], rows[f"{measure}_low"], rows[f"{measure}_high"]
    if pd.notna(pooled.get(measure)):
        figure.add_shape(
            type="line",
            x0=pooled[measure],
            x1=pooled[measure],
            yref="paper",
            y0=0,
            y1=1,
            line={"color": theme.MUTED, "dash": "dot"},
        )
    figure.add_scatter(
        x=value,
        y=names,
        mode="markers",
        name=title,
        marker={"color": colour, "size": 9},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": high - value,
            "arrayminus": value - low,
            "color": colour,
            "thickness": 1.5,
            "width": 0,
        },
        customdata=pd.DataFrame({"low": low, "high": high, "n": rows["n"]}),
        hovertemplate=f"%{{y}}: %{{x:{form}}} (%{{customdata[0]:{form}}} to %{{customdata[1]:{form}}})<extra></extra>",
    )
    figure.update_yaxes(categoryorder="array", categoryarray=names)
    lowest = min([0.5, *low.dropna(), *value.dropna()])
    return figure.update_xaxes(
        range=[max(-0.02, lowest - 0.05), 1.02], tickformat=".0%" if measure != "auroc" else ".1f"
    ).update_layout(showlegend=False)
