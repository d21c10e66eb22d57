"""The augmentation that is chosen: one line of text in the address, moved by sliders, presets, files and names.

The text is the value; a slider only changes its own field of it, so what a slider cannot show exactly stays exact.
"""

from contextlib import suppress
from dataclasses import replace

import streamlit as st
from streamlit.errors import StreamlitAPIException

from core.data.augment import LIMITS, PRESETS, Augmentation, list_named
from core.errors import OverreadError
from dashboard.shared import loaders, widgets

# Field, name with its unit, factor from what is stored to what is shown, and the slider's step.
CONTROLS = {
    "Geometry": [
        ("horizontal_flip", "Flip left-right (% of samples)", 100, 1),
        ("vertical_flip", "Flip top-bottom (% of samples)", 100, 1),
        ("rotation", "Rotation (up to degrees)", 1, 1), ("translation", "Shift (up to % of the side)", 100, 0.5),
        ("scale", "Scale (1 +- %)", 100, 1), ("shear", "Shear (up to degrees)", 1, 0.5),
        ("perspective", "Perspective (corners in by up to % of half the side)", 100, 1),
        ("crop", "Random crop, resized (% of samples)", 100, 1),
        ("crop_area", "Area a crop keeps (at least %)", 100, 1),
        ("crop_aspect", "Aspect of a crop (up to % off square)", 100, 1),
    ],
    "Grey levels": [
        ("brightness", "Brightness (+- % of the range)", 100, 1), ("contrast", "Contrast (1 +- %)", 100, 1),
        ("gamma", "Gamma (up to % off 1)", 100, 1), ("equalisation", "Histogram equalisation (% of samples)", 100, 1),
        ("clahe", "CLAHE (% of samples)", 100, 1), ("clahe_limit", "Its clip limit (up to, times the mean)", 1, 0.5),
        ("inversion", "Inversion (% of samples)", 100, 1),
    ],
    "Detail": [
        ("noise", "Noise (up to % of the range)", 100, 0.5), ("blur", "Blur (up to % of the side)", 100, 0.1),
        ("sharpness", "Sharpness (1 +- %)", 100, 1), ("erasing", "Erased square (% of samples)", 100, 1),
        ("erasing_area", "Its area (up to % of the image)", 100, 1),
    ],
    "Mixing": [
        ("mixup", "MixUp with another radiograph (% of samples)", 100, 1),
        ("mixup_alpha", "Its alpha (larger: more even)", 1, 0.05),
        ("cutmix", "CutMix with another radiograph (% of samples)", 100, 1),
    ],
}  # fmt: skip
FIELDS = {field: (factor, step) for controls in CONTROLS.values() for field, _, factor, step in controls}


def choose(checkpoint) -> Augmentation:
    """Controls for every field, begun from the address, else from the model's recipe. The last good value on error."""
    begin(checkpoint)
    st.selectbox(
        "Begin from",
        list(known()),
        index=None,
        placeholder="A preset, a checkpoint, a saved name",
        key="preset",
        on_change=_take_known,
    )
    text = st.text_input(
        "Specification",
        key="spec",
        bind="query-params",
        help="All that is set, in the address as well: NAME:NUMBER, separated by commas; 'none' for nothing.",
    )
    augmentation = last_good(text)
    for group, controls in CONTROLS.items():
        with st.expander(
            group, expanded=group == "Geometry" or any(field in augmentation.to_dict() for field, *_ in controls)
        ):
            for field, words, factor, step in controls:
                low, high = LIMITS[field]
                st.session_state[f"aug_{field}"] = float(round(getattr(augmentation, field) * factor, 9))
                st.slider(
                    words, float(low * factor), float(high * factor), step=float(step), format="%.3g",
                    key=f"aug_{field}", on_change=_take_slider, args=(field,),
                )  # fmt: skip
    return augmentation


def begin(checkpoint) -> None:
    """On the first look, and on coming back: the address, else what was last here, else the model's own, else light."""
    if "spec" in st.session_state or "spec" in st.query_params:
        return
    own = Augmentation.from_dict(checkpoint.recipe.get("augmentation", {})) if checkpoint else PRESETS["none"]
    # Samples that all look alike would say nothing.
    own = PRESETS["light"] if own == PRESETS["none"] else own
    begin_with("spec", st.session_state.get("spec_good", own.to_text()))


def begin_with(key: str, value: str) -> None:
    """What a widget that lives in the address begins with; it would leave that out of the address itself."""
    st.session_state[key] = value
    # Once it is bound it keeps the address itself, and nobody else may.
    with suppress(StreamlitAPIException):
        st.query_params[key] = value


def last_good(text: str) -> Augmentation:
    """What the text means; where it means nothing, the message and what was last understood."""
    try:
        augmentation = Augmentation.from_text(text)
        st.session_state["spec_good"] = augmentation.to_text()
    except OverreadError as error:
        st.session_state["spec_error"] = str(error)
        augmentation = Augmentation.from_text(st.session_state.get("spec_good", "none"))
    if error := st.session_state.pop("spec_error", ""):
        widgets.empty("The last good one is kept", error)
    return augmentation


def known() -> dict[str, Augmentation]:
    """What one may begin from, or compare with: presets, each checkpoint's own, and the names of this workspace."""
    found = dict(PRESETS)
    for name, checkpoint in loaders.checkpoints()[0].items():
        try:
            found[f"as {name}"] = Augmentation.from_dict(checkpoint.recipe.get("augmentation", {}))
        except OverreadError:
            continue  # of a newer version; the Runs page says so
    return found | {f"saved: {name}": augmentation for name, augmentation in list_named()[0].items()}


def take(augmentation: Augmentation) -> None:
    """Make it the one that is chosen. Only in a callback."""
    st.session_state["spec"] = augmentation.to_text()


def _take_known() -> None:
    if (name := st.session_state["preset"]) in (found := known()):
        take(found[name])
    st.session_state["preset"] = None


def _take_slider(field: str) -> None:
    good = Augmentation.from_text(st.session_state.get("spec_good", "none"))
    take(replace(good, **{field: round(st.session_state[f"aug_{field}"] / FIELDS[field][0], 9)}))
