"""The meaning and the valid values of each setting of a recipe: read by the checks and by the form of the Runs page."""

from dataclasses import MISSING, dataclass, field, fields
from numbers import Integral, Real
from typing import Any, get_origin

from core.errors import OverreadError

GROUPS = ("Network", "Radiographs", "Length", "Learning", "Loss", "Machine")


@dataclass(frozen=True)
class Setting:
    """One field of a recipe. words: its meaning, in a sentence or two. group: one of GROUPS, where a form has it.

    choices: the texts it may be, () for any. low, high: the smallest and largest number allowed. above, below: a number
    it must exceed or stay under. None: no such bound.
    """

    words: str
    group: str
    choices: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    above: float | None = None
    below: float | None = None

    @property
    def bounds(self) -> str:
        """The bounds in words, such as 'above 0 to 1' or '1 or more'; '' without any."""
        start = f"above {self.above:g}" if self.above is not None else f"{self.low:g}" if self.low is not None else ""
        if self.high is not None:
            return f"{start} to {_number(self.high)}"
        if self.below is not None:
            return f"{start} to below {self.below:g}"
        return f"{start} or more" if self.low is not None else start

    def refuses(self, value: object) -> bool:
        """Whether the value is outside of the choices or bounds."""
        if self.choices:
            return value not in self.choices
        tests = [
            (self.low, lambda bound: value >= bound),
            (self.high, lambda bound: value <= bound),
            (self.above, lambda bound: value > bound),
            (self.below, lambda bound: value < bound),
        ]
        # `not`, so that NaN is refused too.
        return any(bound is not None and not test(bound) for bound, test in tests)


def setting(default: Any, words: str, group: str, **bounds) -> Any:
    """A dataclass field with its Setting. default: the value, or a class whose instance is made anew."""
    metadata = {"setting": Setting(words, group, **bounds)}
    if isinstance(default, type):
        return field(default_factory=default, metadata=metadata)
    return field(default=default, metadata=metadata) if default is not MISSING else field(metadata=metadata)


def settings_of(recipe_class: type) -> dict[str, Setting]:
    """The Setting of each field by name; fields without one are left out."""
    return {one.name: one.metadata["setting"] for one in fields(recipe_class) if "setting" in one.metadata}


def check_settings(recipe: Any) -> None:
    """OverreadError for the first value that its Setting refuses."""
    for name, known in settings_of(type(recipe)).items():
        value = getattr(recipe, name)
        if words := _other_kind(value, _kind_of(type(recipe), name)):
            raise OverreadError(f"{name} is {str(value)[:60]!r}; expected {words}.", code="setting-value")
        if known.refuses(value):
            expected = f"one of {', '.join(known.choices)}" if known.choices else f"{name} {known.bounds}"
            raise OverreadError(f"{name} is {value!r}; expected {expected}.", code="setting-value")


def _kind_of(recipe_class: type, name: str) -> object:
    """The class that a field is declared with, without the types of its elements."""
    declared = next(one.type for one in fields(recipe_class) if one.name == name)
    return get_origin(declared) or declared


def _other_kind(value: object, kind: object) -> str:
    """The kind that was expected, in words; '' where the value is of that kind."""
    is_bool = isinstance(value, bool)
    if kind is tuple:
        texts = isinstance(value, tuple) and all(isinstance(one, str | Real) for one in value)
        return "" if texts else "a list of names or numbers"
    kinds: dict[object, tuple[type, str]] = {
        bool: (bool, "true or false"),
        int: (Integral, "a whole number"),
        float: (Real, "a number"),
        dict: (dict, "a JSON object"),
    }
    allowed, words = kinds.get(kind, (str, "a text"))
    if not isinstance(value, allowed) or is_bool != (kind is bool):
        return words
    if isinstance(value, Integral):
        # JSON has whole numbers of any length, and everything here computes with floating-point numbers.
        try:
            float(value)
        except OverflowError:
            return f"{words} below 1.8e308"
    return ""


def _number(value: float) -> str:
    return "2**31" if value == 2**31 else f"{value:g}"
