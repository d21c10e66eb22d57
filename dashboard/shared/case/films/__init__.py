"""The film viewer: radiographs with window, level, zoom, boxes and a presenter view, all of it in the browser.

Names and captions are sent as data and set as text; the scripts contain none of them.
"""

from functools import lru_cache
from pathlib import Path

import streamlit as st

from dashboard.shared.case import presses

_HERE = Path(__file__).parent
_SCRIPTS = ("arrange.js", "boxes.js", "figures.js", "gestures.js", "outbox.js", "keys.js", "films.js")
KEY = "films"


def draw_films(films: list[dict], case: str, key: str = KEY, **more) -> None:
    """Draw films, each {src, alt, title, score, threshold, highest, note, details, width, height, box}.

    score None hides the score. box: the part inside the film's borders. `over` adds a picture over the film that moves
    with it; `verdict`, {kind, words}, says on the film how far to trust it. case: the neutral name of the study. A new
    case starts without zoom and keeps window and inversion. The verdict keys have the same name in their class; a press
    counts only if both names are equal. more: `own` and `theirs`, boxes {film, box} of the reader and {film, box, name}
    of others, `owner`, whose boxes they are, `place`, the place in the list, `press`, what `presses.offer` returns,
    and `address`, the values that the address must have, each with its default.
    """
    mount = st.components.v2.component(
        "overread.films", html=_read("films.html"), css=_read("films.css"), js="".join(_read(name) for name in _SCRIPTS)
    )
    st.html(f"<style>{_read('presenter.css')}</style>")
    # A new number each run lets the browser see that the page has answered a key press.
    turn = st.session_state["films_turn"] = st.session_state.get("films_turn", 0) + 1
    mount(
        key=key,
        data={"case": case, "films": films, "turn": turn, **more},
        on_boxes_change=_nothing,
        on_outbox_change=lambda: presses.take(_sent("outbox", key)),
    )


def drawn_boxes(case: str, key: str = KEY) -> list[dict] | None:
    """The boxes {film, box} that the reader drew on a case, also if none are left; None if the reader drew none."""
    sent = _sent("boxes", key)
    return sent.get("boxes") if isinstance(sent, dict) and sent.get("case") == case else None


def load_ahead(films: list[dict], case: str, after: str, keys: list[str], key: str = "ahead", **more) -> None:
    """Send the browser the films of the next case before a key is pressed: `keys` lead to it from the case `after`."""
    mount = st.components.v2.component("overread.ahead", js=_read("ahead.js"))
    mount(key=key, height=0, data={"case": case, "films": films, "after": after, "keys": keys, **more})


def _sent(name: str, key: str) -> object:
    """The last value that the browser sent under this name."""
    return (st.session_state.get(key) or {}).get(name)


def _nothing() -> None:
    """The boxes are read when a verdict is given."""


@lru_cache
def _read(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")
