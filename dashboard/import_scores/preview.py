"""The preview of an import: its join, its notes and first figures; then the button that keeps it."""

from pathlib import Path

import streamlit as st

from core.data.notes import Note
from core.errors import OverreadError
from core.plural import count_text
from core.scores.import_upload import remove_upload
from core.workflows.import_scores import FirstFigures, ImportPreview, first_figures, keep_import, prepare_import
from dashboard.import_scores.form import ImportRequest
from dashboard.import_scores.source import forget_file
from dashboard.import_scores.words import page_words
from dashboard.shared import click_notes, widgets
from dashboard.shared.join_report import draw_join_report, note_sentence
from dashboard.shared.plain import plain
from dashboard.shared.roles import gate

ALARMS = ("scores-wrong-way", "scores-wrong-way-in-bone", "score-equals-label", "scores-constant", "score-name-normal")


def draw_preview(request: ImportRequest) -> ImportPreview | None:
    """Draw the first figures of what the request would keep, and the button that keeps it. None where it is refused."""
    try:
        preview, figures = _prepared(request)
    except OverreadError as error:
        draw_refusal(error, Path(request.file.path))
        return None
    imported = preview.imported
    widgets.caption("What will be kept", f"{count_text(imported.rows, 'radiograph')}, {_studies(imported)}")
    widgets.facts(*[figures_cell(one) for one in figures])
    for note in imported.notes:
        if note.code in ALARMS:
            st.warning(plain(page_words(note_sentence(note))), icon=":material/warning:")
    replace = preview.replaces and st.checkbox(f"Replace the scores named {plain(imported.name)}", key="scores_replace")
    if st.button("Keep these scores", type="primary", key="scores_keep", **gate("data")):
        notes = click_notes.kept()
        try:
            kept = keep_import(preview, replace)
        except OverreadError as error:
            draw_refusal(error, Path(request.file.path))
            return preview
        notes |= {"scores_kept": kept.name, "scores_read": request.file.path}
        st.rerun()
    return preview


def forget_kept() -> None:
    """Empty the choice of a file once its scores are kept."""
    notes = click_notes.kept()
    if "scores_read" in notes:
        forget_file()
        st.session_state.pop("scores_preview", None)
        remove_upload(Path(notes["scores_read"]))
        del notes["scores_read"]


def draw_details(preview: ImportPreview) -> None:
    """Draw the report of the join and the notes that are not alarms."""
    notes = [Note(page_words(note), note.code) for note in preview.imported.notes if note.code not in ALARMS]
    if preview.imported.joins or notes:
        widgets.caption("How the table was read")
    draw_join_report(preview.imported.joins, notes, key="scores_joins")


def draw_refusal(error: OverreadError, file: Path | None) -> None:
    """Draw an error in the words of the page. An upload is called by its own name, not by its place on the server."""
    text = page_words(str(error))
    st.error(plain(text.replace(str(file), file.name) if file else text), icon=":material/block:")


def figures_cell(figures: FirstFigures) -> tuple[str, str, str]:
    """The AUROC of one split with its interval, or the reason why there is none, and the labels of its studies."""
    value, rest = widgets.estimate_text(figures.auroc, "auroc")
    labels = f"{figures.abnormal:,} abnormal, {figures.normal:,} normal, {figures.unknown:,} unknown"
    return f"AUROC, {figures.split}", value, f"{rest}; {labels}"


def _prepared(request: ImportRequest) -> tuple[ImportPreview, list[FirstFigures]]:
    """The preview of this request; it is read again only when the request changes."""
    stored = st.session_state.get("scores_preview")
    if stored is None or stored[0] != request:
        with st.spinner("Reading and matching the scores"):
            preview = prepare_import(
                Path(request.file.path),
                request.name,
                request.columns,
                request.scale,
                request.data,
                request.labels,
                request.options,
            )
            stored = (request, preview, first_figures(preview.frame))
        st.session_state["scores_preview"] = stored
    return stored[1], stored[2]


def _studies(imported) -> str:
    return f"{count_text(imported.studies, 'study')}, {count_text(imported.patients, 'known patient')}"
