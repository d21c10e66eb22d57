"""The chosen augmentation: one line of text in the address, changed by sliders, presets, files and saved names.

The text is the value. A slider changes only its own field, so the other fields keep all their digits.
"""

from dataclasses import replace

import streamlit as st

from core.data.augment import LIMITS, PRESETS, Augmentation, list_named
from core.errors import OverreadError
from core.models.checkpoint import Checkpoint
from dashboard.shared import address, loaders, widgets

# Field, label with its unit, factor from the stored to the shown number, and the slider's step.
CONTROLS = {
    "Geometry": [
        ("horizontal_flip", "Flip left-right (% of samples)", 100, 1),
        ("vertical_flip", "Flip top-bottom (% of samples)", 100, 1),
        ("rotation", "Rotation (up to degrees)", 1, 1), ("translation", "Shift (up to % of the side)", 100, 0.5),
        ("scale", "Scale (up to +- %)", 100, 1), ("shear", "Shear (up to degrees)", 1, 0.5),
        ("perspective", "Perspective (up to % of half the side)", 100, 1),
        ("crop", "Random crop (% of samples)", 100, 1),
        ("crop_area", "Area of a crop (at least %)", 100, 1),
        ("crop_aspect", "Aspect of a crop (up to % from square)", 100, 1),
    ],
    "Grey levels": [
        ("brightness", "Brightness (up to +- % of the range)", 100, 1), ("contrast", "Contrast (up to +- %)", 100, 1),
        ("gamma", "Gamma (up to % from 1)", 100, 1), ("equalisation", "Histogram equalisation (% of samples)", 100, 1),
        ("clahe", "CLAHE (% of samples)", 100, 1), ("clahe_limit", "CLAHE clip limit (up to, times the mean)", 1, 0.5),
        ("inversion", "Inversion (% of samples)", 100, 1),
    ],
    "Detail": [
        ("noise", "Noise (up to % of the range)", 100, 0.5), ("blur", "Blur (up to % of the side)", 100, 0.1),
        ("sharpness", "Sharpness (up to +- %)", 100, 1), ("erasing", "Erased square (% of samples)", 100, 1),
        ("erasing_area", "Area of the square (up to % of the image)", 100, 1),
    ],
    "Mixing": [
        ("mixup", "MixUp with another radiograph (% of samples)", 100, 1),
        ("mixup_alpha", "MixUp alpha (larger: more even)", 1, 0.05),
        ("cutmix", "CutMix with another radiograph (% of samples)", 100, 1),
    ],
}  # fmt: skip
FACTORS = {field: factor for controls in CONTROLS.values() for field, _, factor, _ in controls}


def choose_augmentation(checkpoint: Checkpoint | None) -> Augmentation:
    """Draw controls for every field. Returns the last valid augmentation where the text is invalid."""
    set_first_text(checkpoint)
    st.selectbox(
        "Start from",
        list(named_augmentations()),
        index=None,
        placeholder="Preset, model or saved name",
        key="preset",
        on_change=_choose_named,
    )
    text = address.bound(
        st.text_input,
        "Specification",
        key="spec",
        help="The whole augmentation, also in the address: NAME:NUMBER, separated by commas, or 'none'.",
    )
    augmentation = last_valid(text)
    for group, controls in CONTROLS.items():
        used = sum(field in augmentation.to_dict() for field, *_ in controls)
        with st.expander(f"{group} ({used} set)" if used else group, expanded=group == "Geometry"):
            for field, label, factor, step in controls:
                low, high = LIMITS[field]
                st.session_state[f"aug_{field}"] = float(round(getattr(augmentation, field) * factor, 9))
                st.slider(
                    label, float(low * factor), float(high * factor), step=float(step), format="%.3g",
                    key=f"aug_{field}", on_change=_choose_slider, args=(field,),
                )  # fmt: skip
    return augmentation


def set_first_text(checkpoint: Checkpoint | None) -> None:
    """On each visit: the text of the address, else of the last visit, else the model's own augmentation, else light."""
    if "spec" in st.session_state or address.given("spec"):
        return
    own = Augmentation.from_dict(checkpoint.recipe.get("augmentation", {})) if checkpoint else PRESETS["none"]
    # Without an augmentation, all samples would be the same.
    own = PRESETS["light"] if own == PRESETS["none"] else own
    address.set_first("spec", st.session_state.get("spec_valid", own.to_text()))


def last_valid(text: str) -> Augmentation:
    """The augmentation of a text; where that is invalid, draw the reason and return the last valid one."""
    try:
        augmentation = Augmentation.from_text(text)
        st.session_state["spec_valid"] = augmentation.to_text()
    except OverreadError as error:
        st.session_state["spec_error"] = str(error)
        augmentation = Augmentation.from_text(st.session_state.get("spec_valid", "none"))
    if error := st.session_state.pop("spec_error", ""):
        widgets.empty("The last valid augmentation is kept", error)
    return augmentation


def named_augmentations() -> dict[str, Augmentation]:
    """Presets, the augmentation of each checkpoint, and those saved in this workspace."""
    found = dict(PRESETS)
    for name, checkpoint in loaders.checkpoints()[0].items():
        try:
            found[f"as {name}"] = Augmentation.from_dict(checkpoint.recipe.get("augmentation", {}))
        except OverreadError:
            continue  # written by a newer version, as the Runs page reports
    return found | {f"saved: {name}": augmentation for name, augmentation in list_named()[0].items()}


def choose_next(augmentation: Augmentation) -> None:
    """Make it the chosen augmentation. Only in a callback."""
    st.session_state["spec"] = augmentation.to_text()


def _choose_named() -> None:
    if (name := st.session_state["preset"]) in (found := named_augmentations()):
        choose_next(found[name])
    st.session_state["preset"] = None


def _choose_slider(field: str) -> None:
    valid = Augmentation.from_text(st.session_state.get("spec_valid", "none"))
    choose_next(replace(valid, **{field: round(st.session_state[f"aug_{field}"] / FACTORS[field], 9)}))
