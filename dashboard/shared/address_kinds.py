"""The kinds of values that an address may have, and how a text is read as one. No page and no session is needed."""

import difflib
import heapq
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from inspect import signature
from itertools import takewhile

import pandas as pd

SHOWN = 80  # characters of a refused value in its note
LONGEST = 4_000  # characters of a text
MOST_COMPARED = 2_000  # words whose likeness to a text is computed, at 0.1 ms each
MOST = 1e15  # of a number without a limit of its own; larger whole numbers are not exact in a browser


@dataclass(frozen=True, eq=False)
class Choice:
    """One of a list of words, or several (`many`). what: the noun for the note, such as 'model'."""

    given: Iterable
    what: str = ""
    many: bool = False

    @cached_property
    def options(self) -> tuple[str, ...]:
        """The words as texts. Made when they are needed: a column may have a million."""
        return tuple(map(str, self.given))

    def __contains__(self, text: object) -> bool:
        if isinstance(self.given, pd.Series) and pd.api.types.is_string_dtype(self.given.dtype):
            return bool((self.given == text).any())
        return text in self.options

    def parse(self, text: str) -> str:
        """The word itself. ValueError says in words what was expected."""
        if text in self:
            return text
        raise ValueError("is not one of its choices")

    def nearest(self, text: str) -> str:
        """The option that reads most like the text; '' where none does."""
        lower, wanted = {option.lower(): option for option in reversed(self.options)}, text[:LONGEST].lower()
        likely = lower
        if len(lower) > MOST_COMPARED:
            likely = heapq.nlargest(MOST_COMPARED, lower, key=lambda option: _shared_ends(option, wanted))
        close = difflib.get_close_matches(wanted, likely, 1, 0.5)
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
        """None here: the page offers similar names itself."""
        return ""


Kind = Choice | Number | Switch | Text


@dataclass(frozen=True)
class AddressNote:
    """A value of the address that was not used: why, in a sentence, and what may have been meant."""

    name: str
    sentence: str
    nearest: str = ""


def read(name: str, given: list[str], kind: Kind) -> tuple[object, AddressNote | None]:
    """The value of a parameter given zero times, once or more; None where the default is to be used, and a note.

    If a parameter is repeated, its last value counts, as in Streamlit.
    """
    if not given:
        return None, None
    if getattr(kind, "many", False):
        return _read_many(name, given, kind)
    text = given[-1]
    if text == "" and not isinstance(kind, Text):
        return None, AddressNote(name, f"The address has {name} without a value, so it is not used.")
    try:
        found = kind.parse(text)
    except ValueError as error:
        shown = text[:SHOWN] + ("..." if len(text) > SHOWN else "")
        near = kind.nearest(text)
        offer = f" The nearest is {near!r}." if near else ""
        if kind.what:
            return None, AddressNote(
                name, f"The address names the {kind.what} {shown!r}, which is not here.{offer}", near
            )
        return None, AddressNote(
            name, f"The address has {name}={shown!r}, which {error}, so it is not used.{offer}", near
        )
    if len(set(given)) > 1:
        return found, AddressNote(name, f"The address has {name} {len(given)} times; the last value is shown.")
    return found, None


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


def _read_many(name: str, given: list[str], kind: Choice) -> tuple[object, AddressNote | None]:
    """Several words, each once. One that is unknown refuses them all, so that the page shows what its note says."""
    unknown = next((text for text in given if text not in kind), None)
    return (list(dict.fromkeys(given)), None) if unknown is None else read(name, [unknown], Choice(kind.options))


def _digits(number: float) -> str:
    return f"{number:,.0f}" if number == int(number) else f"{number:,}"


def _shared_ends(one: str, other: str) -> int:
    """How many characters two texts share at their beginnings and their ends."""
    pairs = zip(one, other, strict=False), zip(reversed(one), reversed(other), strict=False)
    return sum(len(list(takewhile(lambda pair: pair[0] == pair[1], pair))) for pair in pairs)
