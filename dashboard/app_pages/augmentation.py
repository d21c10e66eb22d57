"""The augmentation playground: the very pixels that training learns from, of one radiograph, moved by sliders."""

import streamlit as st

from core.data.index import Dataset
from core.data.input_spec import InputSpec
from dashboard import loaders, selection, widgets
from dashboard.parts import augment_controls, augment_files, augment_guard, augment_model, augment_samples
from dashboard.selection import Selection

RECIPE = "original-cnn-64"


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
    playground(dataset, spec, checkpoint, chosen)


@st.fragment
def playground(dataset: Dataset, spec: InputSpec, checkpoint, chosen: Selection) -> None:
    """All that a slider moves, and nothing else of the page."""
    with widgets.guarded():
        with st.container(key="playground"):
            left, right = st.columns([1, 3], gap="medium")
        with left:
            augmentation = augment_controls.choose(checkpoint)
            augment_files.show(augmentation, dataset.name, checkpoint.recipe["name"] if checkpoint else RECIPE)
        with right:
            row, count, seed = augment_samples.choose(dataset, spec, checkpoint, chosen)
            above = st.container()
            augment_samples.show(dataset, spec, checkpoint, row, augmentation, count, seed, chosen.threshold)
            # After the samples, which are what one waits for.
            with above:
                augment_guard.show(dataset, spec, augmentation, seed)
            if checkpoint is not None:
                augment_model.show(dataset, checkpoint, row, augmentation, seed, chosen)


show()
