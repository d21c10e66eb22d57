"""Join outside rows to items that are known here, and report what became of every row and every item.

One function joins label tables, predictions, verdicts and out-of-fold scores. Text is compared exactly. Differences in
zeros, case, folder or extension are counted and offered (`near_matches`), but applied only on request.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations

import numpy as np
import pandas as pd

from core.data.notes import Note
from core.errors import OverreadError
from core.plural import count_text

SHOWN = 3  # examples of each kind
_BEFORE_NUMBER = "".join(chr(sign) for sign in range(32, 127) if not chr(sign).isdigit())
# Differences that may be ignored on request: the words for them, and the text without them.
DIFFERENCES: dict[str, tuple[str, Callable[[str], str]]] = {
    "zeros": ("leading zeros", lambda text: text.lstrip("0") or text),
    "case": ("upper and lower case", str.casefold),
    "extension": ("the file's extension", lambda text: os.path.splitext(text)[0]),
    "folder": ("the folders before the file's name", lambda text: text.rsplit("/", 1)[-1]),
    # Not in paths: one without its first folders would match that of another bone or split.
    "prefix": ("signs before the number", lambda text: ("/" not in text and text.lstrip(_BEFORE_NUMBER)) or text),
}
_OF_PATHS = ("extension", "folder")


@dataclass(frozen=True)
class JoinReport:
    """The report of a join. matched: rows that match an item; duplicates: rows that repeat another one;
    contradictions: items whose rows disagree. examples: {kind, row, key}, up to three of each kind."""

    what: str
    matched: int
    unmatched_rows: int
    items_without_row: int
    duplicates: int = 0
    contradictions: int = 0
    examples: tuple[dict, ...] = ()

    def to_dict(self) -> dict:
        """The report as values of JSON."""
        return {**asdict(self), "examples": [dict(example) for example in self.examples]}

    def without_keys(self) -> dict:
        """As a dict whose examples name rows by number only, for tables whose ids identify patients."""
        kept = [{**example, "key": ""} if example["row"] is not None else dict(example) for example in self.examples]
        return {**self.to_dict(), "examples": kept}

    def sentence(self) -> str:
        """The report in one line, with examples of rows that match nothing and of items whose rows disagree."""
        parts = [
            f"rows matched: {self.matched:,}",
            f"rows that match nothing: {self.unmatched_rows:,}{self._shown('unmatched_rows')}",
            f"without a row: {self.items_without_row:,}",
            f"duplicates that agree: {self.duplicates:,}",
            f"contradictions: {self.contradictions:,}{self._shown('contradictions')}",
        ]
        return f"{self.what}: {'; '.join(parts)}"

    def _shown(self, kind: str) -> str:
        shown = [_example_text(example) for example in self.examples if example["kind"] == kind]
        return f" ({', '.join(shown)})" if shown else ""


@dataclass(frozen=True)
class Key:
    """One way to name items: the text of each item and of each row, '' where it has none.

    level: keys of a lower level are more exact. A row counts by its most exact key only, so that a row of one
    radiograph never labels the others of its study. paths: extension and folders may be ignored on request.
    """

    name: str
    items: Sequence[str]
    rows: Sequence[str]
    level: int = 0
    paths: bool = False


@dataclass(frozen=True)
class Joined:
    """The outcome of a join.

    values: one row per item; None where no row gives a value, or where the item's rows disagree. owner: for each row
    the
    position of the first item that it matches, else -1. repeats: whether a row repeats an earlier one and agrees.
    disagreeing: by column of values, the positions of items whose rows disagree. notes: rows that nearly match. known:
    examples of the items' names by the first key.
    """

    values: pd.DataFrame
    owner: np.ndarray
    repeats: np.ndarray
    disagreeing: dict[str, list[int]]
    report: JoinReport
    notes: list[Note]
    known: tuple[str, ...] = ()


def join(names: Sequence[str], rows: pd.DataFrame, keys: list[Key], what: str, ignoring: Sequence[str] = ()) -> Joined:
    """Join rows (columns of values, where '', None and NaN are missing) to the items with these names.

    rows: its index is the row number that an editor shows. ignoring: names of DIFFERENCES.
    """
    notes: list[Note] = []
    keys = _usable([_without(key, ignoring) for key in keys], notes)
    candidates, owner = _candidates(len(names), len(rows), keys)
    values, disagreeing = _merged(candidates, rows)
    clashing = sorted(set().union(*disagreeing.values()))
    repeats = np.zeros(len(rows), bool)
    for at in {at for at, found in enumerate(candidates) if len(found) > 1} - set(clashing):
        repeats[candidates[at][1:]] = True
    lone, free = np.flatnonzero(owner < 0), [at for at, found in enumerate(candidates) if not found]
    known = tuple(dict.fromkeys(text for text in keys[0].items if text))[:SHOWN]
    report = JoinReport(
        what=what,
        matched=int((owner >= 0).sum()),
        unmatched_rows=len(lone),
        items_without_row=len(free),
        duplicates=int(repeats.sum()),
        contradictions=len(clashing),
        examples=(
            *[_row_example("unmatched_rows", rows, keys, place) for place in lone[:SHOWN]],
            *[_item_example("items_without_row", names[at]) for at in free[:SHOWN]],
            *[_row_example("duplicates", rows, keys, place) for place in np.flatnonzero(repeats)[:SHOWN]],
            *[_item_example("contradictions", names[at]) for at in clashing[:SHOWN]],
        ),
    )
    return Joined(values, owner, repeats, disagreeing, report, notes + near_matches(keys, owner < 0, rows), known)


def refuse_without_match(
    joined: Joined, source: object, expected: str, allow: bool = False, code: str = "join-matches-nothing"
) -> None:
    """Raise OverreadError if no row matches an item, unless that is allowed."""
    report = joined.report
    if report.matched or allow or not report.unmatched_rows:
        return
    rows = ", ".join(_example_text(example) for example in report.examples if example["kind"] == "unmatched_rows")
    known = ", ".join(map(repr, joined.known)) or "none"
    offers = "".join(f" {note[0].upper()}{note[1:]}." for note in joined.notes if note.code == "join-near-match")
    raise OverreadError(
        f"{source}: none of the {count_text(report.unmatched_rows, 'row')} matches ({rows}); expected {expected} "
        f"(such as {known})."
        f"{offers} Correct the table, or pass --allow-unmatched to continue without it.",
        code=code,
    )


def near_matches(keys: list[Key], unmatched: np.ndarray, rows: pd.DataFrame) -> list[Note]:
    """For each key a note on the difference without which most unmatched rows would each match one item's name."""
    notes, places = [], np.flatnonzero(unmatched)
    for key in keys if len(places) else []:
        best: tuple[list, tuple[str, ...]] = ([], ())
        for count in (1, 2):
            for ignored in combinations([name for name in DIFFERENCES if key.paths or name not in _OF_PATHS], count):
                owners = _owners(key.items, ignored)
                near = [(place, owners.get(_simple(key.rows[place], ignored), ())) for place in places]
                pairs = [(place, found[0]) for place, found in near if len(found) == 1]
                best = max(best, (pairs, ignored), key=lambda one: len(one[0]))
            if best[0]:
                break
        if best[0]:
            (place, item), words = best[0][0], " and ".join(DIFFERENCES[name][0] for name in best[1])
            options = " ".join(f"--match-ignoring {name}" for name in best[1])
            notes.append(
                Note(
                    f"{len(best[0]):,} of {count_text(len(places), 'row')} that match nothing would match by "
                    f"{key.name} if {words} "
                    f"were ignored (row {rows.index[place]}: {key.rows[place][:60]!r} for {item[:60]!r}); if that is "
                    f"right, pass {options}",
                    "join-near-match",
                    f"{len(best[0]):,} of {count_text(len(places), 'row')} that match nothing would match by "
                    f"{key.name} if {words} "
                    "were ignored",
                )
            )
    return notes


def check_differences(names: Sequence[str]) -> tuple[str, ...]:
    """The names, if each is one of DIFFERENCES. OverreadError for any other name."""
    if unknown := [name for name in names if name not in DIFFERENCES]:
        raise OverreadError(
            f"--match-ignoring {unknown[0][:40]!r} is unknown; expected one of {', '.join(DIFFERENCES)}.",
            code="difference-unknown",
        )
    return tuple(names)


def _simple(text: str, ignored: Sequence[str]) -> str:
    for name in ignored:
        text = DIFFERENCES[name][1](text)
    return text


def _owners(texts: Sequence[str], ignored: Sequence[str]) -> dict[str, list[str]]:
    """The different texts that become the same text if the differences are ignored."""
    owners: dict[str, list[str]] = {}
    for text in dict.fromkeys(texts):
        if text:
            owners.setdefault(_simple(text, ignored), []).append(text)
    return owners


def _without(key: Key, ignoring: Sequence[str]) -> Key:
    """The key without the differences. OverreadError if a row would then match different names."""
    ignored = [name for name in ignoring if key.paths or name not in _OF_PATHS]
    if not ignored:
        return key
    rows = [_simple(text, ignored) for text in key.rows]
    owners, wanted = _owners(key.items, ignored), set(rows)
    if several := next((found for text, found in owners.items() if len(found) > 1 and text in wanted), None):
        raise OverreadError(
            f"If {' and '.join(DIFFERENCES[name][0] for name in ignored)} are ignored, one row matches several "
            f"{key.name} values ({', '.join(map(repr, several[:SHOWN]))}). Correct the table instead of passing "
            "--match-ignoring.",
            code="match-ambiguous",
        )
    return replace(key, items=[_simple(text, ignored) for text in key.items], rows=rows)


def _usable(keys: list[Key], notes: list[Note]) -> list[Key]:
    """The keys without the exact ones of which no value is known here, if a less exact key has known values."""
    meeting = [bool(set(key.items) & set(key.rows) - {""}) for key in keys]
    best = min((key.level for key, meets in zip(keys, meeting) if meets), default=None)
    useless = [key.name for key in keys if best is not None and key.level < best and any(key.rows)]
    if useless:
        others = [key.name for key, meets in zip(keys, meeting) if meets]
        notes.append(
            Note(
                f"no {' or '.join(useless)} of the table is known here, so its rows are matched by "
                f"{' and '.join(others)}",
                "join-less-exact",
            )
        )
    return [key for key in keys if best is None or key.level >= best]


def _candidates(items: int, rows: int, keys: list[Key]) -> tuple[list[list[int]], np.ndarray]:
    """The rows of each item by its most exact key that has any, and the first item of each row (-1 for none)."""
    found: list[list[int]] = [[] for _ in range(items)]
    owner, taken = np.full(rows, -1), np.zeros(rows, bool)
    for level in sorted({key.level for key in keys}):
        here: list[list[int]] = [[] for _ in range(items)]
        own = [key for key in keys if key.level == level]
        for key in own:
            places: dict[str, list[int]] = {}
            for place, text in enumerate(key.rows):
                if text and not taken[place]:
                    places.setdefault(text, []).append(place)
            for at, text in enumerate(key.items):
                match = places.get(text, []) if text else []
                here[at] = [*here[at], *(place for place in match if place not in here[at])]
                for place in match:
                    owner[place] = at if owner[place] < 0 else owner[place]
        for key in own:
            taken |= np.array([bool(text) for text in key.rows], bool)
        found = [old or new for old, new in zip(found, here)]
    return found, owner


def _merged(candidates: list[list[int]], rows: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, list[int]]]:
    """The values of each item, and by column the items whose rows disagree."""
    values: dict[str, list] = {}
    disagreeing: dict[str, list[int]] = {}
    for name in rows.columns:
        column = [None if cell is None or cell == "" or cell != cell else cell for cell in rows[name]]
        merged = []
        for at, found in enumerate(candidates):
            given = {column[place] for place in found} - {None}
            merged.append(next(iter(given)) if len(given) == 1 else None)
            if len(given) > 1:
                disagreeing.setdefault(name, []).append(at)
        values[name] = pd.Series(merged, dtype="object")
    return pd.DataFrame(values, index=range(len(candidates))), disagreeing


def _row_example(kind: str, rows: pd.DataFrame, keys: list[Key], place: int) -> dict:
    key = next((str(key.rows[place]) for key in keys if key.rows[place]), "")
    return {"kind": kind, "row": int(rows.index[place]), "key": key[:120]}


def _item_example(kind: str, name: str) -> dict:
    return {"kind": kind, "row": None, "key": str(name)[:120]}


def _example_text(example: dict) -> str:
    return f"{'' if example['row'] is None else 'row ' + str(example['row']) + ': '}{example['key'][:80]!r}"
