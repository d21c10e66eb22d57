"""Charts of a data set: labels by bone, views per study, image sizes, and the detail left at each input size."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from core.plural import count_text
from core.schema import bone_order
from dashboard.shared import theme

UNITS = {"radiograph": "radiographs", "study": "studies", "patient": "patients"}
# The number of radiographs of the largest mark, unless a size has more.
FULL_MARK = 100
_LABELS = ((0.0, *theme.LABELS[0.0]), (1.0, *theme.LABELS[1.0]), (None, *theme.UNKNOWN))


def label_balance(counts: pd.DataFrame, level: str, split: str, bones: list[str]) -> go.Figure:
    """Bars by bone and label, from `bone`, `label`, `n`. bones: the rows, the same in the charts of all splits."""
    names = [bone.capitalize() for bone in bones][::-1]
    labelled = counts[counts["label"].notna()]
    share = f", {(labelled['label'] @ labelled['n']) / labelled['n'].sum():.0%} of the labelled abnormal"
    figure = theme.figure(
        split.capitalize(),
        f"{count_text(int(counts['n'].sum()), level)}{share if len(labelled) else ''}",
        UNITS[level].capitalize(),
        height=90 + 30 * len(names),
    )
    for label, name, colour in _LABELS:
        rows = counts[counts["label"].isna()] if label is None else counts[counts["label"] == label]
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
    return figure.update_layout(barmode="stack")


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
    return figure.update_yaxes(tickformat=",").update_layout(showlegend=False)


def image_sizes(shown: pd.DataFrame, total: int) -> go.Figure:
    """Width and height in pixels, from `bone`, `width`, `height`, `n`: one mark for each size of a bone.

    The area of a mark grows with its number of radiographs. total: the number of all radiographs, also those not shown.
    """
    drawn = int(shown["n"].sum())
    part = "" if drawn == total else f"; shown: the most common, {count_text(drawn, 'radiograph')}"
    words = f"{count_text(total, 'radiograph')}, {count_text(len(shown), 'size')} by bone{part}"
    figure = theme.figure("Image size", words, "Width (pixels)", "Height (pixels)", 320)
    # At least FULL_MARK, so that marks stay small where every size is rare.
    largest = max(shown["n"].max(), FULL_MARK)
    styles = theme.bone_style(shown["bone"])
    for bone in bone_order(shown["bone"]):
        rows, (colour, symbol) = shown[shown["bone"] == bone], styles[bone]
        across = 5 + 19 * np.sqrt(rows["n"] / largest)
        figure.add_scatter(
            x=rows["width"],
            y=rows["height"],
            mode="markers",
            name=bone.capitalize(),
            marker={"color": colour, "symbol": symbol, "opacity": 0.6, "size": across, "line": {"width": 0}},
            customdata=rows["n"],
            hovertemplate=f"{bone}: %{{x}} x %{{y}} px, %{{customdata:,}} radiographs<extra></extra>",
        )
    return figure.update_layout(legend={"itemsizing": "constant"})


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
