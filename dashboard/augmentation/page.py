"""The augmentation playground: the very pixels that training learns from, of one radiograph, moved by sliders."""

import streamlit as st

from core.data.index import Dataset
from core.data.input_spec import InputSpec
from dashboard.augmentation import controls, files, guard, model_scores, samples
from dashboard.shared import loaders, selection, widgets
from dashboard.shared.selection import Selection

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
            augmentation = controls.choose(checkpoint)
            files.show(augmentation, dataset.name, checkpoint.recipe["name"] if checkpoint else RECIPE)
        with right:
            row, count, seed = samples.choose(dataset, spec, checkpoint, chosen)
            above = st.container()
            samples.show(dataset, spec, checkpoint, row, augmentation, count, seed, chosen.threshold)
            # After the samples, which are what one waits for.
            with above:
                guard.show(dataset, spec, augmentation, seed)
            if checkpoint is not None:
                model_scores.show(dataset, checkpoint, row, augmentation, seed, chosen)


show()
