"""What a threshold does: the four outcomes as squares, and what it misses in each bone."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from dashboard import theme

# (outcome, column, row): the label decides the row, the call the column.
_PLACES = (("TP", 1, 1), ("FN", 0, 1), ("FP", 1, 0), ("TN", 0, 0))


def confusion(counts: dict[str, int]) -> go.Figure:
    """tp, fp, tn, fn as squares whose area is the count, drawn as a scatter so each can be pointed at."""
    total = sum(counts.values())
    figure = theme.figure("Confusion", f"{total:,} studies, area by count", height=320)
    most = max([*counts.values(), 1])
    for outcome, column, row in _PLACES:
        _, name, colour = theme.OUTCOMES[outcome]
        count = counts[outcome.lower()]
        side = 0.46 * np.sqrt(count / most)
        figure.add_scatter(
            x=[column - side, column + side, column + side, column - side, column - side],
            y=[row - side, row - side, row + side, row + side, row - side],
            fill="toself",
            mode="lines",
            line={"width": 1.5, "color": colour},
            fillcolor=theme.faded(colour, 0.28),
            hoverinfo="skip",
        )
        figure.add_scatter(
            # Words that a square cannot hold stand beneath it.
            x=[column],
            y=[row if side > 0.2 else row - side - 0.05],
            textposition="middle center" if side > 0.2 else "bottom center",
            mode="text",
            text=[f"<b>{count:,}</b><br>{name}"],
            textfont={"size": 14, "color": theme.TEXT},
            cliponaxis=False,
            name=outcome,
            hovertemplate=f"{name} ({outcome}): {count:,} of {total:,} studies<extra></extra>",
        )
    figure.update_xaxes(
        tickvals=[0, 1], ticktext=["Called normal", "Called abnormal"], range=[-0.55, 1.55], showgrid=False, side="top"
    )
    figure.update_yaxes(
        tickvals=[0, 1],
        ticktext=["Normal", "Abnormal"],
        range=[-0.72, 1.5],
        showgrid=False,
        scaleanchor="x",
        constrain="domain",
    )
    return figure.update_layout(showlegend=False)


def missed_per_bone(groups: pd.DataFrame) -> go.Figure:
    """From evaluation.group_table: missed of abnormal studies in each bone, the bar against its frame."""
    rows = groups.iloc[::-1]
    missed, abnormal = int(groups["fn"].sum()), int(groups["n_abnormal"].sum())
    figure = theme.figure(
        "Missed studies", f"{missed:,} of {abnormal:,} abnormal", "Abnormal studies", height=70 + 30 * len(rows)
    )
    names = [bone.capitalize() for bone in rows["bone"]]
    figure.add_bar(
        y=names, x=rows["n_abnormal"], orientation="h", marker={"color": theme.LINE}, hoverinfo="skip", width=0.62
    )
    figure.add_bar(
        y=names,
        x=rows["fn"],
        orientation="h",
        marker={"color": theme.MISSED},
        width=0.62,
        name="missed",
        customdata=rows[["n_abnormal"]],
        hovertemplate="%{y}: %{x} of %{customdata[0]} abnormal studies missed<extra></extra>",
    )
    figure.add_scatter(
        y=names,
        x=rows["n_abnormal"],
        mode="text",
        textposition="middle right",
        hoverinfo="skip",
        cliponaxis=False,
        text=[f" {missed}/{total}" if total else " none" for missed, total in zip(rows["fn"], rows["n_abnormal"])],
        textfont={"color": theme.MUTED},
    )
    figure.update_xaxes(range=[0, max(1, rows["n_abnormal"].max()) * 1.22], showgrid=False)
    return figure.update_layout(barmode="overlay", showlegend=False)
