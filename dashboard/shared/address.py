"""The query values of an address: one typed parser with a default. A value that cannot be used is named on the page.

Every widget that keeps its value in the address gets its key from here:
`st.slider("Bins", 5, 20, 10, key=address.key("bins", Number(5, 20, whole=True)), bind="query-params")`.
Values that no widget holds are read with `value`. Nothing else reads `st.query_params`.
"""

import difflib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

import streamlit as st
from streamlit.errors import StreamlitAPIException

from dashboard.shared import widgets

PATH = "page of the address"  # the name of the note on a page that does not exist
SHOWN = 80  # characters of a refused value in its note
LONGEST = 500  # characters of a text
MOST_DROPS = 20  # of one parameter in a session: a page that wrote a bad value itself must not run for ever


@dataclass(frozen=True)
class Choice:
    """One of a list of words. what: the noun for the note, such as 'model'; else the name of the parameter."""

    options: tuple[str, ...]
    what: str = ""

    def __init__(self, options: Iterable, what: str = "") -> None:
        object.__setattr__(self, "options", tuple(map(str, options)))
        object.__setattr__(self, "what", what)

    def parse(self, text: str) -> str:
        """The word itself. ValueError says in words what was expected."""
        if text in self.options:
            return text
        raise ValueError("is not one of its choices")

    def nearest(self, text: str) -> str:
        """The option that reads most like the text; '' where none does."""
        lower = {option.lower(): option for option in reversed(self.options)}
        close = difflib.get_close_matches(text[:LONGEST].lower(), lower, 1, 0.5)
        return lower[close[0]] if close else ""


@dataclass(frozen=True)
class Number:
    """A finite number from `low` to `high`."""

    low: float
    high: float
    whole: bool = False
    what: str = ""

    def parse(self, text: str) -> float:
        """The number, an int where it is whole. ValueError says in words what was expected."""
        try:
            found = float(text)
        except ValueError:
            raise ValueError("is not a number") from None
        if not math.isfinite(found) or not self.low <= found <= self.high:
            raise ValueError(f"is not between {_digits(self.low)} and {_digits(self.high)}")
        if not self.whole:
            return found
        if found != int(found):
            raise ValueError("is not a whole number")
        return int(found)

    def nearest(self, text: str) -> str:
        """No number is offered in place of another."""
        return ""


@dataclass(frozen=True)
class Switch:
    """On or off."""

    what: str = ""

    def parse(self, text: str) -> bool:
        """Whether it is on. ValueError says in words what was expected."""
        if text.lower() in ("true", "false"):
            return text.lower() == "true"
        raise ValueError("is neither true nor false")

    def nearest(self, text: str) -> str:
        """Nothing reads like a switch."""
        return ""


@dataclass(frozen=True)
class Text:
    """Any text of at most `longest` characters; the page decides whether it names something."""

    longest: int = LONGEST
    what: str = ""

    def parse(self, text: str) -> str:
        """The text. ValueError says in words what was expected."""
        if len(text) > self.longest:
            raise ValueError(f"has more than {self.longest:,} characters")
        return text

    def nearest(self, text: str) -> str:
        """The page knows what reads like it."""
        return ""


Kind = Choice | Number | Switch | Text


@dataclass(frozen=True)
class Note:
    """A value of the address that was not used: why, in a sentence, and what may have been meant."""

    name: str
    sentence: str
    nearest: str = ""


def read(name: str, given: list[str], kind: Kind) -> tuple[object, Note | None]:
    """The value of a parameter given zero times, once or more; None where the default is to be used, and a note.

    Repeated, the last value counts, as in Streamlit.
    """
    if not given:
        return None, None
    text = given[-1]
    if text == "" and not isinstance(kind, Text):
        return None, Note(name, f"The address has {name} without a value, so its default is shown.")
    what = kind.what or name
    try:
        found = kind.parse(text)
    except ValueError as error:
        shown = text[:SHOWN] + ("..." if len(text) > SHOWN else "")
        near = kind.nearest(text)
        offer = f" The nearest is {near!r}." if near else ""
        if kind.what:
            return None, Note(name, f"The address names the {what} {shown!r}, which is not here.{offer}", near)
        return None, Note(name, f"The address has {name}={shown!r}, which {error}; its default is shown.{offer}", near)
    if len(set(given)) > 1:
        return found, Note(name, f"The address has {name} {len(given)} times; the last value is shown.")
    return found, None


def key(name: str, kind: Kind) -> str:
    """The key of a widget with bind="query-params", after its value in the address was checked.

    A value that cannot be used is taken out of the address, and the page runs again with a note.
    """
    state, given = st.session_state, st.query_params.get_all(name)
    if given == state["address_seen"].get(name):
        return name
    found, note = _judge(name, kind, given)
    if note and found is None:
        _drop(name)
    return name


def drop(name: str, sentence: str) -> None:
    """Take a parameter out of the address, say why, and run the page again."""
    add_note(name, sentence)
    _drop(name)


def value(name: str, kind: Kind):
    """The value of a parameter that no widget holds; None where its default is to be used."""
    return _judge(name, kind, st.query_params.get_all(name))[0]


def begin(page) -> None:
    """Call once a run before any value is read. Notes of another page are gone."""
    state = st.session_state
    if state.get("address_path") != page.url_path:
        state["address_notes"], state["address_seen"] = {}, {}
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
    """Say above the page what the address names and the page does not have."""
    st.session_state["address_notes"][name] = Note(name, sentence, nearest)


def draw_notes() -> None:
    """The notes on this address, each with a button for the nearest value, until the reader leaves or hides them."""
    notes = st.session_state["address_notes"]
    for note in list(notes.values()):
        with st.container(key=f"address_note_{note.name}", horizontal=True, vertical_alignment="center"):
            widgets.note(note.sentence)
            if note.nearest:
                st.button("Show the nearest", key=f"address_near_{note.name}", on_click=_take, args=(note,))
            st.button("Hide", key=f"address_hide_{note.name}", type="tertiary", on_click=notes.pop, args=(note.name,))


def _judge(name: str, kind: Kind, given: list[str]) -> tuple[object, Note | None]:
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
            # Back in the browser's history: the widget holds its value already, and only a new address is free of it.
            st.switch_page(state["address_page"], query_params={})
        st.rerun()


def _take(note: Note) -> None:
    st.session_state["address_notes"].pop(note.name, None)
    if note.name == PATH:
        st.switch_page(f"{note.nearest}/page.py")
    st.session_state[note.name] = note.nearest


def _digits(number: float) -> str:
    return f"{number:,.0f}" if number == int(number) else f"{number:,}"
