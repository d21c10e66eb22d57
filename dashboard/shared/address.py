"""The query values of an address: one typed parser with a default. A value that cannot be used is named on the page.

Every widget that keeps its value in the address is drawn by `bound`, which takes the kind of the value from the widget:
`address.bound(st.slider, "Bins", 5, 20, 10, key="bins")`. Values that no widget holds are read with `value`. Nothing
else reads `st.query_params`.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from inspect import signature
from urllib.parse import unquote, urlsplit

import streamlit as st
from streamlit.errors import StreamlitAPIException

from dashboard.shared import widgets
from dashboard.shared.address_kinds import SHOWN, AddressNote, Choice, Kind, kind_of, read

PATH = "page of the address"  # the name of the note on a page that does not exist
KEPT = {"persist_state": "session"}  # a widget keeps its value while the reader is on another page
MOST_DROPS = 20  # of one parameter in a session: a page that wrote a bad value itself must not run for ever


def key(name: str, kind: Kind) -> str:
    """Check the value that a widget with bind="query-params" will take from the address; returns its key.

    A value that cannot be used is taken out of the address, and the page runs again with a note.
    """
    state, given = st.session_state, st.query_params.get_all(name)
    state["address_kinds"][name] = kind
    if given == state["address_seen"].get(name):
        return name
    found, note = _judge(name, kind, given)
    if note and found is None:
        _drop(name)
    return name


def bound(draw: Callable, *given, **named):
    """Draw a widget whose value is kept in the address under its key, after the value there was checked."""
    key(named["key"], kind_of(draw, *given, **named))
    _forget_unknown(named["key"], signature(draw).bind(*given, **named).arguments.get("options"))
    return draw(*given, bind="query-params", **named)


def _forget_unknown(name: str, options: Iterable | None) -> None:
    """Forget a kept value that is not among the options: another page may keep its own under the same key."""
    kept = st.session_state.get(name)
    if options is not None and kept is not None and not isinstance(kept, list | tuple) and kept not in list(options):
        del st.session_state[name]


def drop(name: str, sentence: str) -> None:
    """Take a parameter out of the address, say why, and run the page again."""
    add_note(name, sentence)
    _drop(name)


def value(name: str, kind: Kind):
    """The value of a parameter that no widget holds; None where its default is to be used."""
    st.session_state["address_kinds"].setdefault(name, kind)
    return _judge(name, kind, st.query_params.get_all(name))[0]


def took_nearest(name: str) -> bool:
    """Whether the reader has just chosen the nearest value of a parameter; its widget holds it."""
    if st.session_state.get("address_nearest") != name:
        return False
    del st.session_state["address_nearest"]
    return True


def written(name: str) -> str:
    """The text of a parameter, unchecked and without a note; '' where the address has none."""
    return st.query_params.get(name, "")


def given(name: str) -> bool:
    """Whether the address has this parameter, with any value."""
    return name in st.query_params


def more(title: str, *names: str, icon: str = "", opened: bool = False):
    """A part of a page that opens on demand, at once where the address has a value of one of its widgets `names`."""
    return st.expander(title, expanded=opened or any(map(given, names)), icon=icon or None)


def set_first(name: str, text: str) -> None:
    """Set the first value of a bound widget, also in the address, where Streamlit leaves a default out."""
    st.session_state[name] = text
    # Once the widget is bound, Streamlit writes the address and refuses this.
    with suppress(StreamlitAPIException):
        st.query_params[name] = text


def begin(page) -> None:
    """Call once per run before any value is read. Notes of another page are gone."""
    state = st.session_state
    if state.get("address_path") != page.url_path:
        state["address_notes"], state["address_seen"], state["address_kinds"] = {}, {}, {}
    state["address_page"], state["address_path"] = page, page.url_path
    state.setdefault("address_dropped", {})


def check_path(pages: Iterable[str]) -> None:
    """Once a visit: an address that ends in no page's name opens the first page, which says so."""
    state = st.session_state
    if "address_asked" in state:
        return
    path = urlsplit(st.context.url or "").path.rstrip("/")
    state["address_asked"] = asked = unquote(path.rsplit("/", 1)[-1])
    if asked and asked not in pages and path.strip("/") != st.get_option("server.baseUrlPath").strip("/"):
        near = Choice(pages).nearest(asked)
        add_note(PATH, f"There is no page {asked[:SHOWN]!r}." + (f" The nearest is {near!r}." if near else ""), near)


def add_note(name: str, sentence: str, nearest: str = "") -> None:
    """Name above the page each value of the address that the page does not have."""
    st.session_state["address_notes"][name] = AddressNote(name, sentence, nearest)


def draw_notes() -> None:
    """The notes on this address, each with a button for the nearest value, until the reader leaves or hides them."""
    notes = st.session_state["address_notes"]
    for note in list(notes.values()):
        with st.container(key=f"address_note_{note.name}", horizontal=True, vertical_alignment="center"):
            widgets.note(note.sentence)
            if note.nearest:
                st.button("Show the nearest", key=f"address_near_{note.name}", on_click=_take, args=(note,))
            st.button("Hide", key=f"address_hide_{note.name}", type="tertiary", on_click=notes.pop, args=(note.name,))


def _judge(name: str, kind: Kind, given: list[str]) -> tuple[object, AddressNote | None]:
    """Read a parameter. Its note is kept once for each value that the address gives it, so that it can be hidden."""
    found, note = read(name, given, kind)
    state = st.session_state
    if note and state["address_seen"].get(name) != given:
        state["address_notes"][name] = note
    state["address_seen"][name] = given
    return found, note


def _drop(name: str) -> None:
    state = st.session_state
    dropped = state["address_dropped"]
    if dropped.get(name, 0) < MOST_DROPS:
        dropped[name] = dropped.get(name, 0) + 1
        try:
            del st.query_params[name]
        except StreamlitAPIException:
            # After a step back in the browser's history the widget still holds its value; only a new address drops it.
            st.switch_page(state["address_page"], query_params={})
        st.rerun()


def _take(note: AddressNote) -> None:
    st.session_state["address_notes"].pop(note.name, None)
    if note.name == PATH:
        st.switch_page(f"{note.nearest}/page.py")
    kind = st.session_state["address_kinds"].get(note.name)
    # A page may list a part of the words only, and the nearest is one of all.
    words = kind is None or isinstance(kind, Choice)
    st.session_state[note.name] = note.nearest if words else kind.parse(note.nearest)
    st.session_state["address_nearest"] = note.name
