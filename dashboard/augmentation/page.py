"""The Augmentation page: the pixels that training sees, of one radiograph, changed with sliders."""

import streamlit as st

from core.scores.view import View
from dashboard.augmentation import controls
from dashboard.augmentation.files import draw_files
from dashboard.augmentation.retention import draw_retention
from dashboard.augmentation.samples import draw_samples
from dashboard.augmentation.sampling import choose_sampling, input_spec, network_of
from dashboard.augmentation.stability import draw_stability
from dashboard.shared import address, selection, widgets

# The recipe in the command that trains with the augmentation, where no model is chosen.
DEFAULT_RECIPE = "original-cnn-64"


def draw_page() -> None:
    view = selection.current()
    checkpoint, spec = network_of(view.source), input_spec(view.source)
    size = f"{spec.size} px, {checkpoint.name}" if checkpoint else f"{spec.size} px"
    widgets.heading("Augmentation", view.dataset, size)
    draw_playground(view)


@st.fragment
def draw_playground(view: View) -> None:
    """Draw all that depends on the sliders; a slider runs this part of the page alone."""
    checkpoint = network_of(view.source)
    with widgets.guarded():
        with st.container(key="playground"):
            left, right = st.columns([1, 3], gap="medium")
        with left:
            augmentation = controls.choose_augmentation(checkpoint)
            draw_files(augmentation, view.source.data, checkpoint.recipe["name"] if checkpoint else DEFAULT_RECIPE)
        with right:
            sampling = choose_sampling(view, augmentation)
            above = st.container()
            draw_samples(view, sampling)
            # Drawn after the samples, since the visitor waits for the samples.
            with above:
                draw_retention(view, sampling)
            if checkpoint is not None:
                with address.more("Stability of the score", icon=":material/ssid_chart:"):
                    draw_stability(view, sampling)


draw_page()
