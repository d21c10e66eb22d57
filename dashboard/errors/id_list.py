"""Studies by outcome as a table of ids, for scores without radiographs."""

import streamlit as st

from core.plural import count_text
from core.review.cases import case_table
from core.scores.view import View
from core.workflows.walkthroughs import sort_for_reading
from dashboard.shared import address, scoring, theme, widgets

OUTCOMES = {name: outcome for outcome, (_, name, _) in theme.OUTCOMES.items()}
COLUMNS = {
    "study_id": "Study",
    "bone": "Bone",
    "score": "Score",
    "margin": "From the threshold",
    "n_views": "Radiographs",
}


def draw_id_list(view: View) -> None:
    """The outcome, and the studies that have it, the most confident first."""
    table = case_table(scoring.require_tables(view).studies, view.threshold)
    chosen = address.bound(
        st.segmented_control,
        "Outcome",
        list(OUTCOMES),
        default="Missed",
        required=True,
        key="outcome",
        label_visibility="collapsed",
        persist_state="session",
    )
    outcome = OUTCOMES.get(chosen, "FN")
    rows = table[table["outcome"] == outcome]
    if rows.empty:
        widgets.empty(f"No {theme.OUTCOMES[outcome][1].lower()} study", "Choose another outcome, bone or threshold.")
        return
    listed = rows.loc[sort_for_reading(rows, outcome), list(COLUMNS)].rename(columns=COLUMNS)
    widgets.caption(f"{theme.OUTCOMES[outcome][1]} studies", f"{count_text(len(listed), 'study')}, without radiographs")
    widgets.draw_table(listed, width="stretch", height=620)
