"""Charts of the service's traffic: studies and alerts a day, and whether alerts became more or fewer."""

import math

import pandas as pd
import plotly.graph_objects as go

from core.plural import count_text
from core.serving.monitor import LIMIT
from dashboard.shared import theme


def studies_a_day(table: pd.DataFrame) -> go.Figure:
    """Bars of studies, and of those that could not be read. table: `daily_table`."""
    total = int(table["studies"].sum())
    count = f"{count_text(total, 'study')} in {count_text(len(table), 'day')}"
    figure = theme.figure("Studies a day", count, "", "Studies", 240)
    figure.add_bar(x=table["day"], y=table["studies"] - table["unusable"], name="scored", marker_color=theme.NORMAL)
    figure.add_bar(x=table["day"], y=table["unusable"], name="no radiograph could be used", marker_color=theme.MISSED)
    return _by_day(figure, table["day"]).update_layout(barmode="stack", showlegend=bool(table["unusable"].sum()))


def alert_rate(table: pd.DataFrame, expected: float) -> go.Figure:
    """The share of alerts per day with Wilson's interval, and the expected share."""
    rows = table[table["decided"] > 0]
    count = f"{int(rows['alerts'].sum()):,} of {count_text(int(rows['decided'].sum()), 'decision')}, 95% intervals"
    figure = theme.figure("Share of alerts a day", count, "", "Called abnormal or referred", 240)
    bars = {"array": rows["high"] - rows["rate"], "arrayminus": rows["rate"] - rows["low"], "symmetric": False}
    figure.add_scatter(
        x=rows["day"],
        y=rows["rate"],
        mode="markers",
        marker={"color": theme.TEXT, "size": 8},
        error_y={"type": "data", "color": theme.TEXT, "thickness": 1.5, "width": 0, **bars},
        customdata=rows[["alerts", "decided"]],
        hovertemplate="%{x|%d %b}: %{y:.1%}, %{customdata[0]:.0f} of %{customdata[1]:.0f}<extra></extra>",
    )
    if not math.isnan(expected):
        figure.add_hline(y=expected, line={"color": theme.THRESHOLD, "dash": "dot"})
    figure.update_yaxes(tickformat=".0%", rangemode="tozero")
    return _by_day(figure, table["day"]).update_layout(showlegend=False)


def _by_day(figure: go.Figure, days: pd.Series) -> go.Figure:
    """An axis of whole days with about eight marks."""
    first, last, half = days.min(), days.max(), pd.Timedelta(hours=14)
    step = 86_400_000 * math.ceil(((last - first).days + 1) / 8)
    return figure.update_xaxes(tickformat="%d %b", dtick=step, tick0=first, range=[first - half, last + half])


def cusum_chart(times: pd.Series, paths: pd.DataFrame) -> go.Figure:
    """Both CUSUMs over the decisions; above the limit they alarm."""
    count = f"{count_text(len(times), 'decision')}; a line above {LIMIT:g} is an alarm"
    figure = theme.figure("Do alerts become more or fewer?", count, "", "Evidence of a change (CUSUM)", 240)
    figure.add_scatter(
        x=times, y=paths["upper"], name="more alerts than expected", line={"color": theme.ABNORMAL, "width": 1.5}
    )
    figure.add_scatter(
        x=times, y=paths["lower"], name="fewer alerts than expected", line={"color": theme.NORMAL, "width": 1.5}
    )
    return figure.add_hline(y=LIMIT, line={"color": theme.MISSED, "dash": "dot"})
