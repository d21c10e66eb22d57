"""How the scores lie, by label, with the threshold through them."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from dashboard import theme

BINS = 40


def histogram(studies: pd.DataFrame, threshold: float) -> go.Figure:
    """Studies per score: abnormal upwards, normal downwards, so neither hides the other."""
    known = studies[studies["label"].notna()]
    figure = theme.figure("Scores", f"{len(known):,} studies", "Score (mean probability of abnormal)", "Studies", 260)
    edges = np.linspace(0, 1, BINS + 1)
    middle = (edges[:-1] + edges[1:]) / 2
    tallest = 1
    for label, sign in ((1.0, 1), (0.0, -1)):
        name, colour = theme.LABELS[label]
        counts = np.histogram(known.loc[known["label"] == label, "score"], edges)[0]
        tallest = max(tallest, counts.max())
        figure.add_bar(
            x=middle,
            y=sign * counts,
            width=1 / BINS,
            name=f"{name} (n = {counts.sum():,})",
            marker={"color": colour, "line": {"width": 0}},
            customdata=np.column_stack([counts, edges[:-1], edges[1:]]),
            hovertemplate=name
            + ": %{customdata[0]} studies<br>score %{customdata[1]:.3f} to %{customdata[2]:.3f}<extra></extra>",
        )
    figure.add_shape(
        type="line", x0=threshold, x1=threshold, yref="paper", y0=0, y1=1, line={"color": theme.THRESHOLD, "width": 2}
    )
    ticks = [tick for tick in _ticks(tallest) for tick in (-tick, tick)]
    figure.update_yaxes(
        tickvals=[0, *ticks],
        ticktext=["0", *[f"{abs(tick):,}" for tick in ticks]],
        zeroline=True,
        zerolinecolor=theme.MUTED,
    )
    return figure.update_xaxes(range=[0, 1]).update_layout(barmode="overlay", bargap=0.08)


def _ticks(tallest: int) -> list[int]:
    step = next(step for step in _steps() if tallest / step <= 3.5)
    return [step * place for place in range(1, int(tallest / step) + 1)]


def _steps():
    size = 1
    while True:
        yield from (size, 2 * size, 5 * size)
        size *= 10
