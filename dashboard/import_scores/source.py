"""The table of scores: an upload, or a file on the server."""

from pathlib import Path

import streamlit as st

from core.scores.import_upload import MOST_MEGABYTES, MOST_ROWS, store_table
from dashboard.shared import address, widgets
from dashboard.shared.address_kinds import Choice

UPLOAD, SERVER = "Upload", "On the server"
KINDS = ["csv", "tsv", "txt", "parquet", "pq", "gz", "bz2", "xz", "zip"]


def choose_file() -> Path | None:
    """Draw the choice of a table. Returns None until one is chosen. OverreadError where an upload cannot be stored."""
    origin = address.bound(
        st.segmented_control,
        "From",
        [UPLOAD, SERVER],
        default=UPLOAD,
        required=True,
        key=address.key("scores_origin", Choice([UPLOAD, SERVER])),
    )
    return _uploaded() if origin == UPLOAD else _on_server()


def _uploaded() -> Path | None:
    file = st.file_uploader(
        "Table of scores",
        type=KINDS,
        key=f"scores_upload_{_round()}",
        max_upload_size=MOST_MEGABYTES,
        help=f"CSV, TSV or Parquet with a header line, at most {MOST_MEGABYTES} MB and {MOST_ROWS:,} rows.",
    )
    if file is None:
        widgets.note("One row for each radiograph or each study, with the score of your model. Nothing is kept yet.")
        return None
    stored = st.session_state.get("scores_stored")
    if stored is None or stored[0] != file.file_id or not stored[1].is_file():
        stored = (file.file_id, store_table(file.name, file))
        st.session_state["scores_stored"] = stored
    return stored[1]


def _on_server() -> Path | None:
    path = st.text_input("File", key=f"scores_path_{_round()}", placeholder="/data/scores.csv").strip()
    if not path:
        widgets.note("A table on the machine that runs Overread. It stays where it is.")
        return None
    return Path(path).expanduser()


def forget_file() -> None:
    """Empty the choice of a file from the next run on."""
    st.session_state["scores_round"] = _round() + 1
    st.session_state.pop("scores_stored", None)


def _round() -> int:
    """Part of the keys: a new one frees an upload, which is in memory as long as its key is drawn."""
    return st.session_state.get("scores_round", 0)
