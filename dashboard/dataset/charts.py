"""Charts of a data set: labels by bone, views per study, image sizes, and the detail left at each input size."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from core.plural import count_text
from dashboard.shared import theme
from dashboard.shared.plain import chart_text

UNITS = {"radiograph": "radiographs", "study": "studies", "patient": "patients"}
_LABELS = ((0.0, *theme.LABELS[0.0]), (1.0, *theme.LABELS[1.0]), (None, *theme.UNKNOWN))


def label_balance(counts: pd.DataFrame, level: str, split: str, bones: list[str], largest: int) -> go.Figure:
    """Bars by bone and label, from `bone`, `label`, `n`; at the end of each its total and share of abnormal.

    bones: the rows, and largest: the longest bar of any split, so that the charts of all splits have one scale.
    """
    names = [chart_text(bone.capitalize()) for bone in bones][::-1]
    figure = theme.figure(
        split.capitalize(), _total_text(counts, level), UNITS[level].capitalize(), height=90 + 30 * len(names)
    )
    for label, name, colour in _LABELS:
        rows = _with_label(counts, label)
        if label is None and rows.empty:
            continue
        figure.add_bar(
            y=names,
            x=rows.set_index("bone")["n"].reindex(bones[::-1], fill_value=0).to_numpy(),
            orientation="h",
            name=f"{name} ({rows['n'].sum():,})",
            marker={"color": colour, "line": {"width": 0}},
            hovertemplate=f"%{{y}}: %{{x:,}} {name.lower()} {UNITS[level]}<extra></extra>",
            width=0.66,
        )
    totals = counts.groupby("bone")["n"].sum().reindex(bones[::-1], fill_value=0)
    figure.add_scatter(
        x=totals.to_numpy(),
        y=names,
        mode="text",
        text=[_bar_text(counts[counts["bone"] == bone]) for bone in totals.index],
        textposition="middle right",
        textfont={"color": theme.MUTED, "size": 12},
        cliponaxis=False,
        showlegend=False,
        hoverinfo="skip",
    )
    # A third more than the longest bar, for the text at its end.
    figure.update_xaxes(range=[0, 1.35 * max(largest, 1)], dtick=whole_step(largest), tickformat=",d")
    return figure.update_layout(barmode="stack")


def whole_step(largest: float, most: int = 4) -> int:
    """The distance of about `most` marks on an axis of counts, a whole number: 1, 2 or 5 times a power of ten."""
    least = max(largest / most, 1)
    power = 10 ** int(np.floor(np.log10(least)))
    return int(next(step * power for step in (1, 2, 5, 10) if step * power >= least))


def _with_label(counts: pd.DataFrame, label: float | None) -> pd.DataFrame:
    return counts[counts["label"].isna()] if label is None else counts[counts["label"] == label]


def _bar_text(counts: pd.DataFrame) -> str:
    """`  1,203, 38%`: the number of a bone, and the share of abnormal among the labelled."""
    total, labelled = int(counts["n"].sum()), counts[counts["label"].notna()]
    if labelled.empty:
        return f"  {total:,}"
    return f"  {total:,}, {(labelled['label'] @ labelled['n']) / labelled['n'].sum():.0%}"


def _total_text(counts: pd.DataFrame, level: str) -> str:
    labelled = counts[counts["label"].notna()]
    share = f", {(labelled['label'] @ labelled['n']) / labelled['n'].sum():.0%} of those with a label are abnormal"
    return f"{count_text(int(counts['n'].sum()), level)}{share if len(labelled) else ''}"


def views_per_study(views: pd.Series) -> go.Figure:
    """Studies by their number of radiographs."""
    total, radiographs = int(views.sum()), int((views * views.index).sum())
    figure = theme.figure(
        "Views per study",
        f"{count_text(total, 'study')}, {count_text(radiographs, 'radiograph')}",
        "Radiographs of a study",
        "Studies",
        280,
    )
    figure.add_bar(
        x=views.index.to_numpy(),
        width=0.7,
        y=views.to_numpy(),
        marker={"color": theme.MUTED, "line": {"width": 0}},
        hovertemplate="Studies with %{x} radiographs: %{y:,}<extra></extra>",
    )
    # A minimum width, since the single bar of a set with one radiograph per study would fill the chart.
    most = max(5, int(views.index.max()) if len(views) else 0)
    figure.update_xaxes(dtick=max(1, round(most / 12)), range=[0.4, most + 0.6])
    highest = int(views.max()) if len(views) else 0
    return figure.update_yaxes(tickformat=",d", dtick=whole_step(highest)).update_layout(showlegend=False)


def image_sizes(shown: pd.DataFrame, total: int) -> go.Figure:
    """Radiographs by width and height as a density, from `bone`, `width`, `height`, `n`: the brighter, the more.

    The logarithm of the count decides the brightness, since one size is often most of a set. total: the number of all
    radiographs, also those not shown.
    """
    drawn = int(shown["n"].sum())
    part = "" if drawn == total else f"; shown: the most common, {count_text(drawn, 'radiograph')}"
    sizes = len(shown.drop_duplicates(["width", "height"]))
    figure = theme.figure(
        "Image size",
        f"{count_text(total, 'radiograph')}, {count_text(sizes, 'size')}{part}",
        "Width (pixels)",
        "Height (pixels)",
        320,
    )
    edges = [_edges(shown[side]) for side in ("width", "height")]
    counts, _, _ = np.histogram2d(shown["height"], shown["width"], edges[::-1], weights=shown["n"])
    known = counts > 0
    figure.add_heatmap(
        x=(edges[0][:-1] + edges[0][1:]) / 2,
        y=(edges[1][:-1] + edges[1][1:]) / 2,
        z=np.where(known, np.log10(np.where(known, counts, 1)), np.nan),
        customdata=counts,
        colorscale=[[0, theme.faded(theme.NORMAL, 0.25)], [1, theme.NORMAL]],
        zmin=0,
        showscale=False,
        hovertemplate="about %{x:.0f} x %{y:.0f} px: %{customdata:,} radiographs<extra></extra>",
    )
    return figure.update_xaxes(range=[0, edges[0][-1]]).update_yaxes(range=[0, edges[1][-1]])


def _edges(sides: pd.Series, cells: int = 48) -> np.ndarray:
    """The edges of square cells from 0 to beyond the largest side."""
    step = max(1, int(np.ceil((int(sides.max()) + 1) / cells)))
    return np.arange(0, int(sides.max()) + 2 * step, step, dtype=float)


def detail_left(summary: pd.DataFrame) -> go.Figure:
    """The share of edges and of structure left at each input size, from `resize_loss_summary`: median and quartiles."""
    n = int(summary["n"].max())
    figure = theme.figure(
        "Detail left at each input size",
        f"{count_text(n, 'radiograph')}, medians and quartiles",
        "Side (pixels)",
        "Share left",
        300,
    )
    places = [str(size) for size in summary["size"]]
    for name, words, colour in (("edges", "edges", theme.THRESHOLD), ("ssim", "structure (SSIM)", theme.MUTED)):
        value, low, high = summary[name], summary[f"{name}_low"], summary[f"{name}_high"]
        figure.add_scatter(
            x=places,
            y=value,
            mode="lines+markers",
            name=words,
            line={"color": colour},
            error_y={
                "symmetric": False,
                "array": high - value,
                "arrayminus": value - low,
                "width": 0,
                "thickness": 1.5,
            },
            customdata=pd.DataFrame({"low": low, "high": high}),
            hovertemplate=f"%{{x}} px: %{{y:.0%}} of the {words} left (%{{customdata[0]:.0%}} to "
            "%{customdata[1]:.0%})<extra></extra>",
        )
    return figure.update_yaxes(range=[0, 1.04], tickformat=".0%").update_xaxes(type="category")
