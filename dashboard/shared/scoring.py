"""The scores that a page needs; where there are none yet, the page says so and offers to make them."""

import shlex

import pandas as pd
import streamlit as st

from core.errors import OverreadError
from core.plural import count_text
from core.scores.halves import in_split
from core.scores.source import Source
from core.scores.view import View
from core.workflows.score import enqueue_scoring, find_scoring_job
from dashboard.shared import loaders, study_tables, widgets
from dashboard.shared.case import loader
from dashboard.shared.job_status import draw_job
from dashboard.shared.plain import plain
from dashboard.shared.roles import gate
from dashboard.shared.selection import bone_name


def require_model(view: View) -> None:
    """End the page with what to do where the data set has no model."""
    if view.source.model:
        return
    widgets.heading("No model yet", view.dataset)
    for name, reason in loaders.checkpoints()[1].items():
        widgets.empty(f"{name} cannot be used", reason)
    widgets.empty(
        "There is no checkpoint yet",
        "Train one; it appears here after its first epoch.",
        f"python -m core train original-cnn-64 --data {shlex.quote(view.source.data)} --out original-cnn-64",
    )
    st.stop()


def require_scores(view: View) -> pd.DataFrame:
    """PREDICTIONS of a view. Where there are none, the page ends with the way to make them."""
    require_model(view)
    try:
        found = loaders.predictions(view.source, view.split)
    except OverreadError as error:
        found = None
        widgets.empty("The stored scores cannot be used", str(error))
    if found is None:
        offer_scoring(view.source)
        st.stop()
    rows = found[in_split(found, view.split)]
    if view.bone:
        rows = rows[rows["bone"] == view.bone]
    if rows.empty:
        widgets.empty(
            f"No radiograph of {bone_name(view.bone).lower()} in the split {view.split}",
            "Choose another bone or split at the top of the page.",
        )
        st.stop()
    return rows.reset_index(drop=True)


def require_tables(view: View) -> study_tables.Tables:
    """Studies and counts of a view. Without scores the page ends with the way to make them."""
    require_model(view)
    try:
        found = study_tables.tables(view)
    except OverreadError:
        found = None
    if found is None:
        # Shows the reason, offers to score, and ends the page.
        require_scores(view)
    return found


def require_cases(view: View) -> loader.Cases:
    """The cases of the chosen split at the threshold, shared. Where there are none, the page ends as above."""
    require_model(view)
    try:
        found = loader.cases(view.every_bone)
    except OverreadError:
        found = None
    if found is None or found.table.empty:
        require_scores(view.every_bone)
        st.stop()
    return found


def offer_scoring(source: Source) -> None:
    """Say that these scores are missing, and offer to make them."""
    widgets.empty(
        f"{source.name} has not scored {source.data} yet",
        f"Score its {count_text(len(loaders.index(source.dataset)), 'radiograph')} now, or in a terminal:",
        f"python -m core predict {shlex.quote(source.name)} --data {shlex.quote(source.data)}",
    )
    draw_scoring(source, "Score now", "score_now")


def draw_scoring(source: Source, label: str, key: str) -> None:
    """Draw the job that scores a source, and the button that queues one."""
    active = draw_job(
        lambda: find_scoring_job(source),
        lambda job: f"Scoring {source.data} with {source.name}",
        "Scores appear when all are there. Stopped scoring continues where it stopped.",
    )
    if st.button(label, type="primary", key=key, **gate("compute", active), icon=":material/play_arrow:"):
        try:
            enqueue_scoring(source)
        except OverreadError as error:
            st.error(plain(error))
        else:
            st.rerun()
