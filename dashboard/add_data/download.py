"""A public data set, downloaded and added by one button."""

import streamlit as st

from core.data.archives import size_text
from core.errors import OverreadError
from core.workflows.download import FRACATLAS, MURA_STEPS, enqueue_download, find_download
from dashboard.shared import loaders, widgets
from dashboard.shared.job_status import draw_job
from dashboard.shared.plain import plain
from dashboard.shared.roles import gate


def draw_download() -> None:
    """Draw the button that downloads FracAtlas, with its licence, and the steps by which MURA is obtained."""
    if FRACATLAS.name not in loaders.datasets():
        draw_fracatlas(FRACATLAS.name)
    with st.expander("How to obtain MURA", icon=":material/help:"):
        st.text("\n".join(MURA_STEPS))


def draw_fracatlas(name: str) -> None:
    """Draw the licence, the job and the button."""
    known = FRACATLAS.attribution
    widgets.caption("Or a public data set", f"{known.title}, {known.short_authors()}, {known.licence}")
    active = draw_job(
        lambda: find_download(name),
        lambda job: f"Downloading {known.title}",
        "The downloaded part is kept, and the next try continues from there.",
    )
    label = f"Download {known.title} ({size_text(FRACATLAS.size)})"
    if st.button(label, key="download", icon=":material/download:", **gate("data", active, known.link)):
        try:
            enqueue_download(FRACATLAS, name)
        except OverreadError as error:
            st.error(plain(error))
        else:
            st.rerun()
