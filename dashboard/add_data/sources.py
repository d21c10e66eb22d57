"""Sources of radiographs: an upload, or a folder or zip on the server."""

import re
from pathlib import Path

import streamlit as st

from core.data.archives import size_text
from core.data.arriving import arrived_files, forget_arrival
from core.data.uploads import UploadLimits, check_name_free, store_upload
from core.errors import OverreadError
from core.workflows import adding
from core.workflows.data_request import DataRequest
from dashboard.shared import address, click_notes, upload, widgets
from dashboard.shared.address_kinds import Choice
from dashboard.shared.plain import plain
from dashboard.shared.roles import gate

UPLOAD, SERVER = "Upload", "On the server"
WHAT = "A zip of a MURA tree, images with a table (path, label, bone), or DICOM files."
LARGER = (
    f"At most {size_text(UploadLimits().bytes)}. Copy a larger set to the server and choose '{SERVER}'. An upload "
    "that was interrupted continues when the same files are chosen again within an hour."
)


def draw_sources() -> None:
    """Draw the choice of a source, and the button that looks at it."""
    key = address.key("origin", Choice((UPLOAD, SERVER)))
    origin = address.bound(st.segmented_control, "From", [UPLOAD, SERVER], default=UPLOAD, required=True, key=key)
    if origin == UPLOAD:
        draw_upload()
    else:
        draw_server()


def draw_upload() -> None:
    """Draw the field for files, which go to the disk in pieces. Its key changes once they are a data set's."""
    kept = click_notes.kept()
    arrival = upload.draw_upload(
        "A zip, or several files: choose them, or drop them here", f"upload_{kept.get('upload_round', 0)}"
    )
    widgets.note(WHAT, why=LARGER, ask="How large?")
    if not arrival:
        return
    try:
        files = arrived_files(arrival)
        name = draw_name(suggested_name(files[0][0] if len(files) == 1 else "data"))
        if st.button("Look at it", type="primary", key="look_upload", **gate("data")):
            check_name_free(name)
            stored = store_upload(name, files)
            forget_arrival(arrival)
            kept["upload_round"] = kept.get("upload_round", 0) + 1
            look(kept, DataRequest(str(stored), name, guess_columns=True, new=True))
    except OverreadError as error:
        st.error(plain(error))


def draw_server() -> None:
    """Draw the fields for a folder, a table or a zip that the server can read."""
    path = st.text_input("Folder, table or zip", key="server_path", placeholder="/data/MURA-v1.1")
    if not path:
        widgets.note("A path on the machine that runs Overread. A folder stays where it is; a zip is unpacked.")
        return
    kept, name = click_notes.kept(), draw_name(suggested_name(Path(path.strip()).name))
    if st.button("Look at it", type="primary", key="look_server", **gate("data")):
        try:
            check_name_free(name)
            look(kept, DataRequest(str(Path(path.strip()).expanduser()), name, guess_columns=True, new=True))
        except OverreadError as error:
            st.error(plain(error))


def draw_name(suggestion: str) -> str:
    """Draw the field for the name of the new data set."""
    return st.text_input("Name of the data set", suggestion, key=f"name_{suggestion}", max_chars=100, width=360).strip()


def look(kept: dict, request: DataRequest) -> None:
    """Queue a look at a source, and show it from the next run on. kept: `click_notes.kept`."""
    adding.enqueue_look(request)
    kept["data_set_to_show"] = request.name
    st.rerun()


def suggested_name(file: str) -> str:
    """A name for a data set from that of a file: `MURA-v1.1.zip` gives `mura-v1.1`."""
    stem = re.sub(r"\.(zip|csv|tsv|parquet|pq|dcm|png|jpe?g)$", "", file.rsplit("/", 1)[-1], flags=re.IGNORECASE)
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._").lower()[:60] or "data"
