"""The Saliency page: which pixels move the model's logit, each map with the results of its checks."""

import streamlit as st

from dashboard.saliency.cohort import draw_cohort
from dashboard.saliency.radiograph import draw_radiograph
from dashboard.saliency.study import draw_study
from dashboard.shared import address, scoring, selection, widgets

LEVELS = {
    "Radiograph": (draw_radiograph, "explains the logit of one radiograph"),
    "Study": (draw_study, "explains the score of a study"),
    "Cohort": (draw_cohort, "checks each method on many radiographs"),
}


def draw_page() -> None:
    view = selection.current()
    scoring.require_model(view)
    place = st.container()
    level = address.bound(st.segmented_control, "Level", list(LEVELS), default="Radiograph", key="level")
    draw_level, words = LEVELS[level or "Radiograph"]
    with place:
        size = view.source.checkpoint.input_spec.size
        widgets.heading("Saliency", view.dataset, view.source.name, f"{words} at {size} px")
    draw_level(view, scoring.require_scores(view.every_bone))


draw_page()
