"""The mean map of missed studies beside that of found studies, and the single maps below."""

from dataclasses import dataclass
from html import escape
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import pandas as pd
import streamlit as st
from scipy.special import expit

from core.errors import OverreadError
from core.metrics.evaluation import outcome_table
from core.plural import count_text
from core.scores.source import Source
from core.scores.view import View
from dashboard.saliency import controls, figures
from dashboard.shared import loaders, maps, widgets
from dashboard.shared.selection import bone_name

# These methods make all maps in one pass.
FAST_METHODS = ("hires_cam", "grad_cam")
# Radiographs of each outcome: with a fast method, with any other, and those shown singly.
MOST_FAST, MOST_MAPS, MOST_SHOWN = 200, 24, 24


@dataclass(frozen=True)
class OutcomeMaps:
    """The maps of one outcome, float [s, s] each, with their pixels and their rows of PREDICTIONS, in one order."""

    maps: list
    pixels: list
    rows: pd.DataFrame


def draw_mean_maps(view: View, radiographs: pd.DataFrame) -> None:
    """Draw the mean maps of missed and of found studies of a bone, each map cropped to the body."""
    widgets.caption(
        "Evidence in missed and in found studies",
        f"mean map of {bone_name(view.bone).lower()}, cropped to the body, at threshold {view.threshold:.3f}",
    )
    method, look = controls.choose_method(), controls.choose_look()
    studies = outcome_table(loaders.studies(view), view.threshold).set_index("study_id")
    rows = radiographs[radiographs["study_id"].isin(studies.index)]
    outcomes = rows["study_id"].map(studies["outcome"])
    groups = {"Missed": rows[outcomes == "FN"], "Found": rows[outcomes == "TP"]}
    if not st.toggle(
        "Make the mean maps",
        key="means",
        bind="query-params",
        help=f"From up to {MOST_FAST} radiographs of each outcome with a CAM, {MOST_MAPS} with other methods.",
    ):
        counts = [f"{title}: {count_text(len(group), 'radiograph')}" for title, group in groups.items()]
        widgets.note(f"{', '.join(counts)}.")
        return
    from core.explain.cohort import mean_map, spread_out

    means, singles = [], {}
    for title, group in groups.items():
        sample = spread_out(group.sort_values("logit"), MOST_FAST if method in FAST_METHODS else MOST_MAPS)
        made = make_maps(view.source, sample, method, title)
        if not made.maps:
            why = "every map was refused" if len(group) else "no such study at this threshold"
            means.append(figures.figure_html(title, '<p class="refused">No map</p>', "n = 0", why))
            continue
        mean, radiograph = mean_map(list(zip(made.maps, made.pixels)))
        layers = figures.radiograph_html((255 * np.clip(radiograph, 0, 1)).astype(np.uint8))
        layers += figures.map_html(mean, look)
        count = f"n = {len(made.maps)} of {count_text(len(group), 'radiograph')}"
        means.append(figures.figure_html(title, layers, count, ""))
        singles[title] = single_maps(view, made, look)
    st.html(figures.grid_html(means, look))
    widgets.note(
        "Each map is cropped to the body's bounding box and scaled to its own peak before the mean. The bones are not "
        "registered: with few radiographs or different poses, a mean shows little."
    )
    for title, shown in singles.items():
        widgets.caption(
            f"{title}, single maps", f"{count_text(len(shown), 'map')}, spread over the scores, lowest first"
        )
        st.html(figures.grid_html(shown, look, "tiny"))


def make_maps(source: Source, rows: pd.DataFrame, method: str, title: str) -> OutcomeMaps:
    """The maps of radiographs that can be decoded and that the method does not refuse."""
    from core.explain.map_values import DEFAULT_SETTINGS

    spec, pixels, readable = source.model.input_spec, [], []
    for place, path in enumerate(rows["path"]):
        try:
            pixels.append(spec.pixels(f"{source.dataset.root}/{path}"))
            readable.append(place)
        except OverreadError:
            continue  # the Audit page lists it
    rows = rows.iloc[readable]
    if method in FAST_METHODS and pixels:
        return OutcomeMaps(list(maps.cam_maps(source.model, np.stack(pixels), method).astype(np.float32)), pixels, rows)
    bar, made, kept = st.empty(), [], []
    with bar:
        advance = widgets.progress("Making the maps")
    for place in range(len(rows)):
        advance(place / len(rows), f"{title}, {place} of {len(rows)}")
        try:
            made.append(maps.attribution(source.model, pixels[place], method, DEFAULT_SETTINGS).map)
            kept.append(place)
        except OverreadError:
            continue  # the level of one radiograph shows the reason
    bar.empty()
    return OutcomeMaps(made, [pixels[place] for place in kept], rows.iloc[kept])


def single_maps(view: View, made: OutcomeMaps, look: controls.Look) -> list[str]:
    """Small figures of some of the maps; a click opens a radiograph at its own level."""
    from core.explain.cohort import spread_out

    shown = []
    rows = made.rows.assign(place=range(len(made.rows)))
    for row in spread_out(rows, MOST_SHOWN).itertuples():
        layers = figures.radiograph_html(made.pixels[row.place]) + figures.map_html(made.maps[row.place], look)
        link = f"saliency?{urlencode(view.address(level='Radiograph', image=row.image_id))}"
        name = f'<a href="{escape(link)}" target="_self">{escape(Path(row.image_id).name)}</a>'
        shown.append(widgets.film(layers, f"{name}<span>{expit(row.logit):.3f}</span>"))
    return shown
