"""Where the network looks when it misses: the mean map of missed studies beside that of found ones, and each map."""

from html import escape
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import pandas as pd
import streamlit as st
from scipy.special import expit

from core.errors import OverreadError
from core.metrics.evaluation import outcome_table
from core.scores.source import Source
from core.scores.view import View
from dashboard.saliency import look as saliency_look
from dashboard.shared import loaders, widgets
from dashboard.shared import maps as saliency
from dashboard.shared.selection import bone_name

AT_ONCE = ("hires_cam", "grad_cam")
# Of each side: by those, which take one pass for all, and by any other method; and how many are shown one by one.
MOST_AT_ONCE, MOST_MAPS, SHOWN = 200, 24, 24


def show(view: View, views: pd.DataFrame) -> None:
    """Mean maps of missed against found studies of a bone, in the body's frame."""
    widgets.caption(
        "Where it looks when it misses",
        f"mean map of {bone_name(view.bone).lower()} in the frame of the body, at threshold {view.threshold:.3f}",
    )
    (name,) = saliency_look.choose_methods(most=1)
    look = saliency_look.choose_look()
    studies = outcome_table(loaders.studies(view), view.threshold).set_index("study_id")
    rows = views[views["study_id"].isin(studies.index)]
    rows = rows.assign(outcome=rows["study_id"].map(studies["outcome"]))
    hashes = loaders.index(view.dataset).set_index("image_id")["sha1"]
    sides = {"Missed": rows[rows["outcome"] == "FN"], "Found": rows[rows["outcome"] == "TP"]}
    if not st.toggle(
        "Make the mean maps",
        key="means",
        bind="query-params",
        help=f"Up to {MOST_AT_ONCE} radiographs a side by a CAM, {MOST_MAPS} otherwise.",
    ):
        widgets.note(", ".join(f"{title}: {len(side)} radiographs" for title, side in sides.items()) + ".")
        return
    from core.explain.cohort import mean_map

    figures, cards = [], []
    for title, side in sides.items():
        most = MOST_AT_ONCE if name in AT_ONCE else MOST_MAPS
        rows = spread_out(side.sort_values("logit"), most)
        maps, pixels, kept = side_maps(view.source, rows.assign(sha1=rows["image_id"].map(hashes)), name, title)
        if not len(maps):
            why = "none of them gives a map" if len(side) else "no such study at this threshold"
            figures.append(saliency_look.film(title, '<p class="refused">No map</p>', "n = 0", why))
            continue
        mean, film = mean_map(list(zip(maps, pixels)))
        figures.append(mean_film(title, mean, film, len(maps), len(side), look))
        listed = spread_out(pd.Series(range(len(maps))), SHOWN)
        kept = list(kept.itertuples())
        cards.append((title, [card(maps[one], pixels[one], kept[one], look, view) for one in listed]))
    st.html(saliency_look.block(figures, look))
    widgets.note(
        "Each map is cut to the body's bounding box and scaled to its own peak before the mean. That is a frame and no "
        "registration: with few radiographs, or many poses, a mean shows little."
    )
    for title, shown in cards:
        widgets.caption(f"{title}, one by one", f"{len(shown)} maps, spread over the scores, the lowest first")
        st.html(saliency_look.block(shown, look, "tiny"))


def spread_out(rows, most: int):
    """Up to so many of sorted rows, evenly over all of them: the first few would all be alike."""
    places = np.unique(np.linspace(0, len(rows) - 1, min(most, len(rows))).round().astype(int)) if len(rows) else []
    return rows.iloc[places]


def side_maps(source: Source, rows: pd.DataFrame, name: str, title: str):
    """(maps, pixels, rows) of those that can be read and explained."""
    checkpoint, spec = source.model, source.model.input_spec
    pixels, places = [], []
    for place, path in enumerate(rows["path"]):
        try:
            pixels.append(spec.pixels(f"{source.dataset.root}/{path}"))
            places.append(place)
        except OverreadError:
            continue  # named on the audit page
    rows = rows.iloc[places]
    if not places:
        return [], [], rows
    if name in AT_ONCE:
        # All of them for little more than scoring them.
        made = saliency.cam_maps(checkpoint, np.stack(pixels), name)
        return list(made.astype(np.float32)), pixels, rows
    bar = st.empty()
    with bar:
        tell = widgets.progress("Making the maps")
    maps, kept = [], []
    for place in range(len(rows)):
        tell(place / len(rows), f"{title}, {place} of {len(rows)}")
        try:
            maps.append(saliency.attribution(checkpoint, pixels[place], name, "", "black").map)
            kept.append(place)
        except OverreadError:
            continue  # refused: the radiograph's own page says why
    bar.empty()
    return maps, [pixels[place] for place in kept], rows.iloc[kept]


def card(found: np.ndarray, pixels: np.ndarray, row, look, view: View) -> str:
    """One radiograph under its map, small; a click opens it at its own level."""
    inside = saliency_look.picture(pixels) + saliency_look.over(as_map(found), look)
    link = f"saliency?{urlencode(view.address(level='Radiograph', image=row.image_id))}"
    words = f'<a href="{escape(link)}" target="_self">{escape(Path(row.image_id).name)}</a>'
    return widgets.film(inside, f"{words}<span>{expit(row.logit):.3f}</span>")


def as_map(found: np.ndarray):
    """A map without its story, to be drawn."""
    from core.explain.attribution import Attribution

    return Attribution("mean", np.asarray(found, np.float32), 0.0, "", "")


def mean_film(title: str, mean: np.ndarray, film: np.ndarray, count: int, there: int, look) -> str:
    """One mean map over the mean radiograph."""
    grey = (255 * np.clip(film, 0, 1)).astype(np.uint8)
    inside = saliency_look.picture(grey) + saliency_look.over(as_map(mean), look)
    return saliency_look.film(title, inside, f"n = {count} of {there} radiographs", "")
