"""The query values of an address: one typed parser with a default. A value that cannot be used is named on the page.

Every widget that keeps its value in the address is drawn by `bound`, which takes the kind of the value from the widget:
`address.bound(st.slider, "Bins", 5, 20, 10, key="bins")`. Values that no widget holds are read with `value`. Nothing
else reads `st.query_params`.
"""

import difflib
import math
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from inspect import signature
from urllib.parse import unquote, urlsplit

import streamlit as st
from streamlit.errors import StreamlitAPIException

from dashboard.shared import widgets

PATH = "page of the address"  # the name of the note on a page that does not exist
SHOWN = 80  # characters of a refused value in its note
LONGEST = 4_000  # characters of a text
MOST = 1e15  # of a number without a limit of its own; larger whole numbers are not exact in a browser
MOST_DROPS = 20  # of one parameter in a session: a page that wrote a bad value itself must not run for ever


@dataclass(frozen=True)
class Choice:
    """One of a list of words, or several (`many`). what: the noun for the note, such as 'model'."""

    options: tuple[str, ...]
    what: str = ""
    many: bool = False

    def __init__(self, options: Iterable, what: str = "", many: bool = False) -> None:
        object.__setattr__(self, "options", tuple(map(str, options)))
        object.__setattr__(self, "what", what)
        object.__setattr__(self, "many", many)

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
        """The end of the range that is nearer, for a number of something; no measure is offered in place of another."""
        try:
            found = float(text)
        except ValueError:
            return ""
        if not self.what or not math.isfinite(found):
            return ""
        return f"{min(max(found, self.low), self.high):.0f}"


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
    if getattr(kind, "many", False):
        return _read_many(name, given, kind)
    text = given[-1]
    if text == "" and not isinstance(kind, Text):
        return None, Note(name, f"The address has {name} without a value, so it is not used.")
    try:
        found = kind.parse(text)
    except ValueError as error:
        shown = text[:SHOWN] + ("..." if len(text) > SHOWN else "")
        near = kind.nearest(text)
        offer = f" The nearest is {near!r}." if near else ""
        if kind.what:
            return None, Note(name, f"The address names the {kind.what} {shown!r}, which is not here.{offer}", near)
        return None, Note(name, f"The address has {name}={shown!r}, which {error}, so it is not used.{offer}", near)
    if len(set(given)) > 1:
        return found, Note(name, f"The address has {name} {len(given)} times; the last value is shown.")
    return found, None


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
    """Forget a kept value that is none of the options: another page may keep its own under the same key."""
    kept = st.session_state.get(name)
    if options is not None and kept is not None and not isinstance(kept, list | tuple) and kept not in list(options):
        del st.session_state[name]


def kind_of(draw: Callable, *given, **named) -> Kind:
    """The kind of value that a widget holds: from its options, its range, or that it is a switch or a text."""
    call = signature(draw).bind(*given, **named)
    call.apply_defaults()
    asked = call.arguments
    if "options" in asked:
        shown = asked.get("format_func") or str
        many = asked.get("selection_mode") == "multi"
        return Choice([shown(option) for option in asked["options"]], many=many)
    if "num_pages" in asked:
        return Number(1, max(asked["num_pages"], 1), whole=True)
    if "min_value" in asked:
        low, high, value = asked["min_value"], asked["max_value"], asked["value"]
        whole = all(isinstance(one, int | str | None) for one in (low, high, value, asked["step"]))
        least, most = (-MOST if low is None else low), (MOST if high is None else high)
        return Number(least, most, whole=whole)
    if "max_chars" in asked:
        return Text(asked["max_chars"] or LONGEST)
    return Switch()


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


def set_first(name: str, text: str) -> None:
    """Set the first value of a bound widget, also in the address, where Streamlit leaves a default out."""
    st.session_state[name] = text
    # Once the widget is bound, Streamlit writes the address and refuses this.
    with suppress(StreamlitAPIException):
        st.query_params[name] = text


def begin(page) -> None:
    """Call once a run before any value is read. Notes of another page are gone."""
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


def _read_many(name: str, given: list[str], kind: Choice) -> tuple[object, Note | None]:
    """Several words, each once. One that is unknown refuses them all, so that the page shows what its note says."""
    unknown = next((text for text in given if text not in kind.options), None)
    return (list(dict.fromkeys(given)), None) if unknown is None else read(name, [unknown], Choice(kind.options))


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
    kind = st.session_state["address_kinds"].get(note.name)
    st.session_state[note.name] = kind.parse(note.nearest) if kind else note.nearest
    st.session_state["address_nearest"] = note.name


def _digits(number: float) -> str:
    return f"{number:,.0f}" if number == int(number) else f"{number:,}"
