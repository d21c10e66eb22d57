"""The radiographs of a study side by side: window, level, inversion and zoom in the browser, nothing sent back.

Names and captions travel as data and are set as text; the scripts hold none of them.
"""

from pathlib import Path

import streamlit as st

_HERE = Path(__file__).parent


def draw(films: list[dict], case: str, key: str = "films") -> None:
    """Show `films`, each {src, alt, title, score, threshold, drove, note, small}; score None hides it.

    `case` names the study: another one begins unzoomed, and keeps window and inversion as they were set.
    """
    mount = st.components.v2.component(
        "overread.films",
        html=(_HERE / "films.html").read_text(encoding="utf-8"),
        css=(_HERE / "films.css").read_text(encoding="utf-8"),
        js=(_HERE / "films.js").read_text(encoding="utf-8"),
    )
    mount(key=key, data={"case": case, "films": films})
