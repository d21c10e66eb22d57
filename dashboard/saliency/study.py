"""The level of a study: the map of every view for the study's score, on one scale, which shows the decisive view."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st
from scipy.special import expit

from core.explain.map_record import MapTask
from core.explain.overlay import full_strength
from core.metrics.studies import aggregations_of
from core.plural import count_text
from core.scores.view import View
from core.workflows.trust import study_task
from dashboard.saliency import controls, figures
from dashboard.shared import address, loaders, maps, theme, widgets


@dataclass(frozen=True)
class StudySheet:
    """The views of a study, rows of PREDICTIONS with the `sha1` of each file. shown, masks: in the order of rows."""

    rows: pd.DataFrame
    shown: list
    masks: list
    look: controls.Look
    task: MapTask


def draw_study(view: View, radiographs: pd.DataFrame) -> None:
    """Draw the maps of all views of one study as soon as they are made, and the result of each check when known."""
    dataset, source = view.dataset, view.source
    study = controls.choose_study(view)
    rows = radiographs[radiographs["study_id"] == study.name]
    rows = rows.assign(sha1=[loaders.file_hash(dataset, image) for image in rows["image_id"]])
    left, right = st.columns(2)
    with left:
        method = controls.choose_method()
    aggregation = address.bound(
        right.selectbox,
        "Study score",
        aggregations_of(radiographs),
        key="pooling",
        help="The rule that combines the scores of the views into one.",
    )
    look, spec, findings = controls.choose_look(), source.checkpoint.input_spec, maps.known_findings(dataset)
    shown = [
        spec.pixels(Path(dataset.root) / row.path)
        if look.network_pixels
        else maps.large_pixels(dataset.root, row.path, row.sha1, spec.fit, spec.size)
        for row in rows.itertuples()
    ]
    masks = [findings.mask(image, spec) for image in rows["image_id"]]
    sheet = StudySheet(rows, shown, masks, look, study_task(source, rows, method, aggregation))
    outcome = theme.OUTCOMES.get(study["outcome"], ("", "label unknown"))[1].lower()
    title = st.empty()
    words = f"{outcome}; {aggregation} over {count_text(len(rows), 'radiograph')}"
    grid, notes = st.empty(), st.container()
    widgets.note("All views share one scale: a pale map moved the study's score little.")
    for found in maps.follow_maps(source, [sheet.task], checked_first(sheet)):
        known = found[sheet.task]
        if reason := refusal(known):
            with title:
                widgets.empty("This map is refused", reason)
            return
        if made := [record for record in known.records.values() if record]:
            with title:
                score = (
                    f"{controls.method_titles()[method]} for the study's score {expit(made[0].attribution.value):.3f}"
                )
                widgets.caption(score, f"{words}; {made[0].attribution.note}")
        grid.html(study_html(sheet, known))
    controls.draw_plain_note(notes, [record for record in known.records.values() if record])


def checked_first(sheet: StudySheet) -> list[int]:
    """The places of the task's files, the view with the highest score first."""
    logits = dict(zip(sheet.rows["sha1"], sheet.rows["logit"]))
    return sorted(range(len(sheet.task.files)), key=lambda place: -logits[sheet.task.files[place][1]])


def refusal(known: maps.FoundMaps) -> str:
    """Why there are no maps; '' where there are some, or may be soon."""
    records = [record for record in known.records.values() if record]
    return known.error if not records else records[0].refused


def study_html(sheet: StudySheet, known: maps.FoundMaps) -> str:
    """The views of a study with their maps and the results so far."""
    made = {sha1: record for sha1, record in known.records.items() if record and record.attribution}
    top = full_strength(np.stack([record.attribution.map for record in made.values()])) if made else None
    parts = {sha1: float(np.abs(record.attribution.map).sum()) for sha1, record in made.items()}
    total, views = max(sum(parts.values()), 1e-12), []
    for place, row in enumerate(sheet.rows.itertuples()):
        title, name = f"View {place + 1}", Path(row.image_id).name
        radiograph, fact = figures.radiograph_html(sheet.shown[place]), f"score {expit(row.logit):.3f}"
        if (record := made.get(row.sha1)) is None:
            views.append(figures.figure_html(title, radiograph, fact, f"{name}; making the map ..."))
            continue
        words = figures.MapWords(
            fact,
            f"{name}; {parts[row.sha1] / total:.0%} of the study's map" + (f". {known.error}" if known.error else ""),
            sheet.masks[place],
            sheet.shown[place].shape[0],
            top,
            is_waiting=not known.error,
        )
        views.append(figures.map_figure_html(title, radiograph, record, sheet.look, words))
    return figures.grid_html(views, sheet.look)
