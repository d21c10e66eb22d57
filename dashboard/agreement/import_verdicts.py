"""Verdicts from a table, imported as `verdicts import` does, with the report of their join."""

import streamlit as st

from core.errors import OverreadError
from core.plural import count_text
from core.review.verdict_files import ImportedVerdicts, import_csv
from core.scores.import_upload import remove_upload, store_table
from dashboard.shared import widgets
from dashboard.shared.case import loader
from dashboard.shared.join_report import draw_join_report
from dashboard.shared.option_words import without_options
from dashboard.shared.plain import plain
from dashboard.shared.roles import gate

SKIP, UNKNOWN = "Leave invalid rows out", "Accept studies that are in no index"
FIELDS = {"skip": SKIP, "keep-unknown": UNKNOWN, "allow-unmatched": UNKNOWN}
HELP = (
    "An exported table of verdicts, or one with the columns study_id, reviewer and verdict. If a row is invalid, "
    "nothing is imported. A verdict is never imported twice."
)
MOST_SKIPPED = 20


def draw_import(dataset: str) -> None:
    """Draw the upload of a table of verdicts on a data set, folded away, and what the last one did."""
    uploads = st.session_state.get("verdict_uploads", 0)
    with st.expander("Import verdicts", icon=":material/upload_file:"):
        file = st.file_uploader(
            "Table of verdicts",
            type=["csv", "tsv", "txt", "parquet"],
            key=f"verdict_upload_{uploads}",
            max_upload_size=20,
            help=HELP,
        )
        with st.container(horizontal=True):
            skip = st.checkbox(SKIP, key="verdicts_skip")
            unknown = st.checkbox(UNKNOWN, key="verdicts_unknown")
        if file and st.button("Import these verdicts", key="import_verdicts", **gate("data")):
            try:
                stored = store_table(file.name, file)
                done = import_csv(
                    loader.store(), stored, dataset, skip=skip, keep_unknown=unknown, allow_unmatched=unknown
                )
            except OverreadError as error:
                st.error(plain(without_options(str(error), FIELDS)), icon=":material/block:")
                return
            remove_upload(stored)
            st.session_state["verdict_uploads"] = uploads + 1
            st.session_state["verdicts_imported"] = done
            st.rerun()
        if done := st.session_state.get("verdicts_imported"):
            _draw_outcome(done)


def _draw_outcome(done: ImportedVerdicts) -> None:
    known = f"{done.already:,} imported before, {count_text(len(done.skipped), 'row')} left out"
    st.success(plain(f"{count_text(done.imported, 'entry')} imported, {known}."), icon=":material/check_circle:")
    draw_join_report([done.join], done.notes, key="verdict_joins")
    for row in done.skipped[:MOST_SKIPPED]:
        widgets.note(f"Line {row['line']}: {without_options(row['reason'], FIELDS)}")
