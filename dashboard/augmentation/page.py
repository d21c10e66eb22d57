"""The augmentation playground: the very pixels that training learns from, of one radiograph, moved by sliders."""

import streamlit as st

from core.scores.view import View
from dashboard.augmentation import controls, files, guard, model_scores, samples
from dashboard.shared import selection, widgets

RECIPE = "original-cnn-64"


def show() -> None:
    view = selection.current()
    checkpoint = samples.network_of(view.source)
    spec = samples.input_spec(view.source)
    widgets.heading(
        "Augmentation",
        view.dataset,
        f"{spec.size} px, the input size of {checkpoint.name}" if checkpoint else f"{spec.size} px",
    )
    playground(view)


@st.fragment
def playground(view: View) -> None:
    """All that a slider moves, and nothing else of the page."""
    checkpoint = samples.network_of(view.source)
    with widgets.guarded():
        with st.container(key="playground"):
            left, right = st.columns([1, 3], gap="medium")
        with left:
            augmentation = controls.choose(checkpoint)
            files.show(augmentation, view.source.data, checkpoint.recipe["name"] if checkpoint else RECIPE)
        with right:
            sampling = samples.choose(view, augmentation)
            above = st.container()
            samples.show(view, sampling)
            # After the samples, which are what one waits for.
            with above:
                guard.show(view, sampling)
            if checkpoint is not None:
                model_scores.show(view, sampling)


show()
