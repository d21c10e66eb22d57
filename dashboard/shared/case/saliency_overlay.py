"""Saliency maps over the films of the open case, drawn when a reader asks for them."""

import numpy as np
import pandas as pd
import streamlit as st

from core.data.pixels import from_square
from core.errors import OverreadError
from core.explain.overlay import full_strength, overlay_png
from core.review.cases import neutral_name
from core.scores.source import Source
from dashboard.shared import loaders, maps

METHOD, AGGREGATION = "hires_cam", "mean"
EXPLANATION = (
    "HiRes-CAM of the study's score: orange counts towards abnormal, blue towards normal. A pale view changed the "
    "score little."
)


def is_asked(study: str) -> bool:
    """Whether the reader asked for the maps of this study. The next case starts without."""
    return st.session_state.get("saliency_of") == neutral_name(study)


def draw_saliency_button(study: str) -> None:
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
        help="Lays HiRes-CAM of the study's score over each film. The Saliency page checks how far to trust such maps.",
    )


def overlay_maps(films: list[dict], source: Source, files: pd.DataFrame) -> tuple[list[dict], str]:
    """The films with `over`, a transparent picture of the map in the film's shape, and an explanation.

    files: the radiographs in the order of the films. Where no map can be made, the films are unchanged and the text is
    the reason.
    """
    checkpoint, spec = source.model, source.model.input_spec
    try:
        pixels = np.stack([spec.pixels(f"{source.dataset.root}/{path}") for path in files["path"]])
        attributions = maps.study_attribution(checkpoint, pixels, METHOD, AGGREGATION)
    except OverreadError as error:
        return films, str(error)
    # All views share one scale, so that a view that changed the score little is pale.
    top = full_strength(np.stack([one.map for one in attributions]))
    pictures = [
        overlay_png(from_square(one.map, row.width, row.height, spec.fit), "either way", top=top)
        for one, row in zip(attributions, files.itertuples())
    ]
    return [{**film, "over": loaders.overlay_uri(png)} for film, png in zip(films, pictures)], EXPLANATION


def _ask(case: str) -> None:
    st.session_state["saliency_of"] = case
