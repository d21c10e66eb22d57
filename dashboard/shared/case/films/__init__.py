"""The radiographs of a study side by side: window, level, inversion and zoom in the browser, nothing sent back.

Names and captions travel as data and are set as text; the scripts hold none of them.
"""

from functools import lru_cache
from pathlib import Path

import streamlit as st

_HERE = Path(__file__).parent


def draw(films: list[dict], case: str, key: str = "films") -> None:
    """Show `films`, each {src, alt, title, score, threshold, drove, note, small}; score None hides it. A picture `over`
    lies over the film and moves with it.

    `case` names the study: another one begins unzoomed, and keeps window and inversion as they were set. The verdict
    keys beside it (`verdict_panel`) carry the same name, and a press counts only while both agree.
    """
    mount = st.components.v2.component(
        "overread.films", html=_text("films.html"), css=_text("films.css"), js=_text("films.js")
    )
    # Another number each run, so that the browser knows whether a run has answered what was pressed.
    turn = st.session_state["films_turn"] = st.session_state.get("films_turn", 0) + 1
    mount(key=key, data={"case": case, "films": films, "turn": turn})


def draw_ahead(films: list[dict], case: str, after: str, keys: list[str], key: str = "ahead") -> None:
    """Let the browser have the films of the case that `keys` lead to from the case `after`, before one is pressed."""
    mount = st.components.v2.component("overread.ahead", js=_text("ahead.js"))
    mount(key=key, height=0, data={"case": case, "films": films, "after": after, "keys": keys})


@lru_cache
def _text(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")
