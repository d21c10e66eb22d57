"""The film viewer: radiographs side by side with window, level, inversion and zoom, all of it in the browser.

Names and captions are sent as data and set as text; the scripts contain none of them.
"""

from functools import lru_cache
from pathlib import Path

import streamlit as st

_HERE = Path(__file__).parent


def draw_films(films: list[dict], case: str, key: str = "films") -> None:
    """Draw films, each {src, alt, title, score, threshold, highest, note, details}; score None hides the score.

    `over` adds a picture over the film that moves with it. case: the neutral name of the study. A new case starts
    without zoom and keeps window and inversion. The verdict keys have the same name in their class; a press counts
    only if both names are equal.
    """
    mount = st.components.v2.component(
        "overread.films", html=_read("films.html"), css=_read("films.css"), js=_read("films.js")
    )
    # A new number each run lets the browser see that the page has answered a key press.
    turn = st.session_state["films_turn"] = st.session_state.get("films_turn", 0) + 1
    mount(key=key, data={"case": case, "films": films, "turn": turn})


def load_ahead(films: list[dict], case: str, after: str, keys: list[str], key: str = "ahead") -> None:
    """Send the browser the films of the next case before a key is pressed: `keys` lead to it from the case `after`."""
    mount = st.components.v2.component("overread.ahead", js=_read("ahead.js"))
    mount(key=key, height=0, data={"case": case, "films": films, "after": after, "keys": keys})


@lru_cache
def _read(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")
