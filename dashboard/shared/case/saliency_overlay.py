"""Saliency maps over the films of the open case, drawn with their verdicts when a reader asks for them."""

import time

import numpy as np
import pandas as pd
import streamlit as st

from core.data.pixels import from_square
from core.errors import OverreadError
from core.explain.map_record import MapTask
from core.explain.overlay import full_strength, overlay_png
from core.review.cases import neutral_name
from core.scores.source import Source
from core.workflows.trust import study_task
from dashboard.shared import loaders, maps, trust_marks, widgets

EXPLANATION = (
    "HiRes-CAM of the study's score: orange is evidence for abnormal, blue for normal. A pale view changed the "
    "score little."
)
# Seconds that the films wait for their maps; then they are drawn without, and again when the maps are made.
_PATIENCE, _LOOK_EVERY = 3.0, 0.5


def is_asked(study: str) -> bool:
    """Whether the reader asked for the maps of this study. The next case starts without maps."""
    return st.session_state.get("saliency_of") == neutral_name(study)


def ask_for(study: str) -> None:
    """Show the maps of this study, as its button does."""
    _ask(neutral_name(study))


def draw_saliency_button(study: str, source: Source) -> None:
    """The button that shows or hides the maps of this study."""
    case, shown = neutral_name(study), is_asked(study)
    st.button(
        "Hide saliency" if shown else "Show saliency",
        key="saliency_button",
        icon=":material/local_fire_department:",
        on_click=_ask,
        args=("" if shown else case,),
        shortcut="S",
        width="stretch",
        help="Shows HiRes-CAM of the study's score over each film, with the result of its checks.",
    )
    maps.load_ahead(source)


def overlay_maps(films: list[dict], source: Source, files: pd.DataFrame) -> tuple[list[dict], MapTask | None, str]:
    """The films with `over`, a transparent picture of the map in the film's shape, and `verdict`, how far to trust it.

    files: the radiographs in the order of the films. A film is shown without its map where the map does not hold up,
    unless the reader asks for it. Returns the task, and the reason where no map can be made.
    """
    try:
        task = study_task(source, files)
        found = _found_soon(source, task)
    except OverreadError as error:
        return films, None, str(error)
    made = {sha1: record for sha1, record in found.records.items() if record and record.attribution}
    refused = next((record.refused for record in found.records.values() if record and record.refused), "")
    if not made:
        return films, task, refused or found.error
    # All views share one scale, so that a view that changed the score little is pale.
    top = full_strength(np.stack([record.attribution.map for record in made.values()]))
    drawn = []
    for film, row in zip(films, files.itertuples()):
        record = made[row.sha1]
        why = f"Map: {record.why}." if record.why else ""
        note = " ".join(part for part in (film["note"], why) if part)
        plain = trust_marks.is_plain(record, _wants_all(task))
        mark = trust_marks.NOT_SHOWN if plain else trust_marks.verdict_mark(record, not found.error)
        film = {**film, "note": note, "verdict": mark}
        if not plain:
            picture = overlay_png(record, "either way", top=top, fit=_to_film(row, source.checkpoint.input_spec.fit))
            film["over"] = loaders.overlay_uri(picture)
        drawn.append(film)
    return drawn, task, found.error


def draw_saliency_note(source: Source, task: MapTask | None, reason: str) -> None:
    """Say beside the films what the maps show, or why films have no map, and report the progress of maps being made."""
    if task is None or reason:
        widgets.note(reason)
        return
    found = maps.find_maps(source, task)
    records = [record for record in found.records.values() if record and record.attribution]
    plain = "" if _wants_all(task) else trust_marks.plain_note(records)
    if plain:
        widgets.note(plain)
        st.button(trust_marks.SHOW_ALL, key="saliency_all", on_click=_ask_all, args=(task,), width="stretch")
    elif records:
        widgets.note(EXPLANATION)
    if found.is_waiting():
        st.fragment(run_every=_LOOK_EVERY)(_follow)(source, task, found.stage)


def _follow(source: Source, task: MapTask, stage: tuple) -> None:
    """Ask for the maps while the reader has the case open, and draw the page again each time more is made."""
    maps.want_maps(task)
    found = maps.find_maps(source, task)
    if found.stage != stage:
        st.rerun()
    made = all(found.records.values())
    widgets.note("Checking whether the maps hold up ..." if made else "Making the maps ...")


def _found_soon(source: Source, task: MapTask) -> maps.FoundMaps:
    """The state of a task as soon as its maps are made, or after a limited wait."""
    found, until = maps.find_maps(source, task), time.monotonic() + _PATIENCE
    while found.is_waiting(set()) and time.monotonic() < until:
        maps.want_maps(task)
        maps.wait()
        found = maps.find_maps(source, task)
    return found


def _to_film(row, fit: str):
    return lambda values: from_square(values, row.width, row.height, fit)


def _wants_all(task: MapTask) -> bool:
    return st.session_state.get("saliency_all_of") == task.keys[0].name


def _ask(case: str) -> None:
    st.session_state["saliency_of"] = case


def _ask_all(task: MapTask) -> None:
    st.session_state["saliency_all_of"] = task.keys[0].name
