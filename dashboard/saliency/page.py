"""What in a radiograph moves the model's logit: maps side by side, each with what speaks against trusting it."""

import streamlit as st

from dashboard.saliency import cohort, film, study
from dashboard.shared import scoring, selection, widgets

LEVELS = {"Radiograph": film.show, "Study": study.show, "Cohort": cohort.show}
WHAT = {
    "Radiograph": "explains the logit of one radiograph",
    "Study": "explains the score of a study, through its pooling",
    "Cohort": "judges each method over many radiographs",
}


def show() -> None:
    view = selection.current()
    scoring.require_model(view)
    place = st.container()
    level = st.segmented_control("Level", list(LEVELS), default="Radiograph", key="level", bind="query-params")
    level = level or "Radiograph"
    with place:
        size = view.source.model.input_spec.size
        widgets.heading("Saliency", view.dataset, view.source.name, f"{WHAT[level]} at {size} px")
    LEVELS[level](view, scoring.require_scores(view.every_bone))


show()
