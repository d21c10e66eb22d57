"""The mean map of missed studies beside that of found studies, and the single maps below."""

import math
from dataclasses import dataclass
from html import escape
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import pandas as pd
import streamlit as st
from scipy.special import expit

from core.among import among
from core.errors import OverreadError
from core.explain.map_record import UNCHECKED, MapRecord, MapTask
from core.explain.map_values import Attribution
from core.explain.trust_report import HOLDS_UP
from core.metrics.evaluation import outcome_table
from core.plural import count_text
from core.scores.source import Source
from core.scores.view import View
from core.workflows.trust import radiograph_task
from dashboard.saliency import controls, figures
from dashboard.shared import address, loaders, maps, widgets
from dashboard.shared.selection import bone_name

# These methods make all maps in one pass.
FAST_METHODS = ("hires_cam", "grad_cam")
# Radiographs of each outcome: with a fast method, with any other, and those shown singly.
MOST_FAST, MOST_MAPS, MOST_SHOWN = 200, 24, 24


@dataclass(frozen=True)
class OutcomeMaps:
    """The records of one outcome, with their pixels and their rows of PREDICTIONS, in one order."""

    records: list
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
    rows = radiographs[among(radiographs["study_id"], studies.index)]
    outcomes = rows["study_id"].map(studies["outcome"])
    groups = {"Missed": rows[outcomes == "FN"], "Found": rows[outcomes == "TP"]}
    if not address.bound(
        st.toggle,
        "Make the mean maps",
        key="means",
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
        if not made.records:
            why = "every map was refused" if len(group) else "no such study at this threshold"
            means.append(figures.figure_html(title, '<p class="refused">No map</p>', "n = 0", why))
            continue
        mean, radiograph = mean_map([(one.attribution.map, film) for one, film in zip(made.records, made.pixels)])
        layers = figures.radiograph_html((255 * np.clip(radiograph, 0, 1)).astype(np.uint8))
        layers += figures.mean_html(mean, look)
        count = f"n = {len(made.records)} of {count_text(len(group), 'radiograph')}"
        means.append(figures.figure_html(title, layers, count, verdicts_text(made.records)))
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


def verdicts_text(records: list[MapRecord]) -> str:
    """How many maps of a mean hold up, of those that were checked."""
    verdicts = [record.verdict for record in records]
    checked = len(verdicts) - verdicts.count(UNCHECKED)
    if not checked:
        return "none of these maps is checked yet"
    return f"{verdicts.count(HOLDS_UP)} of {count_text(checked, 'checked map')} hold up"


def make_maps(source: Source, rows: pd.DataFrame, method: str, title: str) -> OutcomeMaps:
    """The maps of radiographs that can be decoded and that the method does not refuse. Kept records have verdicts."""
    spec, index = source.checkpoint.input_spec, loaders.index(source.dataset).set_index("image_id")["sha1"]
    files = [
        (str(Path(source.dataset.root) / path), index[image]) for path, image in zip(rows["path"], rows["image_id"])
    ]
    pixels, readable = [], []
    for place, (path, _) in enumerate(files):
        try:
            pixels.append(spec.pixels(path))
            readable.append(place)
        except OverreadError:
            continue  # the Audit page lists it
    rows, tasks = rows.iloc[readable], [radiograph_task(source, files[place], method) for place in readable]
    records = [next(iter(maps.find_maps(source, task).records.values())) for task in tasks]
    if method in FAST_METHODS and pixels:
        made = maps.cam_maps(source.checkpoint, np.stack(pixels), method).astype(np.float32)
        # The same maps in one pass; those that are not kept have no verdict yet.
        records = [record or fast_record(task, values) for record, task, values in zip(records, tasks, made)]
        return OutcomeMaps(records, pixels, rows)
    bar = st.empty()
    with bar:
        advance = widgets.progress("Making the maps")
    found: dict = {}
    for found in maps.follow_maps(source, tasks, places=[]):
        done = sum(not known.is_waiting(set()) for known in found.values())
        advance(done / max(len(tasks), 1), f"{title}, {done} of {len(tasks)}")
    bar.empty()
    records = [next(iter(found[task].records.values())) for task in tasks]
    kept = [place for place, record in enumerate(records) if record and record.attribution]
    return OutcomeMaps([records[place] for place in kept], [pixels[place] for place in kept], rows.iloc[kept])


def fast_record(task: MapTask, values: np.ndarray) -> MapRecord:
    """The unchecked record of a map that was made together with many others."""
    return MapRecord(task.keys[0], Attribution(task.method, values, math.nan, "this radiograph's logit", ""))


def single_maps(view: View, made: OutcomeMaps, look: controls.Look) -> list[str]:
    """Small figures of some of the maps; a click opens a radiograph at its own level."""
    from core.explain.cohort import spread_out

    shown = []
    rows = made.rows.assign(place=range(len(made.rows)))
    for row in spread_out(rows, MOST_SHOWN).itertuples():
        layers = figures.radiograph_html(made.pixels[row.place]) + figures.map_html(made.records[row.place], look)
        link = f"saliency?{urlencode(view.address(level='Radiograph', image=row.image_id))}"
        name = f'<a href="{escape(link)}" target="_self">{escape(Path(row.image_id).name)}</a>'
        shown.append(
            widgets.film(layers, f"{name}<span>{expit(row.logit):.3f}</span>", made.records[row.place].verdict)
        )
    return shown
