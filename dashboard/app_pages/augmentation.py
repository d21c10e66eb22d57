"""The augmentation playground: the very transforms that training uses, on one radiograph, in numbers."""

from html import escape

import numpy as np
import pandas as pd
import streamlit as st

from core.data.augment import LIMITS, PRESETS, Augmentation, apply, draw_table
from core.data.index import Dataset
from core.data.input_spec import InputSpec
from dashboard import loaders, selection, widgets
from dashboard.selection import ALL, Selection

# Field, name with its unit, and factor from what is stored to what is shown.
CONTROLS = {
    "Geometry": [
        ("horizontal_flip", "Flip left-right (% of samples)", 100),
        ("vertical_flip", "Flip top-bottom (% of samples)", 100),
        ("rotation", "Rotation (up to degrees)", 1), ("translation", "Shift (up to % of the side)", 100),
        ("scale", "Scale (1 +- %)", 100), ("shear", "Shear (up to degrees)", 1),
    ],
    "Grey levels": [
        ("brightness", "Brightness (+- % of the range)", 100), ("contrast", "Contrast (1 +- %)", 100),
        ("gamma", "Gamma (up to % off 1)", 100), ("noise", "Noise (up to % of the range)", 100),
        ("inversion", "Inversion (% of samples)", 100),
    ],
    "Erasing": [("erasing", "Erased square (% of samples)", 100), ("erasing_area", "Its area (up to % of image)", 100)],
}  # fmt: skip
# How each draw is written, and the value at which it changes nothing.
SHOWN = {
    "rotation": ("{:+.0f} deg", 0), "translation_x": ("x {:+.1%}", 0), "translation_y": ("y {:+.1%}", 0),
    "scale": ("scale {:.2f}", 1), "shear": ("shear {:+.1f} deg", 0), "brightness": ("brightness {:+.0%}", 0),
    "contrast": ("contrast {:.2f}", 1), "gamma": ("gamma {:.2f}", 1), "noise": ("noise {:.1%}", 0),
}  # fmt: skip


def show() -> None:
    chosen = selection.current()
    dataset = loaders.datasets()[chosen.dataset]
    checkpoint = loaders.checkpoints()[0].get(chosen.checkpoint)
    spec = checkpoint.input_spec if checkpoint else InputSpec(128)
    widgets.heading(
        "Augmentation",
        dataset,
        f"{spec.size} px, the input size of {checkpoint.name}" if checkpoint else f"{spec.size} px",
    )
    with st.container(key="playground"):
        left, right = st.columns([1, 3], gap="medium")
    with left:
        augmentation = choose_augmentation(checkpoint)
    with right:
        row, count, seed = choose_sample(loaders.index(dataset.name), chosen)
        show_samples(dataset, spec, row, augmentation, count, seed)


def choose_augmentation(checkpoint) -> Augmentation:
    """Controls for every field, begun from a preset or from the model's own recipe."""
    presets = dict(PRESETS)
    if checkpoint:
        presets = {f"as {checkpoint.name}": Augmentation.from_dict(checkpoint.recipe["augmentation"]), **presets}
    start = "light" if "light" in presets else next(iter(presets))
    if "aug_rotation" not in st.session_state:
        _take_preset(presets[start])
    st.selectbox(
        "Preset",
        list(presets),
        index=None,
        placeholder="Begin from a preset",
        key="preset",
        on_change=lambda: _take_preset(presets.get(st.session_state["preset"])),
    )
    values = {}
    for group, controls in CONTROLS.items():
        with st.expander(group, expanded=group != "Erasing"):
            for field, words, factor in controls:
                low, high = LIMITS[field]
                shown = st.slider(
                    words, float(low * factor), float(high * factor), step=1.0, format="%.0f", key=f"aug_{field}"
                )
                values[field] = shown / factor
    augmentation = Augmentation(**values)
    st.download_button(
        "Download as JSON",
        augmentation.to_json,
        f"augmentation-{augmentation.hash()}.json",
        "application/json",
        on_click="ignore",
        icon=":material/download:",
        width="stretch",
    )
    return augmentation


def _take_preset(preset: Augmentation | None) -> None:
    factors = {field: factor for controls in CONTROLS.values() for field, _, factor in controls}
    for field, factor in factors.items():
        st.session_state[f"aug_{field}"] = float(round(getattr(preset or Augmentation(), field) * factor))


def choose_sample(index: pd.DataFrame, chosen: Selection) -> tuple[pd.Series, int, int]:
    """Which radiograph, how many samples, which seed."""
    rows = index if chosen.bone == ALL else index[index["bone"] == chosen.bone]
    rows = rows if len(rows) else index
    st.session_state.setdefault("seed", 0)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        place = st.number_input(
            "Radiograph",
            1,
            len(rows),
            1,
            key="sample",
            help=f"1 to {len(rows):,} of the bone that is chosen.",
            width=140,
        )
        count = st.slider("Samples", 4, 24, 8, 4, key="count", width=180)
        seed = st.number_input(
            "Seed",
            0,
            2**31 - 1,
            key="seed",
            width=140,
            help="The same seed gives the same samples, here and in training.",
        )
        st.button("Roll", key="roll", icon=":material/casino:", on_click=_roll, help="Another seed.")
    return rows.iloc[min(place, len(rows)) - 1], count, seed


def _roll() -> None:
    st.session_state["seed"] = int(np.random.default_rng().integers(2**31))


def show_samples(
    dataset: Dataset, spec: InputSpec, row: pd.Series, augmentation: Augmentation, count: int, seed: int
) -> None:
    """The original, then each sample with what it was given. Epoch by epoch, as training would see it."""
    import torch

    pixels = spec.pixels(f"{dataset.root}/{row['path']}")
    tensor, images = torch.from_numpy(pixels.copy())[None], [row["image_id"]]
    cards = [
        widgets.card(
            [(loaders.picture_uri(pixels), "original radiograph")],
            "<div><b>Original</b></div><small>as the network is given it</small>",
        )
    ]
    for epoch in range(count):
        sample = apply(augmentation, tensor, images, seed, epoch)[0, 0].numpy()
        grey = np.clip(sample * 255 + 0.5, 0, 255).astype(np.uint8)
        words = drawn_words(draw_table(augmentation, images, seed, epoch).iloc[0])
        cards.append(
            widgets.card(
                [(loaders.picture_uri(grey), f"augmented sample {epoch + 1}")],
                f"<div><b>Epoch {epoch + 1}</b></div><small>{escape(words)}</small>",
            )
        )
    widgets.gallery(cards, "11.5rem", "11.5rem")
    widgets.note(f"{row['image_id']}. Seed {seed}, augmentation {augmentation.hash()}.")


def drawn_words(drawn: pd.Series) -> str:
    """What one sample was given, leaving out what stayed as it was."""
    words = [name.replace("_", " ") for name in ("horizontal_flip", "vertical_flip", "inversion") if drawn[name]]
    words += [form.format(drawn[name]) for name, (form, neutral) in SHOWN.items() if abs(drawn[name] - neutral) > 1e-9]
    if drawn["erasing_side"] > 0:
        words.append(f"erased {drawn['erasing_side']:.0%} of the side")
    return ", ".join(words) or "unchanged"


show()
