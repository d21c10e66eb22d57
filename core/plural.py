"""A count with its unit, as every page, command and message writes it: `1 study`, `2 studies`; and a verb that agrees.

`tests/test_plurals.py` finds counts that are written without it.
"""

_PLURALS = {"study or copy": "studies or copies", "epoch": "epochs"}
_SINGULAR_VERBS = {"are": "is", "have": "has", "were": "was", "do": "does"}


def count_text(count: int, unit: str) -> str:
    """The count and its unit, in the plural unless the count is 1; `12,034 radiographs`."""
    if count == 1:
        return f"1 {unit}"
    return f"{count:,} {plural_of(unit)}"


def count_clause(count: int, unit: str, verb: str) -> str:
    """The count, its unit and a verb, stated in the plural: `1 study is`, `2 studies are`."""
    return f"{count_text(count, unit)} {_verb(count, verb)}"


def share_clause(part: int, total: int, unit: str, verb: str) -> str:
    """A part of a total, its unit and a verb, stated in the plural: `1 of 3 studies is`, `2 of 3 studies are`."""
    return f"{part:,} of {count_text(total, unit)} {_verb(part, verb)}"


def plural_of(unit: str) -> str:
    """The plural of a unit: `studies`, `copies`, `radiographs`, `boxes`, `known patients`."""
    if unit in _PLURALS:
        return _PLURALS[unit]
    if unit.endswith("y") and unit[-2:-1] not in "aeiou":
        return f"{unit[:-1]}ies"
    return f"{unit}es" if unit.endswith(("s", "x", "ch", "sh")) else f"{unit}s"


def _verb(count: int, verb: str) -> str:
    return verb if count != 1 else _SINGULAR_VERBS.get(verb) or plural_of(verb)
