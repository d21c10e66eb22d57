"""What a data set holds: counts per bone and label, views per study, image sizes."""

import pandas as pd
import plotly.graph_objects as go

from core.schema import bone_order
from dashboard import theme

UNITS = {"radiograph": "radiographs", "study": "studies", "patient": "patients"}
_LABELS = ((0.0, *theme.LABELS[0.0]), (1.0, *theme.LABELS[1.0]), (None, *theme.UNKNOWN))


def balance(units: pd.DataFrame, level: str, split: str, bones: list[str]) -> go.Figure:
    """Bars per bone by label, from one row a unit (bone, label); `bones` keeps the rows of all charts aligned."""
    names = [bone.capitalize() for bone in bones][::-1]
    abnormal = units["label"].mean()
    share = f", {abnormal:.0%} of labelled abnormal" if pd.notna(abnormal) else ""
    figure = theme.figure(
        split.capitalize(),
        f"{len(units):,} {UNITS[level]}{share}",
        UNITS[level].capitalize(),
        height=90 + 30 * len(names),
    )
    for label, name, colour in _LABELS:
        rows = units[units["label"].isna()] if label is None else units[units["label"] == label]
        if label is None and rows.empty:
            continue
        counts = rows["bone"].value_counts().reindex(bones[::-1], fill_value=0)
        figure.add_bar(
            y=names,
            x=counts.to_numpy(),
            orientation="h",
            name=f"{name} ({len(rows):,})",
            marker={"color": colour, "line": {"width": 0}},
            hovertemplate=f"%{{y}}: %{{x:,}} {name.lower()} {UNITS[level]}<extra></extra>",
            width=0.66,
        )
    return figure.update_layout(barmode="stack")


def views_per_study(index: pd.DataFrame) -> go.Figure:
    """How many radiographs a study has."""
    views = index.groupby("study_id").size().value_counts().sort_index()
    total = int(views.sum())
    figure = theme.figure(
        "Views per study", f"{total:,} studies, {len(index):,} radiographs", "Radiographs in the study", "Studies", 280
    )
    figure.add_bar(
        x=views.index.to_numpy(),
        width=0.7,
        y=views.to_numpy(),
        marker={"color": theme.MUTED, "line": {"width": 0}},
        hovertemplate="%{y:,} studies of %{x} radiographs<extra></extra>",
    )
    return figure.update_xaxes(dtick=max(1, round(len(views) / 12))).update_layout(showlegend=False)


def sizes(index: pd.DataFrame, most: int = 2000) -> go.Figure:
    """Width against height in pixels, one mark a radiograph, thinned to `most` at regular steps."""
    shown = index.iloc[:: max(1, -(-len(index) // most))]
    figure = theme.figure(
        "Image size", f"{len(index):,} radiographs, {len(shown):,} drawn", "Width (pixels)", "Height (pixels)", 320
    )
    styles = theme.bone_style(index["bone"])
    for bone in bone_order(index["bone"]):
        rows, (colour, symbol) = shown[shown["bone"] == bone], styles[bone]
        figure.add_scatter(
            x=rows["width"],
            y=rows["height"],
            mode="markers",
            name=bone.capitalize(),
            marker={"color": colour, "symbol": symbol, "size": 6, "opacity": 0.75},
            hovertemplate=f"{bone}: %{{x}} x %{{y}} px<extra></extra>",
        )
    return figure.update_layout(legend={"itemsizing": "constant"})


def units_at(index: pd.DataFrame, level: str) -> pd.DataFrame:
    """One row a radiograph, study or patient: bone, label, split.

    A patient is counted once in each bone, as abnormal if any study is.
    """
    if level == "radiograph":
        return index[["bone", "label", "split"]]
    if level == "study":
        grouped = index.groupby(["study_id", "bone", "split"])["label"]
        label = grouped.first().where(grouped.nunique() <= 1)  # a study whose radiographs disagree has no label
        return label.reset_index()[["bone", "label", "split"]]
    return index.groupby(["group_id", "bone", "split"])["label"].max().reset_index()[["bone", "label", "split"]]
