"""Training curves: one figure for each measure, one line for each run."""

import pandas as pd
import plotly.graph_objects as go

from core.plural import count_text
from dashboard.shared import theme
from dashboard.shared.plain import chart_text

MEASURES = {
    "tune_auroc": ("Study AUROC on the held-out fold", "AUROC"),
    "loss": ("Loss", "Cross-entropy (nats)"),
    "learning_rate": ("Learning rate", "Learning rate"),
    "rates": ("Rates at threshold 0.5", "Share of studies"),
    "seconds": ("Time", "Seconds per epoch"),
}
_COLUMNS = {
    "loss": {"train_loss": "training", "tune_loss": "held out"},
    "rates": {"tune_accuracy": "accuracy", "tune_precision": "precision", "tune_recall": "recall"},
}
_COLOURS = {"tune_accuracy": theme.TEXT, "tune_precision": theme.NORMAL, "tune_recall": theme.ABNORMAL}
_DASHES = ("solid", "dash", "dot", "dashdot")


def is_recorded(histories: dict[str, pd.DataFrame], measure: str) -> bool:
    """Whether the history of any run has this measure."""
    return any(set(_COLUMNS.get(measure, {measure: ""})) & set(rows) for rows in histories.values())


def curve(histories: dict[str, pd.DataFrame], measure: str, best: dict[str, int]) -> go.Figure:
    """`measure` of each run by epoch, with a circle at the epoch whose weights were kept. best: that epoch, by run."""
    title, unit = MEASURES[measure]
    longest = max(map(len, histories.values()), default=0)
    runs = count_text(len(histories), "run") if len(histories) > 1 else count_text(longest, "epoch")
    figure = theme.figure(title, runs, "Epoch", unit, 280)
    for place, (name, history) in enumerate(histories.items()):
        for column, part in _COLUMNS.get(measure, {measure: ""}).items():
            if column in history:
                label = chart_text(", ".join(filter(None, (name if len(histories) > 1 else "", part))))
                _line(figure, label, history, column, place, best.get(name))
    return figure.update_xaxes(dtick=-(-max(longest, 1) // 8), tickformat="d").update_layout(
        showlegend=_lines(figure) > 1
    )


def _lines(figure: go.Figure) -> int:
    return sum(trace.showlegend is not False for trace in figure.data)


def _line(figure: go.Figure, label: str, history: pd.DataFrame, column: str, place: int, kept: int | None) -> None:
    colour = _COLOURS.get(column) or (theme.TEXT, theme.THRESHOLD, theme.NORMAL, theme.ALARM)[place % 4]
    training = column == "train_loss"
    figure.add_scatter(
        x=history["epoch"],
        y=history[column],
        mode="lines",
        name=label,
        line={
            "color": theme.MUTED if training else colour,
            "dash": _DASHES[place % 4],
            "width": 1.5 if training else 2.2,
        },
        hovertemplate=f"{label or column}<br>epoch %{{x}}: %{{y:.4g}}<extra></extra>",
    )
    if {f"{column}_low", f"{column}_high"} <= set(history):
        low, high = history[f"{column}_low"], history[f"{column}_high"]
        figure.add_scatter(
            x=[*history["epoch"], *history["epoch"][::-1]],
            y=[*high, *low[::-1]],
            fill="toself",
            mode="lines",
            line={"width": 0},
            fillcolor=theme.faded(colour, 0.12),
            hoverinfo="skip",
            showlegend=False,
        )
    here = history[history["epoch"] == kept]
    if len(here) and not training:
        figure.add_scatter(
            x=here["epoch"],
            y=here[column],
            mode="markers",
            showlegend=False,
            hoverinfo="skip",
            marker={"color": colour, "size": 9, "symbol": "circle-open", "line": {"width": 2}},
        )
