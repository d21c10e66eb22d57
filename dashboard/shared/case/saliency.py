"""Where the model looked, laid over the films of the open case when a reader asks for it."""

import numpy as np
import pandas as pd
import streamlit as st
from PIL import Image

from core.data.pixels import padded_box
from core.errors import OverreadError
from core.scores.source import Source
from dashboard.shared import loaders
from dashboard.shared import maps as saliency
from dashboard.shared.case import loader
from dashboard.shared.overlay import full_strength, overlay_png

METHOD, AGGREGATION = "hires_cam", "mean"
SAID = "HiRes-CAM of the study's score: orange speaks for abnormal, blue for normal; a pale view moved it little."


def asked(study: str) -> bool:
    """Whether a reader asked for the maps of this study. The next case begins without."""
    return st.session_state.get("looked_at") == loader.token(study)


def draw_switch(study: str) -> None:
    """The button that asks for the maps of this study, or hides them."""
    case, on = loader.token(study), asked(study)
    st.button(
        "Hide where it looked" if on else "Show where it looked",
        key="looks",
        icon=":material/local_fire_department:",
        on_click=_turn,
        args=("" if on else case,),
        shortcut="S",
        width="stretch",
        help="HiRes-CAM of the study's score over each film. Whether such maps deserve trust: see the Saliency page.",
    )


def _turn(case: str) -> None:
    st.session_state["looked_at"] = case


def lay_over(films: list[dict], source: Source, files: pd.DataFrame) -> tuple[list[dict], str]:
    """The films with `over`, the map of each as a transparent picture in the film's own shape, and what it shows.

    files: the radiographs in the order of the films. Where no map can be made, the films as they are and the reason.
    """
    checkpoint, spec = source.model, source.model.input_spec
    try:
        pixels = np.stack([spec.pixels(f"{source.dataset.root}/{path}") for path in files["path"]])
        maps = saliency.study_attribution(checkpoint, pixels, METHOD, AGGREGATION)
    except OverreadError as error:
        return films, str(error)
    # One scale for all views: what is pale moved the study's score little.
    top = full_strength(np.stack([one.map for one in maps]))
    over = [
        overlay_png(as_film(one.map, row.width, row.height, spec.fit), "either way", top=top)
        for one, row in zip(maps, files.itertuples())
    ]
    shown = [{**film, "over": loaders.overlay_uri(png)} for film, png in zip(films, over)]
    return shown, SAID


def as_film(signed: np.ndarray, width: int, height: int, fit: str) -> np.ndarray:
    """A map [s, s] of what the network was given, in the shape of its film, whose longer side has s pixels then.

    The inverse of `core.data.pixels.to_square`. Where the film was cropped, what the network never saw is zero.
    """
    size = len(signed)
    left, top, inner_width, inner_height = padded_box(width, height, size)
    if fit == "pad":
        return signed[top : top + inner_height, left : left + inner_width]
    if fit == "stretch":
        return np.asarray(Image.fromarray(signed.astype(np.float32)).resize((inner_width, inner_height)))
    seen = min(inner_width, inner_height)
    film = np.zeros((inner_height, inner_width), np.float32)
    y, x = (inner_height - seen) // 2, (inner_width - seen) // 2
    film[y : y + seen, x : x + seen] = np.asarray(Image.fromarray(signed.astype(np.float32)).resize((seen, seen)))
    return film
