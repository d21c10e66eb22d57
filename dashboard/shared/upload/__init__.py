"""An upload that goes from the browser to the disk in pieces: never in memory, continued after a break, bounded.

The component sends the pieces to the routes of `routes.py`, beside Streamlit's own; its value names what has arrived.
"""

from functools import lru_cache
from pathlib import Path

import streamlit as st

from core import roles
from core.data.arriving import PIECE
from dashboard.shared import widgets
from dashboard.shared.case.reader_name import reader_name
from dashboard.shared.upload.routes import place_of_routes, renewed_ticket
from dashboard.shared.visitor import visitor

_HERE = Path(__file__).parent


def draw_upload(label: str, key: str, one: bool = False, most: int = 0, too_large: str = "") -> str:
    """Draw the field for files. Returns the id of a complete upload for `core.data.arriving`, or '' until then.

    one: a single file. most: more bytes than this are refused with the sentence `too_large` before any is sent. A
    visitor who may not add data gets no ticket, and with it no way to the disk.
    """
    if not roles.may("data"):
        widgets.note(roles.why_not("data"))
        return ""
    mount = st.components.v2.component(
        "overread.upload", html=_read("upload.html"), css=_read("upload.css"), js=_read("upload.js")
    )
    # The id of the browser, so that a returning visitor can continue an interrupted upload.
    ticket = renewed_ticket(st.session_state.get("upload_ticket", ""), visitor(reader_name()))
    st.session_state["upload_ticket"] = ticket
    mount(
        key=key,
        data={
            "label": label,
            "address": f"{place_of_routes()}/{ticket}",
            "piece": PIECE,
            "one": one,
            "most": most,
            "tooLarge": too_large,
        },
        on_arrived_change=_nothing,
    )
    found = (st.session_state.get(key) or {}).get("arrived")
    return found if isinstance(found, str) else ""


def _nothing() -> None:
    """The page reads the value in its next run."""


@lru_cache
def _read(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")
