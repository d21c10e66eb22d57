"""The words of a verdict, which of them go together, and what a verdict says of the study: its read.

A **verdict** judges the label and the model's call beside it; a **reading** says what the films show, as a reader does
who sees neither. Either may stand alone. Both lead to one **read**, which agreement and adjudication are counted in:

| entry | read |
|---|---|
| reading abnormal, normal | that (also beside poor_image: seen, though poorly) |
| true_miss | the given label: the label is right and the model is not |
| label_wrong | the other label than the given one |
| cannot_tell, poor_image without a reading | unreadable |
| out_of_scope | out_of_scope |
"""

import math
import re
import unicodedata
from dataclasses import dataclass, field, replace
from uuid import uuid4

import numpy as np
import pandas as pd

from core.errors import OverreadError

VERDICTS = ("true_miss", "label_wrong", "cannot_tell", "poor_image", "out_of_scope")
READINGS = ("abnormal", "normal")
SUBTYPES = ("fracture", "hardware", "degenerative", "other")
CONFIDENCES = ("low", "medium", "high")
KINDS = ("review", "adjudication")
READS = ("abnormal", "normal", "unreadable", "out_of_scope")
NOTE_LIMIT, TEXT_LIMIT, NAME_LIMIT = 4_000, 1_000, 100  # characters
_CHOICES = {
    "verdict": VERDICTS,
    "reading": READINGS,
    "subtype": SUBTYPES,
    "confidence": CONFIDENCES,
    "kind": KINDS,
}
_TEXTS = ("id", "dataset", "study_id", "image_id", "view", "checkpoint", "walkthrough_id", "supersedes")


@dataclass(frozen=True)
class Verdict:
    """One reviewer's entry on one study. '' and None are the same: nothing said.

    given_label: the study's label as it was shown or indexed, 1.0, 0.0 or None; never altered by what is entered here.
    kind: 'adjudication' for the third reader who decides between others. image_id, view: the radiograph that shows it.
    score_visible, label_visible: whether the reader could see them; neither, and the read was blind. checkpoint,
    threshold, score: what the model said, if it was there. id: given by the caller, so that asking again after a lost
    answer does not enter it twice. supersedes: the id of the reader's own earlier entry that this one replaces.
    """

    dataset: str
    study_id: str
    reviewer: str
    verdict: str | None = None
    reading: str | None = None
    kind: str = "review"
    image_id: str | None = None
    view: str | None = None
    subtype: str | None = None
    confidence: str | None = None
    note: str = ""
    given_label: float | None = None
    score_visible: bool = True
    label_visible: bool = True
    checkpoint: str | None = None
    threshold: float | None = None
    score: float | None = None
    walkthrough_id: str | None = None
    supersedes: str | None = None
    id: str = field(default_factory=lambda: str(uuid4()))


def checked(entry: Verdict) -> Verdict:
    """The entry with empty texts as None and its name in one spelling, if it can be meant. OverreadError otherwise."""
    # Text is kept as it came, HTML and all: making it harmless is the task of whoever shows it.
    blank = {name: getattr(entry, name) or None for name in (*_TEXTS, *_CHOICES) if name != "note"}
    entry = replace(entry, **blank, note=entry.note or "", reviewer=reviewer_name(entry.reviewer))
    for name, choices in _CHOICES.items():
        value = getattr(entry, name)
        if value is not None and value not in choices:
            raise OverreadError(f"The {name} is {str(value)[:40]!r}; expected one of {', '.join(choices)}.")
    for name in _TEXTS:
        checked_text(getattr(entry, name), name, TEXT_LIMIT, needed=name in ("id", "dataset", "study_id"))
    checked_text(entry.note, "note", NOTE_LIMIT)
    if entry.kind is None:
        raise OverreadError(f"The entry has no kind; expected one of {', '.join(KINDS)}.")
    return _checked_meaning(replace(entry, **{name: _number(entry, name) for name in _NUMBERS}))


_NUMBERS = ("given_label", "threshold", "score")


def _number(entry: Verdict, name: str) -> float | None:
    value = getattr(entry, name)
    # NaN is how a table says that there is no label.
    if value is None or value != value:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number) or (name == "given_label" and number not in (0.0, 1.0)):
        expected = "1 (abnormal), 0 (normal) or none" if name == "given_label" else "a finite number or none"
        raise OverreadError(f"The {name} is {str(value)[:40]!r}; expected {expected}.")
    return number


def _checked_meaning(entry: Verdict) -> Verdict:
    said, given = entry.reading, {1.0: "abnormal", 0.0: "normal", None: None}[entry.given_label]
    if entry.verdict is None and said is None:
        raise OverreadError(
            f"The entry says nothing; expected a verdict ({', '.join(VERDICTS)}) or a reading ({', '.join(READINGS)})."
        )
    if entry.verdict in ("true_miss", "label_wrong") and given is None:
        raise OverreadError(
            f"The verdict {entry.verdict} is about a label, and the study {entry.study_id[:60]!r} has none; give a "
            "reading (abnormal, normal) instead."
        )
    wanted = {"true_miss": given, "label_wrong": {"abnormal": "normal", "normal": "abnormal"}.get(given)}
    if said and entry.verdict in wanted and said != wanted[entry.verdict]:
        raise OverreadError(
            f"The verdict {entry.verdict} on a study labelled {given} and the reading {said} contradict each other; "
            "give one of them."
        )
    if said and entry.verdict in ("cannot_tell", "out_of_scope"):
        raise OverreadError(f"The verdict {entry.verdict} and the reading {said} contradict each other; give one.")
    if entry.supersedes == entry.id:
        raise OverreadError("An entry cannot supersede itself; name an earlier one.")
    return entry


def reviewer_name(name: str) -> str:
    """The name as it is kept: composed characters, single spaces. OverreadError for an empty or very long one."""
    kept = re.sub(r"\s+", " ", unicodedata.normalize("NFC", str(name or ""))).strip()
    return checked_text(kept, "reviewer's name", NAME_LIMIT, needed=True)


def reviewer_key(name: str) -> str:
    """Equal for names that differ by case or spaces alone."""
    return unicodedata.normalize("NFKC", name).casefold()


def checked_text(text: str | None, what: str, limit: int, needed: bool = False) -> str | None:
    """The text, if a database can hold it. OverreadError where it is missing, too long, or holds what none can."""
    if needed and not text:
        raise OverreadError(f"The {what} is empty; give one of 1 to {limit:,} characters.")
    if text is None:
        return None
    if not isinstance(text, str):
        raise OverreadError(f"The {what} is {str(text)[:40]!r}; expected text.")
    if len(text) > limit:
        raise OverreadError(
            f"The {what} has {len(text):,} characters; expected {limit:,} or fewer. Shorten it; it was not kept."
        )
    if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise OverreadError(f"The {what} holds a character that cannot be stored (NUL or half of a pair); take it out.")
    return text


def reads(frame: pd.DataFrame) -> pd.Series:
    """What each entry says of its study: one of READS, '' for an undo (see the table above)."""
    given = frame["given_label"].to_numpy(dtype=np.float64)
    verdict, reading = (frame[name].fillna("").to_numpy(str) for name in ("verdict", "reading"))
    judged = np.where(verdict == "label_wrong", 1 - given, given)
    said = np.select([judged == 1, judged == 0], ["abnormal", "normal"], "")
    found = np.select(
        [
            verdict == "out_of_scope",
            reading != "",
            np.isin(verdict, ["true_miss", "label_wrong"]),
            np.isin(verdict, ["cannot_tell", "poor_image"]),
        ],
        ["out_of_scope", reading, said, "unreadable"],
        "",
    )
    return pd.Series(found, index=frame.index, dtype="str")
