"""Insertion and deletion curves of maps, beside those of references that ignore the model."""

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dashboard.shared import theme
from dashboard.shared.plain import chart_text

_REFERENCES = {
    "edges": ("edge detector", "dash"),
    "centre": ("spot in the centre", "dot"),
    "random": ("random", "dashdot"),
}
_COLOURS = (theme.THRESHOLD, theme.NORMAL, theme.ALARM, theme.ABNORMAL, theme.MISSED, theme.TEXT)


def insertion_deletion_curves(curves: dict[str, dict]) -> go.Figure:
    """One panel each for insertion and deletion. curves: by title of a method, `TrustReport.curves`."""
    figure = make_subplots(1, 2, subplot_titles=("Insertion", "Deletion"), shared_yaxes=True, horizontal_spacing=0.06)
    if not curves:
        return figure
    for column, way in enumerate(("insertion", "deletion"), 1):
        # The references are the same for all maps, so they are drawn once.
        for name, (title, dash) in _REFERENCES.items():
            _line(figure, next(iter(curves.values()))[name][way], title, theme.MUTED, dash, column)
        for place, (title, one) in enumerate(curves.items()):
            _line(figure, one["map"][way], title, _COLOURS[place % len(_COLOURS)], "solid", column)
    figure.update_layout(template=theme.TEMPLATE, height=400, title={"text": "Which squares move the score first"})
    # Below, since above it would cover the titles of the panels where it needs two lines.
    figure.update_layout(
        legend={"orientation": "h", "x": 0, "xanchor": "left", "y": -0.24, "yanchor": "top"}, margin={"t": 36}
    )
    # No tick at either end, where the labels of the two panels would overlap on a phone.
    figure.update_xaxes(title_text="Squares changed", tickformat=".0%", range=[0, 1], tickvals=[0.25, 0.5, 0.75])
    figure.update_yaxes(range=[-0.02, 1.02], tickvals=[0, 0.25, 0.5, 0.75, 1])
    return figure.update_yaxes(title_text="Score", col=1)


def _line(figure: go.Figure, scores: list[float], title: str, colour: str, dash: str, column: int) -> None:
    title = chart_text(title)
    share = [place / (len(scores) - 1) for place in range(len(scores))]
    figure.add_scatter(
        x=share,
        y=scores,
        mode="lines",
        name=title,
        legendgroup=title,
        showlegend=column == 1,
        line={"color": colour, "dash": dash, "width": 1.5 if dash != "solid" else 2.5},
        hovertemplate=f"{title}: %{{x:.0%}} changed, score %{{y:.3f}}<extra></extra>",
        row=1,
        col=column,
    )
