"""The table of scores: an upload, or a file on the server."""

from pathlib import Path

import streamlit as st

from core.data.arriving import arrived_files, forget_arrival
from core.errors import OverreadError
from core.plural import count_text
from core.scores.import_upload import MOST_MEGABYTES, MOST_ROWS, store_table, too_large
from dashboard.shared import address, upload, widgets
from dashboard.shared.address_kinds import Choice

UPLOAD, SERVER = "Upload", "On the server"


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
    arrival = upload.draw_upload(
        "A table of scores (CSV, TSV or Parquet): choose it, or drop it here",
        f"scores_upload_{_round()}",
        one=True,
        most=MOST_MEGABYTES << 20,
        too_large=too_large(),
    )
    if not arrival:
        widgets.note(
            "One row for each radiograph or each study, with the score of your model. Nothing is kept yet.",
            why=f"At most {MOST_MEGABYTES} MB and {MOST_ROWS:,} rows. Compressed tables are read, too.",
            ask="How large?",
        )
        return None
    stored = st.session_state.get("scores_stored")
    if stored is None or stored[0] != arrival or not stored[1].is_file():
        files = arrived_files(arrival)
        if len(files) != 1:
            arrived = count_text(len(files), "file")
            raise OverreadError(f"{arrived} arrived; expected one table.", code="upload-one-table")
        ((name, part),) = files
        with part.open("rb") as table:
            stored = (arrival, store_table(name, table))
        forget_arrival(arrival)
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
    """Part of the keys: a new one empties the field."""
    return st.session_state.get("scores_round", 0)
