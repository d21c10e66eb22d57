"""The Import scores page: a table of any model's scores, checked and previewed before it is kept."""

import streamlit as st

from core.data.index import list_datasets
from core.errors import OverreadError
from core.plural import count_text
from core.scores.imports import ImportedScores, read_imported
from dashboard.import_scores import form, preview, source
from dashboard.shared import click_notes, selection, widgets
from dashboard.shared.cache import stamp
from dashboard.shared.imported import ONLY
from dashboard.shared.plain import plain


def draw_page() -> None:
    widgets.heading("Import scores", None, "Scores of any model, evaluated like those trained here")
    preview.forget_kept()
    draw_kept()
    file = request = None
    left, right = st.columns([3, 2], gap="large")
    try:
        with left:
            file = source.choose_file()
            request = form.draw_form(stamp(file)) if file else None
    except OverreadError as error:
        preview.draw_refusal(error, file)
        return
    if request is None:
        return
    with right:
        prepared = preview.draw_preview(request)
    if prepared:
        preview.draw_details(prepared)


def draw_kept() -> None:
    """Draw the last import, with the pages that show it."""
    name = click_notes.kept().get("scores_kept")
    if not name:
        return
    imported = read_imported(name)
    st.success(
        plain(f"Kept as {name}: {count_text(imported.rows, 'radiograph')} of {count_text(imported.studies, 'study')}."),
        icon=":material/check_circle:",
    )
    data = dataset_of(imported)
    pages = [("Threshold", "threshold"), ("Overview", "overview")]
    pages += [] if data.endswith(ONLY) else [("Errors", "errors")]
    with st.container(horizontal=True):
        for title, page in pages:
            if st.button(
                f"Open {title}",
                key=f"scores_open_{page}",
                on_click=selection.choose,
                kwargs={"data": data, "model": name},
            ):
                st.switch_page(f"{page}/page.py", query_params={})


def dataset_of(imported: ImportedScores) -> str:
    """The data set that the scores were matched to, or else their own, under the name that selectors show."""
    matched = (found.name for found in list_datasets() if found.reference == imported.dataset)
    return next(matched, f"{imported.name}{ONLY}")


draw_page()
