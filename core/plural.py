"""A count with its unit, as every page, command and message writes it: `1 study`, `2 studies`."""

_PLURALS = {"study or copy": "studies or copies"}


def count_text(count: int, unit: str) -> str:
    """The count and its unit, in the plural unless the count is 1; `12,034 radiographs`."""
    if count == 1:
        return f"1 {unit}"
    return f"{count:,} {_PLURALS.get(unit) or plural_of(unit)}"


def plural_of(unit: str) -> str:
    """The plural of a unit: `studies`, `copies`, `radiographs`."""
    return f"{unit[:-1]}ies" if unit.endswith("y") and unit[-2:-1] not in "aeiou" else f"{unit}s"
