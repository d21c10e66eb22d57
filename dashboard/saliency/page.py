"""What in a radiograph moves the model's logit: maps side by side, each with what speaks against trusting it."""

import streamlit as st

from dashboard.saliency import cohort, film, study
from dashboard.shared import scoring, selection, widgets

VIEWS = {"Radiograph": film.show, "Study": study.show, "Cohort": cohort.show}
WHAT = {
    "Radiograph": "explains the logit of one radiograph",
    "Study": "explains the score of a study, through its pooling",
    "Cohort": "judges each method over many radiographs",
}


def show() -> None:
    chosen = selection.current()
    dataset, checkpoint = scoring.chosen_parts(chosen)
    place = st.container()
    view = st.segmented_control("Level", list(VIEWS), default="Radiograph", key="level", bind="query-params")
    view = view or "Radiograph"
    with place:
        widgets.heading("Saliency", dataset, checkpoint.name, f"{WHAT[view]} at {checkpoint.input_spec.size} px")
    VIEWS[view](dataset, checkpoint, scoring.scored(chosen, every_bone=True), chosen)


show()
