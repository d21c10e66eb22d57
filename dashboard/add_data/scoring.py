"""A data set that was just added: where to look at it, and its scores."""

import streamlit as st

from core.data.index import Dataset
from core.errors import OverreadError
from core.models.checkpoint import read_checkpoint
from core.plural import count_text
from core.scores.source import Source, source_of
from dashboard.shared import loaders, selection, widgets
from dashboard.shared.plain import plain
from dashboard.shared.scoring import draw_scoring

ARROW = ":material/arrow_forward:"


def draw_added(dataset: Dataset) -> None:
    """Draw what was added, the form that scores it, and the links to its pages."""
    rows = loaders.index(dataset)
    studies = count_text(rows["study_id"].nunique(), "study")
    widgets.caption(f"{dataset.name} is added", f"{count_text(len(rows), 'radiograph')} of {studies}")
    if st.session_state.get("chosen_added") != dataset.name:
        # Once: the other pages are then about it, and the visitor may choose again.
        st.session_state["chosen_added"] = dataset.name
        selection.choose_and_rerun(data=dataset.name)
    source = draw_choice(dataset)
    if source is None:
        draw_links(dataset, None)
        return
    if not source.is_scored:
        draw_scoring(source, "Score it", "score_added")
    draw_links(dataset, source)


def draw_links(dataset: Dataset, source: Source | None) -> None:
    """Draw links that choose the data set, and the checkpoint once it has scored it."""
    scored = source is not None and source.is_scored
    pages = {"errors": "Read the errors"} if scored else {}
    with st.container(horizontal=True):
        for page, label in {**pages, "import_scores": "Import scores for it", "dataset": "See the data set"}.items():
            kind = "primary" if page == "errors" else "secondary"
            if st.button(label, key=f"open_{page}", type=kind, icon=ARROW):
                st.session_state["choose_next"] = {"data": dataset.name, **({"model": source.name} if scored else {})}
                # An empty mapping, since None would clear the parameters of the selectors; they write theirs again.
                st.switch_page(f"{page}/page.py", query_params={})


def draw_choice(dataset: Dataset) -> Source | None:
    """Draw the choice of a checkpoint: one that is listed, or a folder on the server."""
    names = list(loaders.checkpoints()[0])
    if names and not st.session_state.get("score_with"):
        shown = selection.current().source.name
        st.session_state["score_with"] = shown if shown in names else names[0]
    chosen = st.selectbox(
        "Score with a checkpoint",
        names,
        index=None,
        key="score_with",
        accept_new_options=True,
        placeholder="Choose one, or type the path of its folder",
        width=360,
    )
    if not chosen:
        return None
    try:
        checkpoint = loaders.checkpoints()[0].get(chosen) or read_checkpoint(chosen)
    except OverreadError as error:
        st.error(plain(error))
        return None
    return source_of(checkpoint, dataset)
